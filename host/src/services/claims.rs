//! Keeps the leases of this host's claims, and tells an activation the moment its claim can't be relied on.
//!
//! Renewal is a task of its own on the host's own runtime: neither a busy guest nor a slow Hub delays it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use thiserror::Error;
use tokio::time;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{
    domain::{
        ids::{ClaimToken, ItemId},
        lease::LeaseTerms,
        time::BootTime,
    },
    ports::{
        clock::Clock,
        work_queue::{Renewal, WorkQueue},
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
    /// The plugin's generation that runs it, once known.
    generation: OnceLock<String>,
}

impl HeldClaim {
    /// Whether an effect may be started now. Ask before each.
    pub fn check(&self) -> Result<(), ClaimLost> {
        if self.lost.is_cancelled() || self.clock.now() >= self.deadline() {
            return Err(ClaimLost { item: self.item });
        }
        Ok(())
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
    held: Mutex<HashMap<ItemId, Arc<HeldClaim>>>,
}

impl Claims {
    pub fn new(queue: Arc<dyn WorkQueue>, clock: Arc<dyn Clock>, lease: LeaseTerms, call_timeout: Duration) -> Claims {
        Claims {
            queue,
            clock,
            lease,
            call_timeout,
            held: Mutex::default(),
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
            generation: OnceLock::new(),
        });
        claim.extend(self.lease.local_deadline(sent));
        self.lock().insert(item, Arc::clone(&claim));
        Holding {
            claim,
            claims: Arc::clone(self),
        }
    }

    /// Renew every third of a lease, and let go of what is past its deadline, until `shutdown`.
    pub async fn keep(&self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let every = self.lease.length / 3;
        let mut wait = every;
        loop {
            tokio::select! {
                () = time::sleep(wait) => {}
                () = shutdown.cancelled() => return Ok(()),
            }
            // After a failed renewal soon again: two thirds of the lease are left to get through.
            wait = if self.renew().await { every } else { every / 10 };
        }
    }

    /// One renewal of all claims; whether the store answered.
    async fn renew(&self) -> bool {
        let held: Vec<Arc<HeldClaim>> = self.lock().values().cloned().collect();
        if held.is_empty() {
            return true;
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
        let answer = time::timeout(self.call_timeout, self.queue.renew(&renewals, self.lease.length)).await;
        let answered = match answer {
            Ok(Ok(kept)) => {
                for (claim, kept) in held.iter().zip(kept) {
                    if kept {
                        claim.extend(self.lease.local_deadline(sent));
                    } else {
                        claim.lost.cancel();
                    }
                }
                true
            }
            Ok(Err(error)) => {
                warn!(%error, claims = held.len(), "could not renew the claims' leases");
                false
            }
            Err(_) => {
                warn!(
                    claims = held.len(),
                    "no answer to the renewal of claims in {:?}", self.call_timeout
                );
                false
            }
        };
        let now = self.clock.now();
        for claim in held.iter().filter(|claim| now >= claim.deadline()) {
            claim.lost.cancel();
        }
        answered
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ItemId, Arc<HeldClaim>>> {
        // The map is never left half changed, so a panic elsewhere does not spoil it.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A claim that is being renewed; dropping it ends the renewal.
pub struct Holding {
    pub claim: Arc<HeldClaim>,
    claims: Arc<Claims>,
}

impl Drop for Holding {
    fn drop(&mut self) {
        let mut held = self.claims.lock();
        // A new claim on the same item may stand here by now.
        if held
            .get(&self.claim.item)
            .is_some_and(|claim| claim.token == self.claim.token)
        {
            held.remove(&self.claim.item);
        }
    }
}
