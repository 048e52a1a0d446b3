//! Writes down what ran: around the sandbox, so that nothing else of a host knows that it is watched.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::{
    domain::{
        capability::CapabilitySet,
        ids::{AgentName, ItemId},
        plugin::Manifest,
        time::BootTime,
        work_item::WorkItem,
    },
    ports::{
        clock::Clock,
        sandbox::{Activated, Activation, ComponentFacts, Making, PrepareError, Prepared, Sandbox, Verdict},
    },
};

/// Runs that are written down; a scope's load is far smaller.
const MOST_RUNS: usize = 50_000;

/// One activation that is over.
#[derive(Clone, Debug)]
pub struct Run {
    pub item: ItemId,
    pub agent: AgentName,
    pub began: BootTime,
    pub ended: BootTime,
    /// `ok`, a reason code, or `cut`.
    pub ending: String,
}

pub struct Runs {
    clock: Arc<dyn Clock>,
    ended: Mutex<Vec<Run>>,
}

impl Runs {
    pub fn new(clock: Arc<dyn Clock>) -> Runs {
        Runs {
            clock,
            ended: Mutex::default(),
        }
    }

    pub fn take(&self) -> Vec<Run> {
        std::mem::take(&mut *self.ended.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn begin(&self, item: &WorkItem) -> Running<'_> {
        Running {
            runs: self,
            item: item.id,
            agent: item.agent_name.clone(),
            began: self.clock.now(),
            ending: "cut".to_owned(),
        }
    }
}

/// Written down when it is dropped, so that a run that is cut is one, too.
struct Running<'r> {
    runs: &'r Runs,
    item: ItemId,
    agent: AgentName,
    began: BootTime,
    ending: String,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut ended = self.runs.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.len() < MOST_RUNS {
            ended.push(Run {
                item: self.item,
                agent: self.agent.clone(),
                began: self.began,
                ended: self.runs.clock.now(),
                ending: std::mem::take(&mut self.ending),
            });
        }
    }
}

/// A host's sandbox, watched.
pub struct WatchedSandbox {
    pub sandbox: Arc<dyn Sandbox>,
    pub runs: Arc<Runs>,
}

#[async_trait]
impl Sandbox for WatchedSandbox {
    fn inspect(&self, component: &[u8]) -> Result<ComponentFacts, PrepareError> {
        self.sandbox.inspect(component)
    }

    async fn prepare(&self, manifest: &Manifest, component: Vec<u8>) -> Result<Arc<dyn Prepared>, PrepareError> {
        Ok(Arc::new(Watched {
            prepared: self.sandbox.prepare(manifest, component).await?,
            runs: Arc::clone(&self.runs),
        }))
    }
}

struct Watched {
    prepared: Arc<dyn Prepared>,
    runs: Arc<Runs>,
}

#[async_trait]
impl Prepared for Watched {
    fn facts(&self) -> &ComponentFacts {
        self.prepared.facts()
    }

    fn making(&self) -> Making {
        self.prepared.making()
    }

    fn missing(&self, capabilities: &CapabilitySet) -> CapabilitySet {
        self.prepared.missing(capabilities)
    }

    async fn activate(&self, activation: Activation) -> Activated {
        let mut running = self.runs.begin(&activation.item);
        let activated = self.prepared.activate(activation).await;
        running.ending = match &activated.verdict {
            Verdict::Outcome { .. } => "ok".to_owned(),
            Verdict::Failure { .. } => "guest_error".to_owned(),
            Verdict::Stopped { reason, .. } => reason.to_string(),
        };
        activated
    }
}
