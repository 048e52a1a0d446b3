//! The queue's port: each call as one script, or as bounded parts of one.

use std::time::Duration;

use async_trait::async_trait;
use redis::Value;
use tokio::time::Instant;

use super::{
    RedisStore,
    items::{Beside, from_json, item_id, letter, millis, rank, record, state, to_json},
    open::identify,
    reply::{Reply, number},
    signals::{Signal, told},
};
use crate::{
    domain::{
        ending::Reason,
        ids::{AgentId, ClaimToken, HostName, ItemId},
        time::UnixMillis,
        work_item::{ItemRecord, ItemState, Priority, TaskType, WorkItem},
    },
    ports::{
        store::{QueueStats, StoreError, StoreHealth},
        work_queue::{
            ClaimRequest, Claimed, Completed, Completion, Enqueued, Fence, GiveBack, ItemFilter, ItemPage, Renewal,
            Requeued, Swept, WorkQueue,
        },
    },
};

/// Items that one call of a script takes, so that it keeps nobody waiting for long.
const AT_ONCE: usize = 500;
/// Entries of other systems that one call adopts.
const ADOPTED_AT_ONCE: usize = 100;
/// An item that somebody waits for is looked at that often, should a signal get lost.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// What the claim script has answered.
struct Claims {
    claimed: Vec<Claimed>,
    more: bool,
    foreign: bool,
}

impl RedisStore {
    async fn enqueue_some(&self, fence: Option<&Fence>, items: &[WorkItem]) -> Result<Vec<Enqueued>, StoreError> {
        let call = self.calls.script(&self.calls.scripts.enqueue);
        let mut call = match fence {
            Some(fence) => call.fenced(fence),
            None => call.arg("").arg(""),
        };
        for item in items {
            call = call
                .arg(item.id.to_string())
                .arg(item.agent_id.as_str())
                .arg(item.agent_name.as_str())
                .arg(item.task_type.as_str())
                .arg(rank(item.priority))
                .arg(item.inbox_count)
                .arg(item.attempt.max(1))
                .arg(millis(item.min_interval))
                .arg(to_json(item)?);
        }
        let mut reply = Reply::new(call.run().await?)?;
        items.iter().map(|_| enqueued(reply.value()?)).collect()
    }

    async fn claim_some(&self, request: &ClaimRequest) -> Result<Claims, StoreError> {
        let call = self
            .calls
            .script(&self.calls.scripts.claim)
            .arg(request.host.as_str())
            .arg(millis(request.lease))
            .arg(request.tokens.len())
            .args(request.tokens.iter().map(ToString::to_string))
            .args(request.avoid.iter().map(AgentId::as_str));
        let mut reply = Reply::new(call.run().await?)?;
        let mut claims = Claims {
            more: reply.flag()?,
            foreign: reply.flag()?,
            claimed: Vec::new(),
        };
        let mut unreadable = Vec::new();
        while let Some(value) = reply.next() {
            match claimed(value)? {
                Ok(claim) => claims.claimed.push(claim),
                Err(words) => unreadable.extend(words),
            }
        }
        if !unreadable.is_empty() {
            self.calls
                .script(&self.calls.scripts.bury)
                .args(unreadable)
                .run()
                .await?;
            claims.more = true;
        }
        Ok(claims)
    }

    /// Take what another system has pushed into the queue.
    async fn adopt(&self) -> Result<(), StoreError> {
        let ids = (0..ADOPTED_AT_ONCE).map(|_| ItemId::fresh().to_string());
        self.calls.script(&self.calls.scripts.adopt).args(ids).run().await?;
        Ok(())
    }

    /// Free agents whose entry of `work:active` another system has left behind.
    async fn free_from_strangers(&self) -> Result<(), StoreError> {
        let mut strangers = Reply::new(self.calls.script(&self.calls.scripts.strangers).run().await?)?;
        while strangers.len() > 0 {
            let (agent, runner) = (strangers.text()?, strangers.text()?);
            let heartbeat = self.calls.keys.heartbeat_of(&runner);
            let call = self.calls.script_on(&self.calls.scripts.stranger, Some(heartbeat));
            call.arg(agent).arg(runner).run().await?;
        }
        Ok(())
    }
}

