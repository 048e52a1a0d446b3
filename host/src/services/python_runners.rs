//! Notices runners of the Python system that share this store: they take items from the queues without a claim, so nothing
//! that Warren promises holds for those. Warren can't stop them, but it says so: an event at each one's first sighting, and a
//! line in `status`.
//!
//! What was sighted is part of the leader's state, so a successor does not raise the events again.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time;
use tracing::{debug, warn};

use super::{
    election::{LeaderTask, LeaderTerm},
    leader_state::LeaderNotes,
};
use crate::{
    domain::event::NewEvent,
    ports::{events::Events, hosts::Hosts, store::StoreError, work_queue::Fence},
};

/// Runners that are told of; one is trouble enough.
const MOST: usize = 20;

pub struct PythonRunners {
    pub hosts: Arc<dyn Hosts>,
    pub events: Arc<dyn Events>,
    pub notes: Arc<LeaderNotes>,
    /// Between two looks, each of which is bounded.
    pub every: Duration,
    /// The longest that one call may take.
    pub call_timeout: Duration,
}

/// How far the store has been looked through.
#[derive(Default)]
struct Pass {
    /// Where the next look goes on.
    from: String,
    /// Runners that this pass has come upon.
    met: BTreeSet<String>,
}

#[async_trait]
impl LeaderTask for PythonRunners {
    fn name(&self) -> &'static str {
        "python-runners"
    }

    async fn lead(&self, term: Arc<LeaderTerm>) -> anyhow::Result<()> {
        tokio::select! {
            () = term.ended().cancelled() => {}
            () = self.look_forever(&term) => {}
        }
        Ok(())
    }
}

impl PythonRunners {
    async fn look_forever(&self, term: &LeaderTerm) {
        let mut pass = Pass::default();
        while let Ok(fence) = term.check() {
            if let Err(error) = self.look(fence, &mut pass).await {
                // Whoever else talks to the store says so louder; this look is only late.
                debug!(%error, "could not look for Python runners");
            }
            time::sleep(self.every).await;
        }
        term.ended().cancelled().await;
    }

    /// One look. If it fails nothing has moved on, and the next one is as good.
    async fn look(&self, fence: &Fence, pass: &mut Pass) -> Result<(), StoreError> {
        let known = self.bounded(self.notes.inherit(fence)).await?.python_runners;
        let found = self.bounded(self.hosts.foreign_runners(&pass.from)).await?;
        let mut met = pass.met.clone();
        met.extend(found.ids);
        let mut now: BTreeSet<String> = match found.next.as_str() {
            // Everything has been looked at: who was not met is gone.
            "" => known.intersection(&met).cloned().collect(),
            _ => known.clone(),
        };
        let room = MOST.saturating_sub(now.len());
        let fresh: Vec<String> = met.difference(&known).take(room).cloned().collect();
        now.extend(fresh.iter().cloned());
        if now != known {
            let noted = self.notes.change(fence, |state| state.python_runners = now.clone());
            self.bounded(noted).await?;
        }
        *pass = Pass {
            met: if found.next.is_empty() { BTreeSet::new() } else { met },
            from: found.next,
        };
        for id in fresh {
            self.tell(&id).await;
        }
        Ok(())
    }

    async fn tell(&self, id: &str) {
        warn!(
            runner = id,
            "a Python runner uses this store: it takes items past every claim; stop it"
        );
        let event = NewEvent {
            kind: "python_runner_seen",
            host: None,
            agent: None,
            item: None,
            detail: format!("the Python runner {id} uses this store and takes items past every claim; stop it"),
        };
        if let Err(error) = self.bounded(self.events.append(event)).await {
            warn!(runner = id, %error, "could not record that a Python runner was seen");
        }
    }

    /// A call that hangs must not be the last.
    async fn bounded<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        time::timeout(self.call_timeout, call)
            .await
            .unwrap_or_else(|_| Err(StoreError::no_answer(self.call_timeout)))
    }
}
