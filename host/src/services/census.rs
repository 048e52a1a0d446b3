//! Counts what describes the whole cluster, in the leader's name: no two hosts export it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time;
use tracing::debug;

use super::{
    election::{LeaderTask, LeaderTerm},
    roster,
};
use crate::{
    domain::host::HostCounts,
    ports::{
        agent_records::AgentRecords,
        events::Events,
        hosts::Hosts,
        store::StoreError,
        telemetry::{ClusterSnapshot, Telemetry},
        work_queue::WorkQueue,
    },
};

/// Agents in backoff that are exported one by one.
const MOST_IN_BACKOFF: u32 = 1_000;

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

impl Census {
    async fn count_forever(&self) {
        let mut seen = None;
        loop {
            if let Err(error) = self.count(&mut seen).await {
                // Whoever else talks to the store says so louder; here the numbers are only late.
                debug!(%error, "could not count");
            }
            time::sleep(self.every).await;
        }
    }

    /// Export the state of the queue, and the breakers' transitions since the event `seen`, which moves on with each.
    async fn count(&self, seen: &mut Option<u64>) -> Result<(), StoreError> {
        let stats = self.queue.stats().await?;
        let in_backoff = match stats.agents_in_backoff {
            0 => Vec::new(),
            _ => self.agents.in_backoff(MOST_IN_BACKOFF).await?,
        };
        let hosts = roster::all(&*self.hosts).await?;
        self.telemetry.cluster(Some(ClusterSnapshot {
            queue: &stats,
            in_backoff: &in_backoff,
            hosts: HostCounts::of(&hosts),
        }));
        // What happened before this leadership was counted by whoever led then.
        let Some(newest) = seen else {
            *seen = Some(self.events.latest().await?);
            return Ok(());
        };
        loop {
            let events = self.events.after(*newest, EVENTS, Duration::ZERO).await?;
            for event in &events {
                *newest = event.seq;
                if event.kind.starts_with("breaker_") {
                    self.telemetry.breaker_changed(&event.kind);
                }
            }
            if events.is_empty() {
                return Ok(());
            }
        }
    }
}
