//! What a host has beside its API, told: plugins, workspaces, and no sandbox.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use warren::{
    adapters::boot_clock::BootClock,
    app::{
        api::{
            directory::PluginDirectory,
            types::{DrainingPlugin, PluginList, PluginRef, PluginView, ReloadedPlugin, RunningPlugin},
        },
        verify::{Place, Verification, Wiring},
    },
    domain::{
        agent::AgentDefinition,
        ids::{AgentId, HostName, PluginName},
        lease::LeaseTerms,
        limits::{LimitOverrides, Limits},
        plugin::Manifest,
    },
    ports::{
        sandbox::{ComponentFacts, PrepareError, Prepared, Sandbox},
        workspaces::{Content, WorkspaceError, Workspaces},
    },
    services::plugins::ReloadError,
};

/// One that runs, one that can't be run.
pub struct ToldPlugins;

#[async_trait]
impl PluginDirectory for ToldPlugins {
    fn list(&self) -> PluginList {
        let running = RunningPlugin {
            version: "0.1.0".into(),
            generation: 3,
            digest: "ab".repeat(32),
            capabilities: vec!["hub:read".into()],
            age_seconds: 61.0,
            running: 0,
            activations: 7,
            failures: BTreeMap::from([("trap".into(), 2)]),
        };
        let replaced = RunningPlugin {
            generation: 2,
            running: 1,
            ..running.clone()
        };
        let view = |name: &str, running, error| PluginView {
            name: name.into(),
            origin: format!("plugins/{name}"),
            running,
            error,
            agents: Vec::new(),
        };
        PluginList {
            plugins: vec![
                view("broken", None, Some("not a component".into())),
                view("echo", Some(running), None),
            ],
            draining: vec![DrainingPlugin {
                name: "echo".into(),
                generation: replaced,
            }],
        }
    }

    fn of(&self, definition: &AgentDefinition) -> Result<PluginRef, String> {
        match definition.plugin.as_str() {
            "echo" => Ok(PluginRef {
                name: "echo".into(),
                version: "0.1.0".into(),
                generation: 3,
            }),
            other => Err(format!("this host has no plugin {other}")),
        }
    }

    fn limits(&self, definition: &AgentDefinition) -> Result<LimitOverrides, String> {
        let entries = Some(500);
        self.of(definition).map(|_| LimitOverrides {
            workspace_entries: entries,
            ..LimitOverrides::default()
        })
    }

    async fn reload(&self, only: Option<&PluginName>) -> Result<Vec<ReloadedPlugin>, ReloadError> {
        let reloaded = |name: &str, result: &str, generation, was, error: Option<&str>| ReloadedPlugin {
            name: name.into(),
            origin: format!("plugins/{name}"),
            result: result.into(),
            generation,
            was,
            error: error.map(Into::into),
            cached: true,
            seconds: Default::default(),
        };
        let echo = || reloaded("echo", "replaced", Some(4), Some(3), None);
        match only.map(PluginName::as_str) {
            None => Ok(vec![
                reloaded("broken", "refused", None, None, Some("not a component")),
                echo(),
            ]),
            Some("echo") => Ok(vec![echo()]),
            Some("late") => Err(ReloadError::Stopping),
            Some(other) => Err(ReloadError::Unknown(format!("there is no plugin {other}"))),
        }
    }
}

/// What is said of the workspaces of agents, by id; one that was wiped is gone.
#[derive(Default)]
pub struct ToldWorkspaces(pub Mutex<HashMap<&'static str, Result<Content, WorkspaceError>>>);

#[async_trait]
impl Workspaces for ToldWorkspaces {
    async fn look(&self, agent: &AgentId) -> Result<Option<Content>, WorkspaceError> {
        self.0.lock().unwrap().get(agent.as_str()).cloned().transpose()
    }

    async fn wipe(&self, agent: &AgentId) -> Result<Option<Content>, WorkspaceError> {
        match self.look(agent).await? {
            Some(content) if content.in_use => Err(WorkspaceError::InUse),
            Some(content) => {
                self.0.lock().unwrap().remove(agent.as_str());
                Ok(Some(content))
            }
            None => Ok(None),
        }
    }
}

/// Nothing here joins a scope: that needs a host (`tests/verify.rs`).
pub fn verification(host: HostName, folder: &Path) -> Arc<Verification> {
    Arc::new(Verification::new(Wiring {
        host,
        runner: false,
        place: Place::Files(folder.to_owned()),
        sandbox: Arc::new(NoSandbox),
        clock: Arc::new(BootClock),
        lease: LeaseTerms {
            length: Duration::from_secs(30),
            margin: Duration::from_secs(1),
        },
        call_timeout: Duration::from_secs(2),
        limits: Limits::default(),
        max_limits: Limits::default(),
    }))
}

struct NoSandbox;

#[async_trait]
impl Sandbox for NoSandbox {
    fn inspect(&self, _: &[u8]) -> Result<ComponentFacts, PrepareError> {
        Err(PrepareError::Host("there is no sandbox here".into()))
    }

    async fn prepare(&self, _: &Manifest, _: Vec<u8>) -> Result<Arc<dyn Prepared>, PrepareError> {
        Err(PrepareError::Host("there is no sandbox here".into()))
    }
}
