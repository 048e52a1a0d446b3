//! The queue's port: each call as one job of a thread.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension};
use tokio::{
    sync::broadcast::error::RecvError,
    time::{Instant, timeout_at},
};

use super::{
    SqliteStore, claim, enqueue, finish, list, places,
    rows::{ITEM, large, priority, stored_item, unavailable},
    signals::woken,
    sweep,
};
use crate::{
    domain::{
        ids::{ClaimToken, ItemId},
        time::UnixMillis,
        work_item::{ItemRecord, ItemState, Priority, WorkItem},
    },
    ports::{
        store::{QueueStats, StoreError, StoreHealth},
        work_queue::{
            ClaimRequest, Claimed, Completed, Completion, Enqueued, Fence, GiveBack, ItemFilter, ItemPage, Renewal,
            Requeued, Swept, WorkQueue,
        },
    },
};

/// Items that one step puts back or deletes, so that it keeps nobody waiting for long.
const AT_ONCE: usize = 200;

#[async_trait]
impl WorkQueue for SqliteStore {
    async fn health(&self) -> Result<StoreHealth, StoreError> {
        let (incarnation, description) = (self.incarnation.clone(), self.description.clone());
        let file = self.file.clone();
        // Asked of the writer: a store that can't write is not healthy.
        self.workers
            .write(move |step| {
                file.check()?;
                Ok(StoreHealth {
                    incarnation,
                    description,
                    now: step.now,
                })
            })
            .await
    }

