//! A probe agent goes through its breaker: it fails until that opens, is skipped, probes and fails, probes and recovers.
//!
//! What was seen is only told; whether it is as it should be is for whoever asked. Whichever hosts are in the scope run the
//! items: what is seen is the store's word, not this host's.

use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::time::{self, Instant};
use uuid::Uuid;

use super::{
    VerifyError,
    place::{OPEN_FOR, THRESHOLD},
    probe::{Behaves, ProbeAgent},
    scope::Shared,
};
use crate::{
    app::api::types::{BreakerExercise, BreakerSight},
    domain::{
        breaker::BreakerState,
        ids::ItemId,
        work_item::{ItemState, TaskType, WorkItem},
    },
    ports::{agent_records::AgentRecord, work_queue::Enqueued},
};

/// For one activation, on hosts that have more to do.
const RUN_WITHIN: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(10);

struct Exercise<'s> {
    scope: &'s Shared,
    agent: ProbeAgent,
}

pub async fn exercise(scope: &Shared) -> Result<BreakerExercise, VerifyError> {
    // A new agent each time: what an earlier exercise left does not count.
    let agent = ProbeAgent::new(&format!("breaker-{}", Uuid::new_v4().simple()))?;
    Exercise { scope, agent }.run().await
}

impl Exercise<'_> {
    async fn run(self) -> Result<BreakerExercise, VerifyError> {
        let mut failing = Vec::new();
        for _ in 0..THRESHOLD {
            let (item, added) = self.enqueue(Behaves::Traps).await?;
            if added != "added" {
                return Err(anyhow!("a failing item was {added} before the breaker had opened").into());
            }
            failing.push(self.after(item).await?);
        }
        let opened = Instant::now();
        let (_, while_open) = self.enqueue(Behaves::Traps).await?;
        self.wait_half_open().await?;
        let half_open_after = opened.elapsed();

        // Two at once: the urgent one is the probe and fails, the other must wait for another time.
        let (bad, good) = (ItemId::fresh(), ItemId::fresh());
        let both = vec![
            self.agent.item(bad, TaskType::Inbox, Behaves::Traps),
            self.agent.item(good, TaskType::Discovery, Behaves::Well),
        ];
        let at_half_open = self.add(both).await?;
        let failed_probe = self.after(bad).await?;
        let reopened = Instant::now();
        let beside_failed_probe = self.state_of(good).await?;
        let good_probe = self.after(good).await?;
        Ok(BreakerExercise {
            agent: self.agent.name.to_string(),
            threshold: THRESHOLD,
            open_seconds: OPEN_FOR.as_secs_f64(),
            failing,
            while_open,
            half_open_after_seconds: half_open_after.as_secs_f64(),
            at_half_open,
            failed_probe,
            beside_failed_probe,
            good_probe,
            good_probe_after_seconds: reopened.elapsed().as_secs_f64(),
        })
    }

    async fn enqueue(&self, behaves: Behaves) -> Result<(ItemId, String), VerifyError> {
        let item = self.agent.item(ItemId::fresh(), TaskType::Inbox, behaves);
        let id = item.id;
        let mut answers = self.add(vec![item]).await?;
        Ok((id, answers.pop().unwrap_or_default()))
    }

    /// The queue's answers, each in a word.
    async fn add(&self, items: Vec<WorkItem>) -> Result<Vec<String>, VerifyError> {
        let answers = self.scope.ask(self.scope.store.queue.enqueue(None, items)).await?;
        let word = |answer| match answer {
            Enqueued::Added(_) => "added",
            Enqueued::Merged { .. } => "merged",
            Enqueued::Skipped { .. } => "skipped",
            Enqueued::Full { .. } => "full",
        };
        Ok(answers.into_iter().map(|answer| word(answer).to_owned()).collect())
    }

    /// Wait for the item's end; how it ended, and what the breaker says then.
    async fn after(&self, item: ItemId) -> Result<BreakerSight, VerifyError> {
        let ended = |state| matches!(state, ItemState::Done | ItemState::Dead);
        let deadline = Instant::now() + RUN_WITHIN;
        let reason = loop {
            let record = self.scope.ask(self.scope.store.queue.item(item)).await?;
            match record {
                Some(record) if ended(record.state) => break record.reason,
                Some(record) if Instant::now() > deadline => {
                    return Err(anyhow!(
                        "probe item {item} did not end within {RUN_WITHIN:?}: it is {} {}",
                        record.state,
                        record.note
                    )
                    .into());
                }
                None => return Err(anyhow!("probe item {item} is gone from the scope").into()),
                Some(_) => time::sleep(LOOK_EVERY).await,
            }
        };
        let record = self.record().await?;
        let state = record.breaker.state(record.now);
        Ok(BreakerSight {
            ending: reason.map(|reason| reason.to_string()).unwrap_or_default(),
            state: state.to_string(),
            failures: record.breaker.failures,
            open_seconds: match state {
                BreakerState::Open { until } => Some(until.since(record.now).as_secs_f64()),
                _ => None,
            },
        })
    }

    async fn wait_half_open(&self) -> Result<(), VerifyError> {
        let deadline = Instant::now() + OPEN_FOR + RUN_WITHIN;
        loop {
            let record = self.record().await?;
            match record.breaker.state(record.now) {
                BreakerState::HalfOpen { .. } => return Ok(()),
                state if Instant::now() > deadline => {
                    return Err(anyhow!("the breaker is {state} still, long after its {OPEN_FOR:?}").into());
                }
                _ => time::sleep(LOOK_EVERY).await,
            }
        }
    }

    async fn state_of(&self, item: ItemId) -> Result<String, VerifyError> {
        let record = self.scope.ask(self.scope.store.queue.item(item)).await?;
        Ok(record.map_or_else(|| "gone".to_owned(), |record| record.state.to_string()))
    }

    async fn record(&self) -> Result<AgentRecord, VerifyError> {
        let record = self
            .scope
            .ask(self.scope.store.agents.agent(self.agent.id.as_str()))
            .await?;
        Ok(record.context("the scope's store does not know the probe agent")?)
    }
}
