//! The plugins of this host: read, numbered, compiled, and looked up by the runner.
//!
//! A plugin is swapped in one step, after everything that can fail has been done; whoever runs keeps what it started with.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::Context;
use tokio::task;
use tracing::{error, info};

use crate::{
    domain::{
        agent::AgentDefinition,
        capability::CapabilitySet,
        ids::PluginName,
        plugin::{Generation, Manifest},
    },
    ports::{
        plugin_source::PluginSource,
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
}

impl Plugins {
    pub fn new(sandbox: Arc<dyn Sandbox>, numbers: Arc<dyn PluginStore>, source: Arc<dyn PluginSource>) -> Plugins {
        Plugins {
            sandbox,
            numbers,
            source,
            table: RwLock::default(),
        }
    }

    /// Read and compile everything there is. A broken plugin is reported and leaves the others alone.
    pub async fn load_all(&self) -> anyhow::Result<()> {
        let source = Arc::clone(&self.source);
        let found = task::spawn_blocking(move || source.scan())
            .await
            .context("reading the plugins")?
            .map_err(anyhow::Error::msg)?;
        for plugin in found {
            let status = match plugin.content {
                Err(why) => {
                    error!(plugin = plugin.origin, why, "can't load a plugin");
                    PluginStatus {
                        name: plugin.origin.clone(),
                        origin: plugin.origin,
                        loaded: None,
                        error: Some(why),
                    }
                }
                Ok((manifest, component)) => self.load(plugin.origin, manifest, component).await,
            };
            self.table
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(status.name.clone(), status);
        }
        Ok(())
    }

    async fn load(&self, origin: String, manifest: Manifest, component: Vec<u8>) -> PluginStatus {
        let name = manifest.name.to_string();
        match self.prepare(manifest, component).await {
            Ok(loaded) => {
                info!(plugin = name, generation = loaded.generation.number, digest = %loaded.generation.digest.short(), "plugin ready");
                PluginStatus {
                    name,
                    origin,
                    loaded: Some(Arc::new(loaded)),
                    error: None,
                }
            }
            Err(why) => {
                let why = format!("{why:#}");
                error!(plugin = name, origin, why, "can't load a plugin");
                PluginStatus {
                    name,
                    origin,
                    loaded: None,
                    error: Some(why),
                }
            }
        }
    }

    async fn prepare(&self, manifest: Manifest, component: Vec<u8>) -> anyhow::Result<LoadedPlugin> {
        let prepared = self.sandbox.prepare(&manifest, component).await?;
        let digest = prepared.facts().digest;
        let number = self.numbers.generation(&manifest.name, &digest).await?;
        let generation = Generation {
            manifest,
            number,
            digest,
        };
        Ok(LoadedPlugin {
            generation,
            prepared,
            activations: AtomicU64::new(0),
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
        if missing.iter().next().is_some() {
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