    async fn enqueue(&self, fence: Option<&Fence>, items: Vec<WorkItem>) -> Result<Vec<Enqueued>, StoreError> {
        let fence = fence.cloned();
        self.workers
            .write(move |step| enqueue::enqueue(step, fence.as_ref(), &items))
            .await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, StoreError> {
        loop {
            let asked = request.clone();
            let claims = self.workers.write(move |step| claim::claim(step, &asked)).await?;
            // Others get their turn between two bounded steps; an empty answer is given only when nothing is ready.
            if !claims.claimed.is_empty() || !claims.more {
                return Ok(claims.claimed);
            }
        }
    }

    async fn renew(&self, renewals: &[Renewal], lease: Duration) -> Result<Vec<bool>, StoreError> {
        let renewals = renewals.to_vec();
        self.workers
            .write(move |step| finish::renew(step, &renewals, lease))
            .await
    }

    async fn complete(&self, completion: &Completion) -> Result<Completed, StoreError> {
        let completion = completion.clone();
        self.workers
            .write(move |step| finish::complete(step, &completion))
            .await
    }

    async fn give_back(&self, item: ItemId, token: ClaimToken, why: GiveBack) -> Result<(), StoreError> {
        self.workers
            .write(move |step| finish::give_back(step, item, token, why))
            .await
    }

    async fn plugin_came(&self, items: &[ItemId]) -> Result<u64, StoreError> {
        let mut came = 0;
        for part in items.chunks(AT_ONCE) {
            let part = part.to_vec();
            came += self.workers.write(move |step| finish::plugin_came(step, &part)).await?;
        }
        Ok(came)
    }

    async fn sweep(&self) -> Result<Swept, StoreError> {
        self.workers.write(sweep::sweep).await
    }

    async fn wait_for_work(&self, at_most: Duration) {
        woken(&self.wakes.work, at_most).await;
    }

    async fn wait_for_end(&self, id: ItemId, at_most: Duration) -> Result<Option<ItemRecord>, StoreError> {
        let deadline = Instant::now() + at_most;
        // Listen first, look second: an end in between is not missed.
        let mut ends = self.wakes.ended.subscribe();
        loop {
            let record = self.item(id).await?;
            let ended = record
                .as_ref()
                .is_none_or(|r| matches!(r.state, ItemState::Done | ItemState::Dead));
            if ended {
                return Ok(record);
            }
            loop {
                match timeout_at(deadline, ends.recv()).await {
                    // As it is now, not as it was when the wait began.
                    Err(_) => return self.item(id).await,
                    Ok(Ok(ended)) if ended != id => {}
                    Ok(Ok(_) | Err(RecvError::Lagged(_))) => break,
                    Ok(Err(RecvError::Closed)) => return Ok(record),
                }
            }
        }
    }

    async fn item(&self, id: ItemId) -> Result<Option<ItemRecord>, StoreError> {
        self.workers
            .read(move |db, _| {
                db.prepare_cached(&format!("SELECT {ITEM} FROM items WHERE id = ?1"))
                    .and_then(|mut s| {
                        s.query_row([id.to_string()], |row| Ok(stored_item(row)?.record))
                            .optional()
                    })
                    .map_err(unavailable)
            })
            .await
    }

    async fn page(&self, filter: &ItemFilter) -> Result<ItemPage, StoreError> {
        let filter = filter.clone();
        self.workers
            .read(move |db, _| list::page(db, &filter).map_err(unavailable))
            .await
    }

    async fn stats(&self) -> Result<QueueStats, StoreError> {
        let limit = self.max_queue;
        self.workers
            .read(move |db, now| stats(db, now, limit).map_err(unavailable))
            .await
    }

    async fn requeue_dead(&self, items: &[ItemId]) -> Result<Vec<Requeued>, StoreError> {
        let mut answers = Vec::with_capacity(items.len());
        for part in items.chunks(AT_ONCE) {
            let part = part.to_vec();
            let done = self
                .workers
                .write(move |step| enqueue::requeue_dead(step, &part))
                .await?;
            answers.extend(done);
        }
        Ok(answers)
    }

    async fn purge_dead(&self, items: &[ItemId]) -> Result<u64, StoreError> {
        let mut purged = 0;
        for part in items.chunks(AT_ONCE) {
            let part = part.to_vec();
            purged += self.workers.write(move |step| enqueue::purge_dead(step, &part)).await?;
        }
        Ok(purged)
    }

    async fn room(&self) -> Result<Vec<(Priority, u64)>, StoreError> {
        self.workers
            .write(|step| {
                let room = |p: &Priority| Ok((*p, step.policy.max_queue.saturating_sub(places::depth(step, *p)?)));
                Priority::ALL.iter().map(room).collect()
            })
            .await
    }
}

fn stats(db: &Connection, now: UnixMillis, limit: u64) -> rusqlite::Result<QueueStats> {
    let mut stats = QueueStats {
        queued: Priority::ALL.iter().map(|p| (*p, 0)).collect::<BTreeMap<_, _>>(),
        limit,
        ..QueueStats::default()
    };
    let mut statement = db.prepare_cached("SELECT state, priority, n FROM counts")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let n = large(row.get(2)?);
        let total = match row.get_ref(0)?.as_str()? {
            "queued" => match priority(row.get(1)?) {
                Some(priority) => stats.queued.entry(priority).or_default(),
                None => continue,
            },
            "waiting" => &mut stats.waiting,
            "delayed" => &mut stats.delayed,
            "held" => &mut stats.held,
            "active" => &mut stats.active,
            "done" => &mut stats.done,
            "dead" => &mut stats.dead,
            _ => continue,
        };
        *total += n;
    }
    let one = |sql: &str| {
        db.prepare_cached(sql)?
            .query_row([], |row| row.get::<_, Option<i64>>(0))
    };
    stats.agents_in_backoff = large(
        one(
            "SELECT count(*) FROM agents WHERE mode = 'forced_open' OR (mode = 'automatic' AND open_until IS NOT NULL)",
        )?
        .unwrap_or(0),
    );
    stats.oldest_queued = one("SELECT min(ready_at) FROM items INDEXED BY items_ready WHERE state = 'queued'")?
        .map(|at| now.since(UnixMillis(at)));
    let first_dead =
        "SELECT (SELECT ended_at FROM items INDEXED BY items_dead WHERE state = 'dead' ORDER BY seq LIMIT 1)";
    stats.oldest_dead = one(first_dead)?.map(|at| now.since(UnixMillis(at)));
    Ok(stats)
}