fn enqueued(value: Value) -> Result<Enqueued, StoreError> {
    let mut reply = Reply::new(value)?;
    Ok(match reply.text()?.as_str() {
        "added" => Enqueued::Added(state(&reply.text()?)?),
        "merged" => Enqueued::Merged {
            into: item_id(&reply.text()?)?,
            news: reply.flag()?,
        },
        "skipped" => Enqueued::Skipped { reason: reply.text()? },
        "full" => Enqueued::Full { limit: reply.count()? },
        other => return Err(StoreError::Corrupt(format!("{other:?} is no answer to an enqueue"))),
    })
}

/// A claim; or item, token and problem of one whose item can't be read.
fn claimed(value: Value) -> Result<Result<Claimed, [String; 3]>, StoreError> {
    let mut reply = Reply::new(value)?;
    let (token, id, json) = (reply.text()?, reply.text()?, reply.text()?);
    let (inbox_count, attempt) = (reply.small()?, reply.small()?);
    let (probe, waited) = (reply.flag()?, Duration::from_millis(reply.count()?));
    let beside = Beside {
        id: item_id(&id)?,
        rank: reply.number()?,
        inbox_count,
        attempt,
    };
    Ok(match from_json(&json, &beside) {
        Ok(item) => Ok(Claimed {
            token: ClaimToken::parse(&token).map_err(|error| StoreError::Corrupt(error.to_string()))?,
            item,
            probe,
            waited,
        }),
        Err(problem) => Err([id, token, problem]),
    })
}

fn completed(value: Value) -> Result<Completed, StoreError> {
    let mut reply = Reply::new(value)?;
    Ok(match reply.text()?.as_str() {
        "done" => Completed::Done,
        "dead" => Completed::Dead,
        "retry" => Completed::Retry {
            at: UnixMillis(reply.number()?),
            attempt: reply.small()?,
        },
        other => return Err(StoreError::Corrupt(format!("{other:?} is no answer to a completion"))),
    })
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
        let mut answers = Vec::with_capacity(items.len());
        for part in items.chunks(AT_ONCE) {
            answers.extend(self.enqueue_some(fence, part).await?);
        }
        Ok(answers)
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, StoreError> {
        loop {
            let claims = self.claim_some(request).await?;
            if claims.foreign {
                self.adopt().await?;
            }
            // Others get their turn between two bounded steps; an empty answer is given only when nothing is ready.
            if !claims.claimed.is_empty() || !(claims.more || claims.foreign) {
                return Ok(claims.claimed);
            }
        }
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
        let ending = &completion.ending;
        let flag = u8::from;
        let call = self
            .calls
            .script(&self.calls.scripts.complete)
            .arg(completion.item.to_string())
            .arg(completion.token.to_string())
            .arg(ending.reason.as_str())
            .arg(&ending.detail)
            .arg(crate::ports::work_queue::end_note(ending.reason, &ending.detail))
            .arg(completion.generation.as_deref().unwrap_or_default())
            .arg(rand::random::<i32>())
            .arg(flag(ending.reason.counted()))
            .arg(flag(ending.reason.uses_attempt()))
            .arg(flag(ending.permanent))
            .arg(flag(ending.cools_down()));
        completed(call.run().await?)
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

    async fn wait_for_work(&self, at_most: Duration) {
        self.wakes.wait(at_most).await;
    }

    async fn wait_for_end(&self, id: ItemId, at_most: Duration) -> Result<Option<ItemRecord>, StoreError> {
        let deadline = Instant::now() + at_most;
        // Listen first, look second: an end in between is not missed.
        let (mut signals, _wants) = self.signals.listen_for_ends().await;
        loop {
            let record = self.item(id).await?;
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
        let answer = self
            .calls
            .script(&self.calls.scripts.item)
            .arg(id.to_string())
            .run()
            .await?;
        match answer {
            Value::Array(fields) if fields.is_empty() => Ok(None),
            fields => record(fields).map(Some),
        }
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
        for part in items.chunks(AT_ONCE) {
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
        for part in items.chunks(AT_ONCE) {
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
