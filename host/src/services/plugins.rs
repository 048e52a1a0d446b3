//! The plugins of this host: read, numbered, compiled, and looked up by the runner.
//!
//! A plugin is swapped in one step, after everything that can fail has been done; whoever runs keeps what it started with.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::Context;
use tokio::{sync::Mutex, task};
use tracing::{error, info};

use crate::{
    domain::{
        agent::AgentDefinition,
        capability::CapabilitySet,
        ids::PluginName,
        plugin::{Generation, Manifest},
    },
    ports::{
        plugin_source::{FoundPlugin, PluginSource},
        plugin_store::PluginStore,
        sandbox::{Prepared, Sandbox},
    },
};

/// One generation, compiled and linked.
pub struct LoadedPlugin {
    pub generation: Generation,
    pub prepared: Arc<dyn Prepared>,
    activations: AtomicU64,
}

impl LoadedPlugin {
    /// Count one more activation.
    pub fn activated(&self) {
        self.activations.fetch_add(1, Ordering::Relaxed);
    }

    /// What an agent may use of it: asked for by the manifest and granted by the definition.
    pub fn capabilities(&self, definition: &AgentDefinition) -> CapabilitySet {
        self.generation.manifest.capabilities.intersection(&definition.grants)
    }

    /// Activations of this generation on this host.
    pub fn activations(&self) -> u64 {
        self.activations.load(Ordering::Relaxed)
    }
}

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

pub struct Plugins {
    sandbox: Arc<dyn Sandbox>,
    numbers: Arc<dyn PluginStore>,
    source: Arc<dyn PluginSource>,
    /// By name; what could not even tell its name is under its origin.
    table: RwLock<BTreeMap<String, PluginStatus>>,
    loading: Mutex<()>,
}

impl Plugins {
    pub fn new(sandbox: Arc<dyn Sandbox>, numbers: Arc<dyn PluginStore>, source: Arc<dyn PluginSource>) -> Plugins {
        Plugins {
            sandbox,
            numbers,
            source,
            table: RwLock::default(),
            loading: Mutex::default(),
        }
    }

    /// Read and compile everything there is; again, whenever that may have changed. A broken plugin is reported and leaves
    /// the others alone, and what ran under its name before goes on. What is gone from the source is forgotten. An error
    /// is the source's or the store's, none of a plugin.
    pub async fn load_all(&self) -> anyhow::Result<()> {
        // One at a time: two would undo each other's work.
        let _loading = self.loading.lock().await;
        let source = Arc::clone(&self.source);
        let found = task::spawn_blocking(move || source.scan())
            .await
            .context("reading the plugins")?
            .map_err(anyhow::Error::msg)?;
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        for plugin in found {
            let before = self.before(&plugin);
            let mut status = match plugin.content {
                Err(why) => broken(&plugin.origin, before, why),
                Ok((manifest, component)) => match seen.get(manifest.name.as_str()) {
                    Some(first) => {
                        let why = format!("plugin {} is in {first} already; rename or remove one", manifest.name);
                        broken(&plugin.origin, None, why)
                    }
                    None => self.load(plugin.origin, manifest, component, before).await?,
                },
            };
            if let Some(first) = seen.get(&status.name) {
                // Its manifest can't be read and its place ran under a name that another place has now.
                error!(
                    plugin = status.name,
                    origin = status.origin,
                    first,
                    "two places with one plugin"
                );
                status = PluginStatus {
                    name: status.origin.clone(),
                    loaded: None,
                    ..status
                };
            }
            seen.insert(status.name.clone(), status.origin.clone());
            self.write().insert(status.name.clone(), status);
        }
        self.write().retain(|name, _| seen.contains_key(name));
        Ok(())
    }

    /// What stood for this place, or under this name, until now.
    fn before(&self, found: &FoundPlugin) -> Option<PluginStatus> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        match &found.content {
            Ok((manifest, _)) => table.get(manifest.name.as_str()).cloned(),
            Err(_) => table.values().find(|status| status.origin == found.origin).cloned(),
        }
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, PluginStatus>> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    async fn load(
        &self,
        origin: String,
        manifest: Manifest,
        component: Vec<u8>,
        before: Option<PluginStatus>,
    ) -> anyhow::Result<PluginStatus> {
        let name = manifest.name.to_string();
        let prepared = match self.sandbox.prepare(&manifest, component).await {
            Ok(prepared) => prepared,
            Err(error) => {
                let before = before.or(Some(PluginStatus {
                    name,
                    origin: origin.clone(),
                    loaded: None,
                    error: None,
                }));
                return Ok(broken(&origin, before, error.to_string()));
            }
        };
        let digest = prepared.facts().digest;
        let running = before.and_then(|before| before.loaded);
        let unchanged = running.filter(|r| r.generation.digest == digest && r.generation.manifest == manifest);
        let loaded = match unchanged {
            Some(running) => running,
            None => {
                let number = self.numbers.generation(&manifest.name, &digest).await;
                let number = number.with_context(|| format!("asking the store for the generation of plugin {name}"))?;
                info!(plugin = name, generation = number, digest = %digest.short(), "plugin ready");
                Arc::new(LoadedPlugin {
                    generation: Generation {
                        manifest,
                        number,
                        digest,
                    },
                    prepared,
                    activations: AtomicU64::new(0),
                })
            }
        };
        Ok(PluginStatus {
            name,
            origin,
            loaded: Some(loaded),
            error: None,
        })
    }

    /// What runs now under this name, or why nothing does.
    pub fn current(&self, name: &PluginName) -> Result<Arc<LoadedPlugin>, String> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        match table.get(name.as_str()) {
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
        self.table
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }
}

/// A plugin that can't be loaded as it is now; what stood in its place before goes on.
fn broken(origin: &str, before: Option<PluginStatus>, why: String) -> PluginStatus {
    let (name, loaded) = match before {
        Some(before) => (before.name, before.loaded),
        None => (origin.to_owned(), None),
    };
    error!(
        plugin = name,
        origin,
        why,
        still_runs = loaded.is_some(),
        "can't load a plugin"
    );
    PluginStatus {
        name,
        origin: origin.to_owned(),
        loaded,
        error: Some(why),
    }
}
