//! A sandbox whose guests are closures, and the files that name them.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::Notify;
use warren::{
    domain::{
        capability::CapabilitySet,
        ids::PluginName,
        limits::LimitOverrides,
        plugin::{Digest, Manifest, WORLD},
    },
    ports::{
        plugin_source::{Place, PluginSource},
        sandbox::{Activated, Activation, ComponentFacts, Making, PrepareError, Prepared, Sandbox, Usage, Verdict},
    },
};

type Running = Pin<Box<dyn Future<Output = Verdict> + Send>>;
type Script = Arc<dyn Fn(Activation) -> Running + Send + Sync>;

/// Every plugin of it runs the one script that is set when the activation starts.
pub struct ScriptedSandbox {
    script: Arc<Mutex<Script>>,
    /// Components that begin with this byte are compiled until it is rung.
    pub held: Mutex<Option<(u8, Arc<Notify>)>>,
}

impl Default for ScriptedSandbox {
    fn default() -> ScriptedSandbox {
        let script: Script = Arc::new(|_| Box::pin(async { outcome(&[]) }));
        ScriptedSandbox {
            script: Arc::new(Mutex::new(script)),
            held: Mutex::default(),
        }
    }
}

impl ScriptedSandbox {
    pub fn play<F: Future<Output = Verdict> + Send + 'static>(
        &self,
        script: impl Fn(Activation) -> F + Send + Sync + 'static,
    ) {
        *self.script.lock().unwrap() = Arc::new(move |activation| Box::pin(script(activation)));
    }
}

pub fn outcome(handled: &[&str]) -> Verdict {
    Verdict::Outcome {
        summary: "done".to_owned(),
        handled: handled.iter().map(ToString::to_string).collect(),
    }
}

struct Scripted {
    facts: ComponentFacts,
    script: Arc<Mutex<Script>>,
}

#[async_trait]
impl Sandbox for ScriptedSandbox {
    fn inspect(&self, component: &[u8]) -> Result<ComponentFacts, PrepareError> {
        let first = *component
            .first()
            .ok_or_else(|| PrepareError::Invalid("it is empty".to_owned()))?;
        Ok(ComponentFacts {
            digest: Digest([first; 32]),
            size: component.len() as u64,
            world_version: None,
            imports: Vec::new(),
            exports: Vec::new(),
            needs: CapabilitySet::default(),
            unknown: Vec::new(),
        })
    }

    async fn prepare(&self, _: &Manifest, component: Vec<u8>) -> Result<Arc<dyn Prepared>, PrepareError> {
        let held = self.held.lock().unwrap().clone();
        if let Some((byte, ring)) = held
            && component[0] == byte
        {
            ring.notified().await;
        }
        Ok(Arc::new(Scripted {
            facts: self.inspect(&component)?,
            script: Arc::clone(&self.script),
        }))
    }
}

#[async_trait]
impl Prepared for Scripted {
    fn facts(&self) -> &ComponentFacts {
        &self.facts
    }

    fn making(&self) -> Making {
        Making::default()
    }

    fn missing(&self, _: &CapabilitySet) -> CapabilitySet {
        CapabilitySet::default()
    }

    async fn activate(&self, activation: Activation) -> Activated {
        let script = Arc::clone(&self.script.lock().unwrap());
        Activated {
            verdict: script(activation).await,
            usage: Usage::default(),
            upstream_seen: false,
        }
    }
}

/// A plugin's name and its component's byte, or what is wrong with its manifest.
type Content = Result<(String, u8), String>;

/// What lies in the plugin folder, by place.
#[derive(Default)]
pub struct Folder(Mutex<BTreeMap<String, Content>>);

impl Folder {
    /// A component that starts with this byte; 0 stands for one that can't be compiled.
    pub fn put(&self, place: &str, plugin: &str, byte: u8) {
        self.0
            .lock()
            .unwrap()
            .insert(place.to_owned(), Ok((plugin.to_owned(), byte)));
    }

    pub fn spoil(&self, place: &str) {
        let wrong = Err("plugin.toml: no name".to_owned());
        self.0.lock().unwrap().insert(place.to_owned(), wrong);
    }

    pub fn remove(&self, place: &str) {
        self.0.lock().unwrap().remove(place);
    }
}

pub fn manifest(plugin: &str) -> Manifest {
    Manifest {
        name: PluginName::new(plugin).unwrap(),
        version: "1".to_owned(),
        world: WORLD.to_owned(),
        description: String::new(),
        capabilities: CapabilitySet::default(),
        limits: LimitOverrides::default(),
    }
}

#[async_trait]
impl PluginSource for Folder {
    async fn places(&self) -> Result<Vec<Place>, String> {
        let found = self.0.lock().unwrap().clone();
        let place = |(origin, content): (String, Content)| Place {
            origin,
            manifest: content.map(|(plugin, _)| manifest(&plugin)),
        };
        Ok(found.into_iter().map(place).collect())
    }

    async fn read(&self, origin: &str, _: Duration) -> Result<(Manifest, Vec<u8>), String> {
        let (plugin, byte) = self.0.lock().unwrap()[origin].clone()?;
        let component = if byte == 0 { Vec::new() } else { vec![byte] };
        Ok((manifest(&plugin), component))
    }
}
