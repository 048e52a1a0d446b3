//! The queue's port: each call as one script, or as bounded parts of one.

use std::time::Duration;

use async_trait::async_trait;
use redis::Value;
use tokio::time::Instant;

use super::{
    RedisStore,
    items::{item_id, letter, millis, record},
    open::identify,
    reply::{Reply, number},
    signals::{Signal, told},
};
use crate::{
    domain::{
        ids::{AgentId, ClaimToken, HostName, ItemId},
        work_item::{ItemRecord, ItemState, Priority, TaskType, WorkItem},
    },
    ports::{
        store::{QueueStats, StoreError, StoreHealth},
        work_queue::{
            ClaimRequest, Claimed, Completed, Completion, Enqueued, Fence, GiveBack, ItemFilter, Renewal, Swept,
            WorkQueue,
        },
    },
};

/// Items that one call of a script takes, so that it keeps nobody waiting for long.
pub(super) const AT_ONCE: usize = 500;
/// An item that somebody waits for is looked at that often, should a signal get lost.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

impl RedisStore {
    /// A script that is called with items, in parts.
    async fn each_part(&self, script: &super::scripts::Prepared, items: &[ItemId]) -> Result<u64, StoreError> {
        let mut done = 0;
        for part in items.chunks(AT_ONCE) {
            let answer = self
                .calls
                .script(script)
                .args(part.iter().map(ToString::to_string))
                .run()
                .await?;
            done += u64::try_from(number(answer)?).unwrap_or(0);
        }
        Ok(done)
    }

    /// The item, as this script tells it.
    async fn one_item(&self, script: &super::scripts::Prepared, id: ItemId) -> Result<Option<ItemRecord>, StoreError> {
        match self.calls.script(script).arg(id.to_string()).run().await? {
            Value::Array(fields) if fields.is_empty() => Ok(None),
            fields => record(fields).map(Some),
        }
    }
}

#[async_trait]
impl WorkQueue for RedisStore {
    async fn health(&self) -> Result<StoreHealth, StoreError> {
        let identity = identify(&self.calls).await?;
        Ok(StoreHealth {
            incarnation: identity.incarnation,
            description: self.description.clone(),
            now: identity.now,
        })
    }

