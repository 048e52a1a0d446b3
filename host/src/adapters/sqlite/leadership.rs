//! The leader's lease. One host owns the file, so there is no rival; but what is fenced here is what Redis will have to fence.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use rusqlite::{Row, params};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::{
    SqliteStore,
    rows::{int, large, unavailable},
    worker::Step,
};
use crate::{
    domain::{
        ids::{HolderId, HostName, Term},
        preference::Score,
        time::UnixMillis,
    },
    ports::{
        leadership::{Acquired, Bid, Candidate, Inherited, Leader, Leadership},
        store::StoreError,
        work_queue::Fence,
    },
};

/// Who waits for the lease, by holder. In memory: who owns the file is the only process that could.
#[derive(Clone, Default)]
pub(super) struct Candidates(Arc<Mutex<BTreeMap<String, Waiting>>>);

struct Waiting {
    host: HostName,
    score: Score,
    until: UnixMillis,
}

impl Candidates {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, bid: &Bid, now: UnixMillis) {
        let waiting = Waiting {
            host: bid.holder.host.clone(),
            score: bid.score,
            until: now + bid.waits,
        };
        self.lock().insert(bid.holder.to_string(), waiting);
    }

    fn withdraw(&self, holder: &HolderId) {
        self.lock().remove(&holder.to_string());
    }

    /// Those that wait, best first.
    fn list(&self, now: UnixMillis) -> Vec<Candidate> {
        let mut all = self.lock();
        all.retain(|_, waiting| waiting.until > now);
        let mut list: Vec<Candidate> = all
            .iter()
            .map(|(holder, waiting)| Candidate {
                host: waiting.host.clone(),
                holder: holder.clone(),
                score: waiting.score,
            })
            .collect();
        list.sort_by_key(|candidate| Reverse(candidate.score));
        list
    }
}

struct Lease {
    host: String,
    start: String,
    address: String,
    term: u64,
    since: UnixMillis,
    until: UnixMillis,
    reserved_host: String,
    reserved_until: UnixMillis,
}

const LEASE: &str = "SELECT holder_host, holder_start, address, term, since, until, reserved_host, reserved_until \
     FROM leadership";

fn lease(row: &Row<'_>) -> rusqlite::Result<Lease> {
    Ok(Lease {
        host: row.get(0)?,
        start: row.get(1)?,
        address: row.get(2)?,
        term: large(row.get(3)?),
        since: UnixMillis(row.get(4)?),
        until: UnixMillis(row.get(5)?),
        reserved_host: row.get(6)?,
        reserved_until: UnixMillis(row.get(7)?),
    })
}

impl Lease {
    fn load(step: &Step<'_>) -> Result<Lease, StoreError> {
        step.first(LEASE, [], lease)?
            .ok_or_else(|| StoreError::Corrupt("the row of the leader's lease is gone".to_owned()))
    }

    fn leader(&self, now: UnixMillis) -> Option<Leader> {
        let host = HostName::new(self.host.clone()).ok().filter(|_| self.until > now)?;
        Some(Leader {
            holder: format!("{}/{}", self.host, self.start),
            host,
            term: Term(self.term),
            address: self.address.clone(),
            since: self.since,
            remaining: self.until.since(now),
        })
    }

    fn is_held(&self, fence: &Fence, now: UnixMillis) -> bool {
        self.until > now
            && self.term == fence.term.0
            && self.host == fence.holder.host.as_str()
            && self.start == fence.holder.start.to_string()
    }

    /// How long a bidder has yet to leave the free lease to others.
    fn not_before(&self, bid: &Bid, waiting: &[Candidate], now: UnixMillis) -> Duration {
        if self.reserved_until > now {
            let is_for_it = self.reserved_host == bid.holder.host.as_str();
            return if is_for_it {
                Duration::ZERO
            } else {
                self.reserved_until.since(now)
            };
        }
        let own = bid.holder.to_string();
        let best = waiting
            .iter()
            .filter(|other| other.holder != own)
            .map(|other| other.score)
            .max();
        let head_start = best.map_or(Duration::ZERO, |best| bid.score.lets_go_first(best));
        (self.until + head_start).since(now)
    }
}

/// Refuse what is not done by the leader in its current term (I1).
pub(super) fn check_fence(step: &Step<'_>, fence: &Fence) -> Result<(), StoreError> {
    if Lease::load(step)?.is_held(fence, step.now) {
        Ok(())
    } else {
        Err(StoreError::Fenced { term: fence.term })
    }
}

