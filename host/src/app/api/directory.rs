//! The plugins of a host as the API shows them, and how they are read again.

use async_trait::async_trait;

use super::types::{DrainingPlugin, PluginList, PluginRef, PluginView, ReloadSeconds, ReloadedPlugin, RunningPlugin};
use crate::{
    domain::{agent::AgentDefinition, ids::PluginName, limits::LimitOverrides},
    services::plugins::{Change, LoadedPlugin, PluginStatus, Plugins, ReloadError, Reloaded, Took},
};

#[async_trait]
pub trait PluginDirectory: Send + Sync {
    /// All of them; `agents` is left empty.
    fn list(&self) -> PluginList;

    /// What would run an agent now, or why nothing can.
    fn of(&self, definition: &AgentDefinition) -> Result<PluginRef, String>;

    /// What the manifest of that plugin says of limits, or why nothing can run the agent.
    fn limits(&self, definition: &AgentDefinition) -> Result<LimitOverrides, String>;

    /// Read one again, or all.
    async fn reload(&self, only: Option<&PluginName>) -> Result<Vec<ReloadedPlugin>, ReloadError>;
}

#[async_trait]
impl PluginDirectory for Plugins {
    fn list(&self) -> PluginList {
        let view = |status: PluginStatus| PluginView {
            running: status.loaded.as_deref().map(running),
            name: status.name,
            origin: status.origin,
            error: status.error,
            agents: Vec::new(),
        };
        PluginList {
            plugins: Plugins::list(self).into_iter().map(view).collect(),
            draining: self
                .draining()
                .into_iter()
                .map(|draining| DrainingPlugin {
                    name: draining.name,
                    generation: running(&draining.generation),
                })
                .collect(),
        }
    }

    fn of(&self, definition: &AgentDefinition) -> Result<PluginRef, String> {
        let loaded = self.for_agent(definition)?;
        let manifest = &loaded.generation.manifest;
        Ok(PluginRef {
            name: manifest.name.to_string(),
            version: manifest.version.clone(),
            generation: loaded.generation.number,
        })
    }

    fn limits(&self, definition: &AgentDefinition) -> Result<LimitOverrides, String> {
        Ok(self.for_agent(definition)?.generation.manifest.limits.clone())
    }

    async fn reload(&self, only: Option<&PluginName>) -> Result<Vec<ReloadedPlugin>, ReloadError> {
        let reloaded = Plugins::reload(self, only).await?;
        Ok(reloaded.into_iter().map(view).collect())
    }
}

fn running(loaded: &LoadedPlugin) -> RunningPlugin {
    let generation = &loaded.generation;
    let failures = loaded.failures().into_iter();
    RunningPlugin {
        version: generation.manifest.version.clone(),
        generation: generation.number,
        digest: generation.digest.to_string(),
        capabilities: generation.manifest.capabilities.iter().map(|c| c.to_string()).collect(),
        age_seconds: loaded.age().as_secs_f64(),
        running: loaded.running(),
        activations: loaded.activations(),
        failures: failures.map(|(reason, count)| (reason.to_string(), count)).collect(),
    }
}

/// What became of a plugin, as it is shown.
pub fn view(reloaded: Reloaded) -> ReloadedPlugin {
    let result = reloaded.word();
    let was = match reloaded.change {
        Ok(Change::From(was)) => Some(was),
        _ => None,
    };
    ReloadedPlugin {
        name: reloaded.name,
        origin: reloaded.origin,
        result: result.to_owned(),
        generation: reloaded.running.map(|running| running.generation.number),
        was,
        error: reloaded.change.err().map(|refusal| refusal.to_string()),
        cached: reloaded.took.making.cached,
        seconds: seconds(&reloaded.took),
    }
}

fn seconds(took: &Took) -> ReloadSeconds {
    ReloadSeconds {
        turn: took.turn.as_secs_f64(),
        read: took.read.as_secs_f64(),
        inspect: took.inspect.as_secs_f64(),
        compiler: took.making.waited.as_secs_f64(),
        compile: took.making.compiled.as_secs_f64(),
        link: took.making.linked.as_secs_f64(),
        number: took.number.as_secs_f64(),
        total: took.total.as_secs_f64(),
    }
}
