//! Makes what lies in the source what runs: reads each place once it is whole, checks it, compiles it, asks the store for
//! its number, and only then puts it in the place of what ran.
//!
//! Reloads of one plugin take turns, and each reads the files anew, so that the last to be asked for is never older than
//! the asking. Those of different plugins go side by side: who compiles for a minute keeps nobody waiting but himself.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task;
use tracing::warn;

use super::{Change, LoadedPlugin, PluginStatus, Plugins, Refusal, ReloadError, Reloaded, Took};
use crate::{
    domain::{
        ids::PluginName,
        plugin::{Generation, Manifest},
    },
    ports::{plugin_source::Place, sandbox::ComponentFacts},
};

/// For so long the files have to be left alone before they are read.
const STILL: Duration = Duration::from_millis(100);

/// The same for files that make no sense: it may be that somebody copies them slowly.
const STILL_IF_BROKEN: Duration = Duration::from_secs(2);

/// What was read of one place, and makes sense.
struct Whole {
    manifest: Manifest,
    component: Vec<u8>,
    facts: ComponentFacts,
}

/// A place, and the name that its plugin goes by: its own, or while that can't be read, the one that the place had last.
struct Target {
    origin: String,
    key: String,
    /// The place that has this name already.
    twin: Option<String>,
}

/// What the one step did.
struct Taken {
    /// That the plugin has now.
    name: String,
    /// What nobody is given any more.
    retired: Vec<Arc<LoadedPlugin>>,
}

impl Plugins {
    /// Load every plugin there is; again, whenever that may have changed. A broken plugin is reported and leaves the others
    /// alone, and what ran under its name before goes on. What is gone from the source is forgotten. An error is the
    /// source's or the store's, none of a plugin.
    pub async fn load_all(&self) -> anyhow::Result<()> {
        for reloaded in self.reload_places(None, true).await? {
            if let Err(Refusal::Store(error)) = reloaded.change {
                let asking = format!("asking the store for the generation of plugin {}", reloaded.name);
                return Err(anyhow::Error::new(error).context(asking));
            }
        }
        Ok(())
    }

