//! One generation that is ready to run: what runs from it, how often it has run, and how that ended.

use std::{
    collections::BTreeMap,
    ops::Deref,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crate::{
    domain::{agent::AgentDefinition, capability::CapabilitySet, ending::Reason, plugin::Generation},
    ports::sandbox::Prepared,
    services::reloads::Reloads,
};

/// One generation, compiled and linked. Its numbers are those of this host, since it was loaded.
pub struct LoadedPlugin {
    pub generation: Generation,
    pub prepared: Arc<dyn Prepared>,
    since: Instant,
    in_use: AtomicU64,
    activations: AtomicU64,
    /// By reason, in the order of [`Reason::ALL`].
    endings: [AtomicU64; Reason::ALL.len()],
    /// Since when it is given to nobody any more, and who is to know when nobody uses it.
    retired: OnceLock<(Instant, Reloads)>,
}

impl LoadedPlugin {
    pub(super) fn new(generation: Generation, prepared: Arc<dyn Prepared>) -> LoadedPlugin {
        LoadedPlugin {
            generation,
            prepared,
            since: Instant::now(),
            in_use: AtomicU64::default(),
            activations: AtomicU64::default(),
            endings: Default::default(),
            retired: OnceLock::new(),
        }
    }

    /// From now on nobody is given it.
    pub(super) fn retire(&self, reloads: &Reloads) {
        if self.retired.set((Instant::now(), reloads.clone())).is_ok() {
            reloads.retired();
        }
    }

    /// Somebody runs it from now on.
    pub fn in_use(self: Arc<LoadedPlugin>) -> InUse {
        self.in_use.fetch_add(1, Relaxed);
        InUse(self)
    }

    /// What an agent may use of it: asked for by the manifest and granted by the definition.
    pub fn capabilities(&self, definition: &AgentDefinition) -> CapabilitySet {
        self.generation.manifest.capabilities.intersection(&definition.grants)
    }

    /// Since it was loaded.
    pub fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// Items that are being run by it now.
    pub fn running(&self) -> u64 {
        self.in_use.load(Relaxed)
    }

    /// Activations that were started.
    pub fn activations(&self) -> u64 {
        self.activations.load(Relaxed)
    }

    /// Activations that did not end well, by reason; those that never came to be, and reasons that never were, are left out.
    pub fn failures(&self) -> BTreeMap<Reason, u64> {
        let counts = self.endings.iter().map(|count| count.load(Relaxed));
        let counted = Reason::ALL.into_iter().zip(counts);
        let fails = |reason: Reason| !matches!(reason, Reason::Ok | Reason::DeniedByBudget);
        counted.filter(|(reason, count)| *count > 0 && fails(*reason)).collect()
    }
}

impl Drop for LoadedPlugin {
    /// Nobody uses it any more.
    fn drop(&mut self) {
        if let Some((since, reloads)) = self.retired.get() {
            reloads.drained(&self.generation, since.elapsed(), self.activations());
        }
    }
}

/// A generation that an item runs on, until this is dropped.
pub struct InUse(Arc<LoadedPlugin>);

impl InUse {
    /// Count one more activation.
    pub fn activated(&self) {
        self.0.activations.fetch_add(1, Relaxed);
    }

    /// Count how it ended.
    pub fn ended(&self, reason: Reason) {
        self.0.endings[reason as usize].fetch_add(1, Relaxed);
    }
}

impl Deref for InUse {
    type Target = LoadedPlugin;

    fn deref(&self) -> &LoadedPlugin {
        &self.0
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.in_use.fetch_sub(1, Relaxed);
    }
}
