//! Counts what describes the whole cluster, in the leader's name: no two hosts export it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::{self, Instant};
use tracing::debug;

use super::{
    election::{LeaderTask, LeaderTerm},
    roster,
};
use crate::{
    domain::{host::HostCounts, time::UnixMillis},
    ports::{
        agent_records::{AgentRecords, BreakerRecord},
        events::Events,
        hosts::Hosts,
        store::StoreError,
        telemetry::{ClusterSnapshot, Telemetry},
        work_queue::WorkQueue,
    },
};

/// Agents in backoff that are exported one by one.
const MOST_IN_BACKOFF: u32 = 1_000;

/// After which agents in backoff are read again, although nothing tells that anything has changed: a probe that ended uncounted
/// moves a breaker's time without being a transition.
const READ_AGAIN: Duration = Duration::from_secs(30);

/// Events read at once.
const EVENTS: u32 = 500;

pub struct Census {
    pub queue: Arc<dyn WorkQueue>,
    pub agents: Arc<dyn AgentRecords>,
    pub events: Arc<dyn Events>,
    pub hosts: Arc<dyn Hosts>,
    pub telemetry: Arc<dyn Telemetry>,
    pub every: Duration,
}

#[async_trait]
impl LeaderTask for Census {
    fn name(&self) -> &'static str {
        "census"
    }

    async fn lead(&self, term: Arc<LeaderTerm>) -> anyhow::Result<()> {
        tokio::select! {
            () = term.ended().cancelled() => {}
            () = self.count_forever() => {}
        }
        self.telemetry.cluster(None);
        Ok(())
    }
}

/// What the last count has seen.
#[derive(Default)]
struct Seen {
    /// The newest event.
    newest: Option<u64>,
    backoff: Option<Backoff>,
}

/// Agents in backoff, as they were read: reading many costs the store more than everything else that is counted.
struct Backoff {
    agents: Vec<BreakerRecord>,
    /// How many there were in all.
    number: u64,
    read: Instant,
    /// The store's time then.
    at: UnixMillis,
}

impl Backoff {
    /// Whether it may still be so: nothing tells that it is not, and what nothing tells is not long ago.
    fn holds(&self, number: u64) -> bool {
        self.number == number && self.read.elapsed() < READ_AGAIN
    }

    /// As they are now: only time has passed.
    fn go_on(&mut self) -> &[BreakerRecord] {
        let now = self.at + self.read.elapsed();
        for agent in &mut self.agents {
            agent.now = now;
        }
        &self.agents
    }
}

impl Census {
    async fn count_forever(&self) {
        let mut seen = Seen::default();
        loop {
            if let Err(error) = self.count(&mut seen).await {
                // Whoever else talks to the store says so louder; here the numbers are only late.
                debug!(%error, "could not count");
            }
            time::sleep(self.every).await;
        }
    }

    /// Export the state of the queue, and the breakers' transitions since the newest event that was seen.
    async fn count(&self, seen: &mut Seen) -> Result<(), StoreError> {
        self.count_transitions(seen).await?;
        let stats = self.queue.stats().await?;
        let number = stats.agents_in_backoff;
        let backoff = match seen.backoff.take().filter(|backoff| backoff.holds(number)) {
            Some(backoff) => backoff,
            None => self.in_backoff(number).await?,
        };
        let backoff = seen.backoff.insert(backoff);
        let hosts = roster::all(&*self.hosts).await?;
        self.telemetry.cluster(Some(ClusterSnapshot {
            queue: &stats,
            in_backoff: backoff.go_on(),
            hosts: HostCounts::of(&hosts),
        }));
        Ok(())
    }

    async fn in_backoff(&self, number: u64) -> Result<Backoff, StoreError> {
        let read = Instant::now();
        let agents = match number {
            0 => Vec::new(),
            _ => self.agents.in_backoff(MOST_IN_BACKOFF).await?,
        };
        Ok(Backoff {
            at: agents.first().map_or(UnixMillis(0), |agent| agent.now),
            agents,
            number,
            read,
        })
    }

    /// Count what has become of breakers. Agents in backoff are read again once anything has.
    async fn count_transitions(&self, seen: &mut Seen) -> Result<(), StoreError> {
        // What happened before this leadership was counted by whoever led then.
        let Some(newest) = &mut seen.newest else {
            seen.newest = Some(self.events.latest().await?);
            return Ok(());
        };
        loop {
            let events = self.events.after(*newest, EVENTS, Duration::ZERO).await?;
            for event in &events {
                *newest = event.seq;
                if event.kind.starts_with("breaker_") {
                    self.telemetry.breaker_changed(&event.kind);
                    seen.backoff = None;
                }
            }
            if events.is_empty() {
                return Ok(());
            }
        }
    }
}