    /// The same at an operator's word, for one plugin or all, with what became of each. Safe to cancel: what was not yet
    /// replaced is left as it was.
    pub async fn reload(&self, only: Option<&PluginName>) -> Result<Vec<Reloaded>, ReloadError> {
        tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(ReloadError::Stopping),
            reloaded = self.reload_places(only, false) => reloaded,
        }
    }

    async fn reload_places(&self, only: Option<&PluginName>, at_start: bool) -> Result<Vec<Reloaded>, ReloadError> {
        let targets = self.targets().await?;
        let wanted = |key: &str| only.is_none_or(|only| only.as_str() == key);
        let mut reloaded = Vec::new();
        for target in targets.iter().filter(|target| wanted(&target.key)) {
            reloaded.push(self.reload_place(target, at_start).await);
        }
        let known: Vec<String> = self.read().plugins.keys().cloned().collect();
        for name in known {
            if wanted(&name) && !targets.iter().any(|target| target.key == name) {
                reloaded.extend(self.forget(&name).await?);
            }
        }
        match only {
            Some(name) if reloaded.is_empty() => Err(ReloadError::Unknown(unknown(name, &targets))),
            _ => Ok(reloaded),
        }
    }

    async fn targets(&self) -> Result<Vec<Target>, ReloadError> {
        let places = self.source.places().await.map_err(ReloadError::Source)?;
        let mut targets: Vec<Target> = Vec::new();
        for place in places {
            let key = self.key(&place);
            let twin = targets.iter().find(|other| other.key == key);
            targets.push(Target {
                twin: twin.map(|twin| twin.origin.clone()),
                key: if twin.is_some() { place.origin.clone() } else { key },
                origin: place.origin,
            });
        }
        Ok(targets)
    }

    fn key(&self, place: &Place) -> String {
        match &place.manifest {
            Ok(manifest) => manifest.name.to_string(),
            Err(_) => {
                let table = self.read();
                let here = table.plugins.values().find(|status| status.origin == place.origin);
                here.map_or_else(|| place.origin.clone(), |status| status.name.clone())
            }
        }
    }

    async fn reload_place(&self, target: &Target, at_start: bool) -> Reloaded {
        let mut took = Took::default();
        let began = Instant::now();
        let _turn = self.gates.pass(&target.key).await;
        took.turn = began.elapsed();
        let made = match &target.twin {
            Some(first) => Err(Refusal::Plugin(format!(
                "its plugin is in {first} already; rename or remove one of the two"
            ))),
            None => self.make(target, &mut took).await,
        };
        let taken = made.and_then(|(loaded, change)| Ok((self.take(target, loaded)?, change)));
        let (name, change, retired) = match taken {
            Ok((taken, change)) => (taken.name, Ok(change), taken.retired),
            Err(refusal) => {
                self.refused(target, &refusal);
                (target.key.clone(), Err(refusal), Vec::new())
            }
        };
        took.total = began.elapsed();
        let running = self.read().plugins.get(&name).and_then(|status| status.loaded.clone());
        let reloaded = Reloaded {
            name,
            origin: target.origin.clone(),
            change,
            running,
            took,
        };
        reloaded.log();
        self.reloads.plugin(&reloaded, at_start);
        // Only now: the last of these tells that it is drained.
        drop(retired);
        reloaded
    }

    /// Everything that can fail and takes time.
    async fn make(&self, target: &Target, took: &mut Took) -> Result<(Arc<LoadedPlugin>, Change), Refusal> {
        let whole = match self.whole(&target.origin, STILL, took).await {
            Err(_) => self.whole(&target.origin, STILL_IF_BROKEN, took).await,
            whole => whole,
        };
        let Whole {
            manifest,
            component,
            facts,
        } = whole.map_err(Refusal::Plugin)?;
        let running = self.current(&manifest.name).ok();
        let same = running
            .as_ref()
            .filter(|running| running.generation.digest == facts.digest);
        let prepared = match same.filter(|running| running.generation.manifest == manifest) {
            Some(running) => Arc::clone(&running.prepared),
            None => {
                let prepared = self.sandbox.prepare(&manifest, component).await;
                let prepared = prepared.map_err(|error| Refusal::Plugin(error.to_string()))?;
                took.making = prepared.making();
                prepared
            }
        };
        let asking = Instant::now();
        // Also of what has not changed: the store may not be the one that it was.
        let number = self.numbers.generation(&manifest.name, &facts.digest).await;
        took.number = asking.elapsed();
        let generation = Generation {
            number: number.map_err(Refusal::Store)?,
            digest: facts.digest,
            manifest,
        };
        match running {
            Some(running) if running.generation == generation => Ok((running, Change::Unchanged)),
            running => {
                let change = match running {
                    None => Change::New,
                    Some(old) if old.generation.number == generation.number => Change::Manifest,
                    Some(old) => Change::From(old.generation.number),
                };
                Ok((Arc::new(LoadedPlugin::new(generation, prepared)), change))
            }
        }
    }

    /// What lies in a place once nobody has written there for `still`, or what is wrong with it.
    async fn whole(&self, origin: &str, still: Duration, took: &mut Took) -> Result<Whole, String> {
        let reading = Instant::now();
        let read = self.source.read(origin, still).await;
        took.read += reading.elapsed();
        let (manifest, component) = read?;
        let inspecting = Instant::now();
        let sandbox = Arc::clone(&self.sandbox);
        let inspect = move || sandbox.inspect(&component).map(|facts| (component, facts));
        let inspected = task::spawn_blocking(inspect).await;
        took.inspect += inspecting.elapsed();
        let (component, facts) = inspected
            .map_err(|error| format!("the inspection failed: {error}"))?
            .map_err(|error| error.to_string())?;
        Ok(Whole {
            manifest,
            component,
            facts,
        })
    }

    /// The one step.
    fn take(&self, target: &Target, loaded: Arc<LoadedPlugin>) -> Result<Taken, Refusal> {
        let mut retired = Vec::new();
        let mut table = self.write();
        if self.closed.is_cancelled() {
            return Err(Refusal::Stopping);
        }
        let name = loaded.generation.manifest.name.to_string();
        if name != target.key {
            // Its manifest became readable, or another, after the places were listed.
            if let Some(other) = table.plugins.get(&name).filter(|other| other.origin != target.origin) {
                let why = format!(
                    "plugin {name} is in {} already; rename or remove one of the two",
                    other.origin
                );
                return Err(Refusal::Plugin(why));
            }
            retired.extend(table.plugins.remove(&target.key).and_then(|before| before.loaded));
        }
        let status = PluginStatus {
            name: name.clone(),
            origin: target.origin.clone(),
            loaded: Some(Arc::clone(&loaded)),
            error: None,
        };
        let old = table.plugins.insert(name.clone(), status).and_then(|old| old.loaded);
        retired.extend(old.filter(|old| !Arc::ptr_eq(old, &loaded)));
        for old in &retired {
            table.retire(old, &self.reloads);
        }
        Ok(Taken { name, retired })
    }

    /// What stood in a refused one's place goes on, and the reason is shown beside it.
    fn refused(&self, target: &Target, refusal: &Refusal) {
        if matches!(refusal, Refusal::Stopping) {
            return;
        }
        let mut table = self.write();
        let status = table.plugins.entry(target.key.clone()).or_insert_with(|| PluginStatus {
            name: target.key.clone(),
            origin: target.origin.clone(),
            loaded: None,
            error: None,
        });
        status.origin.clone_from(&target.origin);
        status.error = Some(refusal.to_string());
    }

    /// A plugin whose files are gone, unless they have come back by now.
    async fn forget(&self, name: &str) -> Result<Option<Reloaded>, ReloadError> {
        let _turn = self.gates.pass(name).await;
        if self.targets().await?.iter().any(|target| target.key == name) {
            return Ok(None);
        }
        let mut table = self.write();
        if self.closed.is_cancelled() {
            return Err(ReloadError::Stopping);
        }
        let Some(status) = table.plugins.remove(name) else {
            return Ok(None);
        };
        // What never ran was only known for what is wrong with it.
        if status.loaded.is_none() {
            return Ok(None);
        }
        if let Some(old) = &status.loaded {
            table.retire(old, &self.reloads);
        }
        drop(table);
        warn!(
            plugin = name,
            origin = status.origin,
            "a plugin's files are gone: nothing more is run by it"
        );
        let gone = Reloaded {
            name: status.name,
            origin: status.origin,
            change: Ok(Change::Gone),
            running: None,
            took: Took::default(),
        };
        self.reloads.plugin(&gone, false);
        drop(status.loaded);
        Ok(Some(gone))
    }
}

fn unknown(name: &PluginName, targets: &[Target]) -> String {
    let known: Vec<&str> = targets.iter().map(|target| target.key.as_str()).collect();
    match known.as_slice() {
        [] => format!("there is no plugin {name}: host.plugin_dir of this host holds none"),
        known => format!(
            "there is no plugin {name}: host.plugin_dir of this host holds {}",
            known.join(", ")
        ),
    }
}
