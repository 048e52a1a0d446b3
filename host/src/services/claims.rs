//! Keeps the leases of this host's claims, and tells an activation the moment its claim can't be relied on.
//!
//! Renewal is a task of its own on the host's own runtime: neither a busy guest nor a slow Hub delays it. Beside it the
//! deadlines are watched, so that a renewal that hangs does not keep a claim alive that has run out (I12).

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use thiserror::Error;
use tokio::time;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

mod departure;

use super::election::LOOK_AT_CLOCK;
use crate::{
    domain::{
        ids::{ClaimToken, ItemId},
        lease::LeaseTerms,
        time::BootTime,
    },
    ports::{
        clock::Clock,
        store::StoreError,
        work_queue::{ClaimRequest, Claimed, Renewal, WorkQueue},
    },
};

/// The claim has run out or was taken away: no effect may be started any more (I12).
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the claim on item {item} has been lost")]
pub struct ClaimLost {
    pub item: ItemId,
}

/// One claim of this host while its activation runs.
pub struct HeldClaim {
    pub item: ItemId,
    pub token: ClaimToken,
    clock: Arc<dyn Clock>,
    /// Milliseconds of boot time.
    deadline: AtomicU64,
    lost: CancellationToken,
    /// The guest is gone: what it had asked for and was not yet sent is not sent any more.
    closed: AtomicBool,
    /// The plugin's generation that runs it, once known.
    generation: OnceLock<String>,
    /// The store knows its end, or has given it to somebody else.
    settled: AtomicBool,
    /// Nobody keeps it any more.
    dropped: AtomicBool,
}

impl HeldClaim {
    /// Whether the claim can be relied on now. Ask before whatever is done in its name.
    pub fn check(&self) -> Result<(), ClaimLost> {
        if self.lost.is_cancelled() || self.clock.now() >= self.deadline() {
            return Err(ClaimLost { item: self.item });
        }
        Ok(())
    }

    /// Whether the guest may start an effect now. Ask before each.
    pub fn check_effect(&self) -> Result<(), ClaimLost> {
        if self.closed.load(Ordering::Acquire) {
            return Err(ClaimLost { item: self.item });
        }
        self.check()
    }

    /// The guest is gone, however it ended: no effect of its is started from now on.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Resolves when the claim is lost.
    pub async fn lost(&self) {
        self.lost.cancelled().await;
    }

    pub fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    /// Note which generation runs it; the first word counts, an activation never mixes generations (I10).
    pub fn stamp(&self, generation: String) {
        self.generation.get_or_init(|| generation);
    }

    pub fn generation(&self) -> Option<String> {
        self.generation.get().cloned()
    }

    /// The store has heard how it ended, or says that it is not ours: there is nothing left to give back.
    pub fn settle(&self) {
        self.settled.store(true, Ordering::Release);
    }

    fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::Acquire)
    }

    fn deadline(&self) -> BootTime {
        BootTime(Duration::from_millis(self.deadline.load(Ordering::Acquire)))
    }

    fn extend(&self, deadline: BootTime) {
        self.deadline.store(
            u64::try_from(deadline.0.as_millis()).unwrap_or(u64::MAX),
            Ordering::Release,
        );
    }
}

/// All claims of this host, and the task that renews them.
pub struct Claims {
    queue: Arc<dyn WorkQueue>,
    clock: Arc<dyn Clock>,
    lease: LeaseTerms,
    call_timeout: Duration,
    /// Those that are kept; and until they run out those that were dropped before the store knew their end.
    held: Mutex<HashMap<ItemId, Arc<HeldClaim>>>,
    /// Calls without an answer: they may have claimed something.
    doubted: Mutex<Vec<ClaimRequest>>,
}

impl Claims {
    pub fn new(queue: Arc<dyn WorkQueue>, clock: Arc<dyn Clock>, lease: LeaseTerms, call_timeout: Duration) -> Claims {
        Claims {
            queue,
            clock,
            lease,
            call_timeout,
            held: Mutex::default(),
            doubted: Mutex::default(),
        }
    }

    pub fn lease(&self) -> LeaseTerms {
        self.lease
    }

    /// Keep a claim whose request was sent at `sent`, until the returned value is dropped.
    pub fn hold(self: &Arc<Claims>, item: ItemId, token: ClaimToken, sent: BootTime) -> Holding {
        let claim = Arc::new(HeldClaim {
            item,
            token,
            clock: Arc::clone(&self.clock),
            deadline: AtomicU64::new(0),
            lost: CancellationToken::new(),
            closed: AtomicBool::new(false),
            generation: OnceLock::new(),
            settled: AtomicBool::new(false),
            dropped: AtomicBool::new(false),
        });
        claim.extend(self.lease.local_deadline(sent));
        self.lock().insert(item, Arc::clone(&claim));
        Holding {
            claim,
            claims: Arc::clone(self),
        }
    }

