//! The staleness sweep: agents that have not run for long get a chance to discover something, in the leader's name.
//!
//! When the last sweep was is kept in the store, so that a new leader neither repeats it at once nor waits anew.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time;
use tracing::{debug, warn};

use super::{
    election::{LeaderTask, LeaderTerm, SteppedDown},
    intake::Intake,
    leader_state::LeaderNotes,
};
use crate::{
    domain::{time::UnixMillis, work_item::TaskType},
    ports::{hub::Hub, work_queue::Fence},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiscoveryConfig {
    pub every: Duration,
    /// How long an agent must not have run.
    pub min_staleness: Duration,
}

pub struct Discovery {
    pub hub: Arc<dyn Hub>,
    pub intake: Arc<Intake>,
    pub notes: Arc<LeaderNotes>,
    pub config: DiscoveryConfig,
}

#[async_trait]
impl LeaderTask for Discovery {
    fn name(&self) -> &'static str {
        "discovery"
    }

    async fn lead(&self, term: Arc<LeaderTerm>) -> anyhow::Result<()> {
        let ended = term.ended().clone();
        tokio::select! {
            () = ended.cancelled() => Ok(()),
            result = self.sweep_forever(&term) => match result {
                Err(error) if error.is::<SteppedDown>() => {
                    ended.cancelled().await;
                    Ok(())
                }
                other => other,
            },
        }
    }
}

impl Discovery {
    async fn sweep_forever(&self, term: &LeaderTerm) -> anyhow::Result<()> {
        let mut wait = self.first_wait(term.check()?).await;
        loop {
            time::sleep(wait).await;
            term.check()?;
            if let Err(error) = self.sweep(term).await {
                if error.is::<SteppedDown>() {
                    return Err(error);
                }
                warn!(
                    error = format!("{error:#}"),
                    "the staleness sweep failed; trying again in {:?}", self.config.every
                );
            }
            wait = self.config.every;
        }
    }

    /// What is left of the interval since the predecessor's last sweep.
    async fn first_wait(&self, fence: &Fence) -> Duration {
        match (self.notes.inherit(fence).await, self.intake.queue.health().await) {
            (Ok(state), Ok(health)) => {
                let since = health.now.since(UnixMillis(state.last_staleness_sweep));
                self.config.every.saturating_sub(since)
            }
            (Err(error), _) | (_, Err(error)) => {
                warn!(%error, "can't read the leader state; sweeping after a full interval");
                self.config.every
            }
        }
    }

    async fn sweep(&self, term: &LeaderTerm) -> anyhow::Result<()> {
        if self.intake.room(TaskType::Discovery).await? == 0 {
            debug!("the queue is full; no staleness sweep");
            return Ok(());
        }
        let mut collector = self.intake.collector().await?;
        let polled = self
            .hub
            .stale(self.config.min_staleness, &mut |agent| collector.take(agent))
            .await?;
        let taken = self.intake.enqueue(term, TaskType::Discovery, collector).await?;
        debug!(stale = polled.agents, enqueued = taken.news, "staleness sweep");
        let now = self.intake.queue.health().await?.now;
        let noted = self
            .notes
            .change(term.check()?, |state| state.last_staleness_sweep = now.0);
        term.written(noted.await)
    }
}
