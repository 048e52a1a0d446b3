//! The plugins of this host: read, numbered, compiled, and looked up by the runner.
//!
//! `reload` makes what lies in the source what runs. A plugin is swapped in one step, after everything that can fail has
//! been done; whoever runs keeps what it started with ([`InUse`]), and what nobody runs any more is let go of.

mod gates;
mod loaded;
mod outcome;
mod reload;

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak},
};

use tokio_util::sync::CancellationToken;

use self::gates::Gates;
pub use self::{
    loaded::{InUse, LoadedPlugin},
    outcome::{Change, Refusal, ReloadError, Reloaded, Took},
};
use super::reloads::Reloads;
use crate::{
    domain::{agent::AgentDefinition, ids::PluginName},
    ports::{plugin_source::PluginSource, plugin_store::PluginStore, sandbox::Sandbox},
};

/// A plugin as operators see it.
#[derive(Clone)]
pub struct PluginStatus {
    pub name: String,
    /// Where it was read from.
    pub origin: String,
    pub loaded: Option<Arc<LoadedPlugin>>,
    /// Why the newest content of `origin` is not what runs.
    pub error: Option<String>,
}

/// What was replaced or removed while activations ran on it.
#[derive(Clone)]
pub struct Draining {
    pub name: String,
    pub generation: Arc<LoadedPlugin>,
}

#[derive(Default)]
struct Table {
    /// By name; what could not even tell its name is under its origin.
    plugins: BTreeMap<String, PluginStatus>,
    /// Kept alive by those who run it alone.
    replaced: Vec<Weak<LoadedPlugin>>,
}

impl Table {
    /// What nobody can be given any more.
    fn retire(&mut self, old: &Arc<LoadedPlugin>, reloads: &Reloads) {
        old.retire(reloads);
        self.replaced.retain(|generation| generation.strong_count() > 0);
        self.replaced.push(Arc::downgrade(old));
    }
}

pub struct Plugins {
    sandbox: Arc<dyn Sandbox>,
    numbers: Arc<dyn PluginStore>,
    source: Arc<dyn PluginSource>,
    table: RwLock<Table>,
    gates: Gates,
    /// Told of every reload.
    pub reloads: Reloads,
    closed: CancellationToken,
}

impl Plugins {
    pub fn new(sandbox: Arc<dyn Sandbox>, numbers: Arc<dyn PluginStore>, source: Arc<dyn PluginSource>) -> Plugins {
        Plugins {
            sandbox,
            numbers,
            source,
            table: RwLock::default(),
            gates: Gates::default(),
            reloads: Reloads::unheard(),
            closed: CancellationToken::new(),
        }
    }

    /// With somebody who is told of every reload.
    pub fn heard_by(self, reloads: Reloads) -> Plugins {
        Plugins { reloads, ..self }
    }

    /// From now on nothing is replaced: the host stops. What is being reloaded is refused.
    pub fn close(&self) {
        // With the lock: whoever is about to replace something does it before, or sees that it may not.
        let _table = self.write();
        self.closed.cancel();
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What runs now under this name, or why nothing does.
    pub fn current(&self, name: &PluginName) -> Result<Arc<LoadedPlugin>, String> {
        match self.read().plugins.get(name.as_str()) {
            Some(PluginStatus {
                loaded: Some(loaded), ..
            }) => Ok(Arc::clone(loaded)),
            Some(PluginStatus { error: Some(why), .. }) => Err(format!("plugin {name} could not be loaded: {why}")),
            _ => Err(format!(
                "this host has no plugin {name}; `warren plugin list` shows those that it has"
            )),
        }
    }

    /// What would run this agent now, or why nothing can.
    pub fn for_agent(&self, definition: &AgentDefinition) -> Result<Arc<LoadedPlugin>, String> {
        let loaded = self.current(&definition.plugin)?;
        let missing = loaded.prepared.missing(&loaded.capabilities(definition));
        if !missing.is_empty() {
            return Err(format!(
                "plugin {} imports what agent {} is not granted: {missing}; add it to `capabilities.grants` in the \
                 agent's config.yaml",
                definition.plugin, definition.name
            ));
        }
        Ok(loaded)
    }

    pub fn list(&self) -> Vec<PluginStatus> {
        self.read().plugins.values().cloned().collect()
    }

    /// Generations that are no longer given to anybody and on which activations still run, oldest first.
    pub fn draining(&self) -> Vec<Draining> {
        let table = self.read();
        let alive = table.replaced.iter().filter_map(Weak::upgrade);
        let in_use = alive.filter(|generation| generation.running() > 0);
        in_use
            .map(|generation| Draining {
                name: generation.generation.manifest.name.to_string(),
                generation,
            })
            .collect()
    }
}