fn acquire(step: &mut Step<'_>, candidates: &Candidates, bid: &Bid) -> Result<Acquired, StoreError> {
    let lease = Lease::load(step)?;
    let until = step.now + bid.ttl;
    let own = Fence {
        holder: bid.holder.clone(),
        term: Term(lease.term),
    };
    let holds = lease.is_held(&own, step.now);
    if holds && own.term > bid.known {
        // A repeat: the bidder counts its deadline from this one's sending.
        step.run("UPDATE leadership SET until = max(until, ?1)", [until.0])?;
        return Ok(Acquired::Won(own.term));
    }
    // What it holds in a term that it knows is a lease that it gave up: it is free for it.
    if !holds {
        let refusal = match lease.leader(step.now) {
            Some(leader) => Some(Acquired::Held(leader)),
            None => match lease.not_before(bid, &candidates.list(step.now), step.now) {
                Duration::ZERO => None,
                wait => Some(Acquired::Wait(wait)),
            },
        };
        if let Some(refusal) = refusal {
            candidates.wait(bid, step.now);
            return Ok(refusal);
        }
    }
    candidates.withdraw(&bid.holder);
    let term = lease.term.max(bid.known.0) + 1;
    step.run(
        "UPDATE leadership SET holder_host = ?1, holder_start = ?2, address = ?3, term = ?4, since = ?5, until = ?6, \
         reserved_host = '', reserved_until = 0",
        params![
            bid.holder.host.as_str(),
            bid.holder.start.to_string(),
            bid.address,
            int(term),
            step.now.0,
            until.0
        ],
    )?;
    Ok(Acquired::Won(Term(term)))
}

fn checksum(body: &str) -> String {
    Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whoever holds the lease holds it no more.
pub(super) fn vacate(step: &mut Step<'_>) -> Result<(), StoreError> {
    step.run("UPDATE leadership SET until = min(until, ?1)", [step.now.0])?;
    step.signals.vacated = true;
    Ok(())
}

#[async_trait]
impl Leadership for SqliteStore {
    async fn acquire(&self, bid: &Bid) -> Result<Acquired, StoreError> {
        let (candidates, bid) = (self.candidates.clone(), bid.clone());
        self.workers.write(move |step| acquire(step, &candidates, &bid)).await
    }

    async fn renew(&self, fence: &Fence, ttl: Duration) -> Result<(), StoreError> {
        let fence = fence.clone();
        self.workers
            .write(move |step| {
                check_fence(step, &fence)?;
                step.run("UPDATE leadership SET until = ?1", [(step.now + ttl).0])?;
                Ok(())
            })
            .await
    }

    async fn release(&self, fence: &Fence) -> Result<(), StoreError> {
        let fence = fence.clone();
        self.workers
            .write(move |step| match Lease::load(step)?.is_held(&fence, step.now) {
                true => vacate(step),
                false => Ok(()),
            })
            .await
    }

    async fn leader(&self) -> Result<Option<Leader>, StoreError> {
        self.workers
            .read(|db, now| Ok(db.query_row(LEASE, [], lease).map_err(unavailable)?.leader(now)))
            .await
    }

    fn vacancies(&self) -> watch::Receiver<()> {
        self.wakes.vacancy.subscribe()
    }

    async fn candidates(&self) -> Result<Vec<Candidate>, StoreError> {
        let candidates = self.candidates.clone();
        self.workers.read(move |_, now| Ok(candidates.list(now))).await
    }

    async fn withdraw(&self, holder: &HolderId) -> Result<(), StoreError> {
        self.candidates.withdraw(holder);
        Ok(())
    }

    async fn reserve(&self, fence: &Fence, host: &HostName, span: Duration) -> Result<(), StoreError> {
        let (fence, host) = (fence.clone(), host.clone());
        self.workers
            .write(move |step| {
                check_fence(step, &fence)?;
                step.run(
                    "UPDATE leadership SET reserved_host = ?1, reserved_until = ?2",
                    params![host.as_str(), (step.now + span).0],
                )?;
                Ok(())
            })
            .await
    }

    async fn save_state(&self, fence: &Fence, body: &str) -> Result<(), StoreError> {
        let (fence, body) = (fence.clone(), body.to_owned());
        self.workers
            .write(move |step| {
                check_fence(step, &fence)?;
                step.run(
                    "UPDATE leadership SET state = ?1, state_term = ?2, state_sha256 = ?3",
                    params![body, int(fence.term.0), checksum(&body)],
                )?;
                Ok(())
            })
            .await
    }

    async fn load_state(&self) -> Result<Inherited, StoreError> {
        let read = |row: &Row<'_>| {
            Ok((
                row.get::<_, Option<String>>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, String>(2)?,
            ))
        };
        let (body, term, expected) = self
            .workers
            .read(move |db, _| {
                db.query_row("SELECT state, state_term, state_sha256 FROM leadership", [], read)
                    .map_err(unavailable)
            })
            .await?;
        let Some(body) = body else {
            return Ok(Inherited::Nothing);
        };
        let found = checksum(&body);
        Ok(if found == expected {
            Inherited::State {
                term: Term(large(term)),
                body,
            }
        } else {
            Inherited::Damaged {
                detail: format!("its SHA-256 is {found}, but {expected} was kept with it (term {term})"),
            }
        })
    }
}