    /// How many items this host runs; those whose guest has ended are no more among them.
    pub fn in_flight(&self) -> usize {
        let runs = |claim: &&Arc<HeldClaim>| !claim.is_dropped() && !claim.closed.load(Ordering::Acquire);
        self.lock().values().filter(runs).count()
    }

    /// Renew every third of a lease, and let go of each claim at its deadline, until `shutdown`.
    pub async fn keep(&self, shutdown: CancellationToken) -> anyhow::Result<()> {
        tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            never = self.renew_forever() => match never {},
            never = self.cut_forever() => match never {},
        }
    }

    /// Of claims whose answer came late, which are still held; with the time from which their lease counts. The lease of
    /// the first, lost answer may be over by now, so they are renewed before anything is done with them.
    pub async fn confirm(&self, claimed: &[Claimed]) -> Result<(BootTime, Vec<bool>), StoreError> {
        let renewals: Vec<Renewal> = claimed
            .iter()
            .map(|claimed| Renewal {
                item: claimed.item.id,
                token: claimed.token,
                generation: None,
            })
            .collect();
        let sent = self.clock.now();
        Ok((sent, self.call_renew(&renewals).await?))
    }

    async fn renew_forever(&self) -> Infallible {
        let every = self.lease.length / 3;
        let (mut wait, mut failures) = (every, 0u32);
        loop {
            time::sleep(wait).await;
            wait = match self.renew().await {
                Ok(()) => {
                    failures = 0;
                    every
                }
                Err(error) => {
                    if failures == 0 {
                        warn!(%error, "could not renew the claims' leases; trying again");
                    } else {
                        debug!(%error, failures, "could not renew the claims' leases");
                    }
                    failures += 1;
                    // Soon again: two thirds of the lease are left to get through.
                    every / 10
                }
            };
        }
    }

    /// Let go of each claim as its deadline passes, whatever the renewals are doing.
    async fn cut_forever(&self) -> Infallible {
        loop {
            let now = self.clock.now();
            let mut next = LOOK_AT_CLOCK;
            self.lock().retain(|_, claim| {
                let left = claim.deadline().since(now);
                let over = left.is_zero();
                if over && claim.is_dropped() {
                    return false;
                }
                if over && !claim.is_lost() {
                    warn!(item = %claim.item, "the claim ran out before it could be renewed");
                    claim.lost.cancel();
                } else if !over {
                    next = next.min(left);
                }
                true
            });
            time::sleep(next).await;
        }
    }

    /// One renewal of all claims.
    async fn renew(&self) -> Result<(), StoreError> {
        // A claim that was let go is not renewed: the sooner the store gives its item to others, the better.
        let kept = |claim: &&Arc<HeldClaim>| !claim.is_lost() && !claim.is_dropped();
        let held: Vec<Arc<HeldClaim>> = self.lock().values().filter(kept).cloned().collect();
        if held.is_empty() {
            return Ok(());
        }
        let renewals: Vec<Renewal> = held
            .iter()
            .map(|claim| Renewal {
                item: claim.item,
                token: claim.token,
                generation: claim.generation(),
            })
            .collect();
        let sent = self.clock.now();
        for (claim, kept) in held.iter().zip(self.call_renew(&renewals).await?) {
            if kept {
                claim.extend(self.lease.local_deadline(sent));
            } else {
                claim.lost.cancel();
            }
        }
        Ok(())
    }

    async fn call_renew(&self, renewals: &[Renewal]) -> Result<Vec<bool>, StoreError> {
        self.bounded(self.queue.renew(renewals, self.lease.length)).await
    }

    /// A call that hangs must not be the last.
    async fn bounded<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        time::timeout(self.call_timeout, call)
            .await
            .unwrap_or_else(|_| Err(StoreError::no_answer(self.call_timeout)))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ItemId, Arc<HeldClaim>>> {
        // The map is never left half changed, so a panic elsewhere does not spoil it.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A claim that is being renewed; dropping it ends the renewal. One that was not settled is given back when the host leaves,
/// unless it has run out by then.
pub struct Holding {
    pub claim: Arc<HeldClaim>,
    claims: Arc<Claims>,
}

impl Drop for Holding {
    fn drop(&mut self) {
        let claim = &self.claim;
        // Whoever dropped it may have been cut off in the middle.
        claim.close();
        claim.dropped.store(true, Ordering::Release);
        let mut held = self.claims.lock();
        // A new claim on the same item may stand here by now.
        let stands = held.get(&claim.item).is_some_and(|held| held.token == claim.token);
        if stands && (claim.is_lost() || claim.settled.load(Ordering::Acquire)) {
            held.remove(&claim.item);
        }
    }
}
