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
    rest::Rest,
    signals::{Signal, told},
};
use crate::{
    domain::{
        ending::Reason,
        ids::{AgentId, ClaimToken, HostName, ItemId},
        time::BootTime,
        work_item::{ItemRecord, ItemState, Priority, TaskType, WorkItem},
    },
    ports::{
        standing_claim::StandingClaim,
        store::{QueueStats, StoreError, StoreHealth},
        work_queue::{
            ClaimRequest, Claimed, Completed, Completion, Enqueued, Fence, GiveBack, ItemFilter, ItemPage, Renewal,
            Requeued, Swept, WorkQueue,
        },
    },
};

/// Items that one call of a script takes, so that it keeps nobody waiting for long.
pub(super) const AT_ONCE: usize = 500;
/// Those that one puts back or deletes, which takes longer.
const MOVED_AT_ONCE: usize = 200;
/// An item that somebody waits for is looked at that often, should a signal get lost.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

impl RedisStore {
    /// The item, as this script tells it.
    async fn one_item(&self, script: &super::scripts::Prepared, id: ItemId) -> Result<Option<ItemRecord>, StoreError> {
        match self.calls.script(script).arg(id.to_string()).run().await? {
            Value::Array(fields) if fields.is_empty() => Ok(None),
            fields => record(fields).map(Some),
        }
    }
}

/// What a claim or a sweep has to do something about, whatever the time is.
const BUSY: [&str; 10] = [
    "leases",
    "delayed",
    "active",
    "backoff",
    "ready_high",
    "ready_normal",
    "ready_low",
    "queue_high",
    "queue_normal",
    "queue_low",
];

impl RedisStore {
    /// Whether none of it is there.
    pub(super) async fn is_idle(&self) -> Result<bool, StoreError> {
        let keys = BUSY.map(|word| self.calls.keys.of(word));
        let there: i64 = self.calls.command(redis::cmd("EXISTS").arg(&keys)).await?;
        Ok(there == 0)
    }
}

fn requeued(word: &str) -> Result<Requeued, StoreError> {
    Ok(match word {
        "ready" => Requeued::Ready,
        "full" => Requeued::Full,
        "not_dead" => Requeued::NotDead,
        other => return Err(StoreError::Corrupt(format!("{other:?} is no answer to a requeue"))),
    })
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
        let given = call.arg(item.to_string()).arg(token.to_string()).arg(delay).run().await;
        self.rest.stir();
        given.map(drop)
    }

    async fn plugin_came(&self, items: &[ItemId]) -> Result<u64, StoreError> {
        let mut came = 0;
        for part in items.chunks(AT_ONCE) {
            let call = self.calls.script(&self.calls.scripts.plugin_came);
            let answer = call.args(part.iter().map(ToString::to_string)).run().await?;
            came += u64::try_from(number(answer)?).unwrap_or(0);
        }
        Ok(came)
    }

    async fn sweep(&self) -> Result<Swept, StoreError> {
        let clock = &self.calls.clock;
        if self.rest.lasts(clock) && (self.rest.is_believed(clock) || self.is_idle().await?) {
            return Ok(Swept::default());
        }
        let asked = Rest::time(clock);
        let call = self.calls.script(&self.calls.scripts.sweep).arg(rand::random::<i32>());
        let mut reply = Reply::new(call.run().await?)?;
        let mut swept = Swept {
            promoted: reply.count()?,
            forgotten: reply.count()?,
            more: reply.flag()?,
            recovered: Vec::new(),
        };
        let (foreign, strangers) = (reply.flag()?, reply.number()?);
        self.rest.begin(asked, -strangers);
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
        if strangers > 0 {
            self.free_from_strangers().await?;
        }
        Ok(swept)
    }

    async fn wait_for_work(&self, at_most: Duration) {
        if self.wakes.wait(at_most).await {
            self.rest.stir();
        }
    }

    fn stand(&self, request: ClaimRequest, departs: Box<dyn Fn() -> Option<BootTime> + Send + Sync>) -> StandingClaim {
        self.standing.stand(request, departs)
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

    async fn page(&self, filter: &ItemFilter) -> Result<ItemPage, StoreError> {
        let call = self
            .calls
            .script(&self.calls.scripts.list)
            .arg(filter.after.map(|place| place.to_string()).unwrap_or_default())
            .arg((filter.limit as usize).min(AT_ONCE))
            .arg(u8::from(filter.oldest_first))
            .arg(filter.agent.as_ref().map_or("", AgentId::as_str))
            .arg(filter.state.map_or("", letter))
            .arg(filter.task_type.map_or("", TaskType::as_str))
            .arg(filter.reason.map_or("", Reason::as_str));
        let mut reply = Reply::new(call.run().await?)?;
        let place = reply.count()?;
        let mut page = ItemPage {
            next: (place != 0).then_some(place),
            items: Vec::with_capacity(reply.len()),
        };
        while let Some(item) = reply.next() {
            page.items.push(record(item)?);
        }
        Ok(page)
    }

    async fn stats(&self) -> Result<QueueStats, StoreError> {
        let mut reply = Reply::new(self.calls.script(&self.calls.scripts.stats).run().await?)?;
        let mut stats = QueueStats {
            limit: self.max_queue,
            ..QueueStats::default()
        };
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
        for age in [&mut stats.oldest_queued, &mut stats.oldest_dead] {
            *age = u64::try_from(reply.number()?).ok().map(Duration::from_millis);
        }
        Ok(stats)
    }

    async fn requeue_dead(&self, items: &[ItemId]) -> Result<Vec<Requeued>, StoreError> {
        let mut answers = Vec::with_capacity(items.len());
        for part in items.chunks(MOVED_AT_ONCE) {
            let call = self.calls.script(&self.calls.scripts.requeue);
            let call = call.args(part.iter().map(ToString::to_string));
            let mut reply = Reply::new(call.run().await?)?;
            for _ in part {
                answers.push(requeued(&reply.text()?)?);
            }
        }
        Ok(answers)
    }

    async fn purge_dead(&self, items: &[ItemId]) -> Result<u64, StoreError> {
        let mut purged = 0;
        for part in items.chunks(MOVED_AT_ONCE) {
            let call = self.calls.script(&self.calls.scripts.purge);
            let answer = call.args(part.iter().map(ToString::to_string)).run().await?;
            purged += u64::try_from(number(answer)?).unwrap_or(0);
        }
        Ok(purged)
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