    async fn enqueue(&self, fence: Option<&Fence>, items: Vec<WorkItem>) -> Result<Vec<Enqueued>, StoreError> {
        self.enqueue_all(fence, items).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, StoreError> {
        self.claim_ready(request).await
    }

    async fn renew(&self, renewals: &[Renewal], lease: Duration) -> Result<Vec<bool>, StoreError> {
        let mut held = Vec::with_capacity(renewals.len());
        for part in renewals.chunks(AT_ONCE) {
            let mut call = self.calls.script(&self.calls.scripts.renew).arg(millis(lease));
            for renewal in part {
                call = call
                    .arg(renewal.item.to_string())
                    .arg(renewal.token.to_string())
                    .arg(renewal.generation.as_deref().unwrap_or_default());
            }
            let mut reply = Reply::new(call.run().await?)?;
            for _ in part {
                held.push(reply.flag()?);
            }
        }
        Ok(held)
    }

    async fn complete(&self, completion: &Completion) -> Result<Completed, StoreError> {
        self.complete_one(completion).await
    }

    async fn give_back(&self, item: ItemId, token: ClaimToken, why: GiveBack) -> Result<(), StoreError> {
        let delay = match why {
            GiveBack::Shutdown => String::new(),
            GiveBack::PluginUnavailable { retry_after } => millis(retry_after).to_string(),
        };
        let call = self.calls.script(&self.calls.scripts.give_back);
        call.arg(item.to_string())
            .arg(token.to_string())
            .arg(delay)
            .run()
            .await?;
        Ok(())
    }

    async fn sweep(&self) -> Result<Swept, StoreError> {
        let call = self.calls.script(&self.calls.scripts.sweep).arg(rand::random::<i32>());
        let mut reply = Reply::new(call.run().await?)?;
        let mut swept = Swept {
            promoted: reply.count()?,
            forgotten: reply.count()?,
            more: reply.flag()?,
            recovered: Vec::new(),
        };
        let (foreign, strangers) = (reply.flag()?, reply.flag()?);
        while reply.len() > 0 {
            let (item, agent, host) = (item_id(&reply.text()?)?, reply.text()?, reply.text()?);
            // Names that are not valid were written by hand: the item is recovered, but there is nobody to name.
            if let (Ok(agent), Ok(host)) = (AgentId::new(agent), HostName::new(host)) {
                swept.recovered.push((item, agent, host));
            }
        }
        if foreign {
            self.adopt().await?;
        }
        if strangers {
            self.free_from_strangers().await?;
        }
        Ok(swept)
    }

    async fn release_host(&self, host: &HostName, died: bool) -> Result<u64, StoreError> {
        let (mut released, mut from) = (0, String::new());
        loop {
            let call = self.calls.script(&self.calls.scripts.release_host);
            let call = call.arg(host.as_str()).arg(u8::from(died)).arg(rand::random::<i32>());
            let mut reply = Reply::new(call.arg(from).run().await?)?;
            released += reply.count()?;
            from = reply.text()?;
            if from.is_empty() {
                return Ok(released);
            }
        }
    }

    async fn wait_for_work(&self, at_most: Duration) {
        self.wakes.wait(at_most).await;
    }

    async fn wait_for_end(&self, id: ItemId, at_most: Duration) -> Result<Option<ItemRecord>, StoreError> {
        let deadline = Instant::now() + at_most;
        // Listen first, look second: an end in between is not missed.
        let (mut signals, _wants) = self.signals.listen_for_ends().await;
        loop {
            // Its end is told because somebody has said that they wait.
            let record = self.one_item(&self.calls.scripts.watch, id).await?;
            let ended = record
                .as_ref()
                .is_none_or(|r| matches!(r.state, ItemState::Done | ItemState::Dead));
            let left = deadline.saturating_duration_since(Instant::now());
            if ended || left.is_zero() {
                return Ok(record);
            }
            told(&mut signals, left.min(LOOK_AGAIN), |signal| signal == Signal::Ended(id)).await;
        }
    }

    async fn item(&self, id: ItemId) -> Result<Option<ItemRecord>, StoreError> {
        self.one_item(&self.calls.scripts.item, id).await
    }

    async fn items(&self, filter: &ItemFilter) -> Result<Vec<ItemRecord>, StoreError> {
        let (mut found, mut from) = (Vec::new(), String::new());
        let limit = filter.limit as usize;
        while found.len() < limit {
            let call = self.calls.script(&self.calls.scripts.list);
            let call = call
                .arg(from)
                .arg((limit - found.len()).min(AT_ONCE))
                .arg(filter.agent.as_ref().map_or("", AgentId::as_str))
                .arg(filter.state.map_or("", letter))
                .arg(filter.task_type.map_or("", TaskType::as_str));
            let mut reply = Reply::new(call.run().await?)?;
            from = reply.text()?;
            while let Some(item) = reply.next() {
                found.push(record(item)?);
            }
            if from.is_empty() {
                break;
            }
        }
        Ok(found)
    }

    async fn stats(&self) -> Result<QueueStats, StoreError> {
        let mut reply = Reply::new(self.calls.script(&self.calls.scripts.stats).run().await?)?;
        let mut stats = QueueStats::default();
        for priority in Priority::ALL {
            stats.queued.insert(*priority, reply.count()?);
        }
        for total in [&mut stats.waiting, &mut stats.held] {
            for _ in Priority::ALL {
                *total += reply.count()?;
            }
        }
        for total in [
            &mut stats.delayed,
            &mut stats.active,
            &mut stats.done,
            &mut stats.dead,
            &mut stats.agents_in_backoff,
        ] {
            *total = reply.count()?;
        }
        stats.oldest_queued = u64::try_from(reply.number()?).ok().map(Duration::from_millis);
        Ok(stats)
    }

    async fn requeue_dead(&self, items: &[ItemId]) -> Result<u64, StoreError> {
        self.each_part(&self.calls.scripts.requeue, items).await
    }

    async fn purge_dead(&self, items: &[ItemId]) -> Result<u64, StoreError> {
        self.each_part(&self.calls.scripts.purge, items).await
    }

    async fn room(&self) -> Result<Vec<(Priority, u64)>, StoreError> {
        let mut reply = Reply::new(self.calls.script(&self.calls.scripts.stats).run().await?)?;
        let mut used = [0; Priority::ALL.len()];
        // Ready, waiting and held items, by priority each.
        for _ in 0..3 {
            for used in &mut used {
                *used += reply.count()?;
            }
        }
        let room = |(p, used): (&Priority, u64)| (*p, self.max_queue.saturating_sub(used));
        Ok(Priority::ALL.iter().zip(used).map(room).collect())
    }
}
