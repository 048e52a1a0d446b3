//! The election: at most one host does leader-only work, and it stops before its lease can be somebody else's.
//!
//! Leadership is not a flag. Winning yields a [`LeaderTerm`]: the fence that every leader-only write carries (I1), and a
//! local deadline that is checked before every step (I2). The leader-only tasks are started and joined *here*, so that the
//! lease is released only after the last of them has stopped.
//!
//! A follower bids when it is told of a vacancy, and at the lease's end as far as it knows; in between it only looks now and
//! then. This file is the follower's; `leading` is what happens from winning to stepping down.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{sync::watch, time};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{
    domain::{
        ids::{HolderId, Term},
        lease::LeaseTerms,
    },
    ports::{
        clock::Clock,
        events::Events,
        leadership::{Acquired, Bid, Leader, Leadership},
        store::StoreError,
        telemetry::Telemetry,
    },
};

mod leading;
mod office;
mod term;

pub use leading::RESERVED;
pub use office::{HandedOver, Office, Refused, Scoring, Seat, Standing, open};
pub use term::{LOOK_AT_CLOCK, LeaderTerm, SteppedDown};

/// The shortest and, for a lease that may become free any moment, the longest pause between two bids.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const SOON: Duration = Duration::from_millis(100);
/// Store and host round to milliseconds: so much later a lease has ended for both.
const ROUNDING: Duration = Duration::from_millis(2);

/// How this host bids, renews and gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElectionConfig {
    pub lease: LeaseTerms,
    pub renew_every: Duration,
    /// How soon a host bids again after a bid that failed.
    pub bid_every: Duration,
    /// How often a follower looks, if the lease does not end sooner: what a lost notification costs a handover, and one of
    /// another system's leader, which tells nobody. A crash costs no more than the lease, whose end is known.
    pub look_every: Duration,
    /// The longest that one call to the store may take; far shorter than the lease.
    pub call_timeout: Duration,
    /// The longest to wait for leader-only work to stop before it is aborted.
    pub stop_within: Duration,
}

/// Work that only the leader does, from its election until `term.ended()`.
#[async_trait]
pub trait LeaderTask: Send + Sync {
    fn name(&self) -> &'static str;

    /// Return `Ok` once the term has ended; an error is a fault of the host and ends the process.
    async fn lead(&self, term: Arc<LeaderTerm>) -> anyhow::Result<()>;
}

pub struct Election {
    pub leadership: Arc<dyn Leadership>,
    pub events: Arc<dyn Events>,
    pub telemetry: Arc<dyn Telemetry>,
    pub clock: Arc<dyn Clock>,
    pub config: ElectionConfig,
    pub holder: HolderId,
    /// Where this host's API can be reached.
    pub address: String,
    pub tasks: Vec<Arc<dyn LeaderTask>>,
    pub seat: Seat,
}

/// Until when not to bid.
enum Pause {
    /// A moment, or a vacancy.
    UntilVacancy(Duration),
    /// A moment, whatever is heard of vacancies.
    For(Duration),
    No,
}

impl Election {
    /// Bid, lead, step down, bid again, until `shutdown`; then stop the leader-only work, and release.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut vacancies = self.leadership.vacancies();
        let mut known = Term(0);
        let mut waits = false;
        while !shutdown.is_cancelled() {
            vacancies.mark_unchanged();
            let sent = self.clock.now();
            let pause = match self.bid(known).await {
                Ok(Acquired::Won(term)) => {
                    (known, waits) = (known.max(term), false);
                    self.won(term, sent, &shutdown).await?
                }
                Ok(Acquired::Held(leader)) => {
                    (known, waits) = (known.max(leader.term), true);
                    self.until_vacant(leader)
                }
                Ok(Acquired::Wait(span)) => {
                    waits = true;
                    self.follow(None);
                    // Who goes first may be there long before, and it is good to know who leads.
                    Pause::UntilVacancy(span.min(SOON))
                }
                Err(error) => {
                    if self.seat.standing.send_replace(Standing::Unknown) != Standing::Unknown {
                        warn!(%error, "can't bid for leadership; trying again every {:?}", self.config.bid_every);
                    }
                    // Not until a vacancy: the lease may well be free, and the bid fail for another reason.
                    Pause::For(self.config.bid_every)
                }
            };
            self.pause(pause, &mut vacancies, &shutdown).await;
        }
        if waits && let Err(error) = self.call(self.leadership.withdraw(&self.holder)).await {
            debug!(%error, "could not withdraw; this host counts as waiting for a moment more");
        }
        Ok(())
    }

    async fn bid(&self, known: Term) -> Result<Acquired, StoreError> {
        let bid = Bid {
            holder: self.holder.clone(),
            address: self.address.clone(),
            ttl: self.config.lease.length,
            score: self.seat.score(),
            known,
            waits: self.config.look_every * 2,
        };
        self.call(self.leadership.acquire(&bid)).await
    }

    /// Until the lease ends, as far as is known.
    fn until_vacant(&self, leader: Leader) -> Pause {
        let left = leader.remaining + ROUNDING;
        self.follow(Some(leader));
        Pause::UntilVacancy(left.min(self.config.look_every))
    }

    /// A call to the store with a bound of its own: a hung one must not outlast the lease.
    async fn call<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        time::timeout(self.config.call_timeout, call)
            .await
            .unwrap_or_else(|_| Err(StoreError::no_answer(self.config.call_timeout)))
    }

    fn follow(&self, leader: Option<Leader>) {
        let now = Standing::Following(leader.clone());
        let changed = self.seat.standing.send_if_modified(|standing| {
            let same_leader = matches!((&*standing, &leader), (Standing::Following(old), new)
                if old.as_ref().map(|l| (&l.holder, l.term)) == new.as_ref().map(|l| (&l.holder, l.term)));
            *standing = now;
            !same_leader
        });
        match leader {
            Some(leader) if changed && leader.is_foreign() => {
                warn!(
                    leader = %leader.host,
                    "not_leader_skipping_poll: another system holds the lease; this host only runs items"
                );
            }
            Some(leader) if changed => {
                info!(leader = %leader.host, term = %leader.term, "not_leader_skipping_poll");
                if leader.host == self.holder.host {
                    warn!(host = %leader.host, "another process with this host's name leads; two running copies share a name");
                }
            }
            _ => debug!("not_leader_skipping_poll"),
        }
    }

    async fn pause(&self, pause: Pause, vacancies: &mut watch::Receiver<()>, shutdown: &CancellationToken) {
        let (span, wakes) = match pause {
            Pause::UntilVacancy(span) => (span, true),
            Pause::For(span) => (span, false),
            Pause::No => return,
        };
        let vacancy = async {
            match wakes {
                true if vacancies.changed().await.is_ok() => {}
                _ => std::future::pending().await,
            }
        };
        let no_orders = async {
            loop {
                self.seat.next_order().await.answer(Err(Refused::NotLeading));
            }
        };
        tokio::select! {
            () = time::sleep(span.max(SHORTEST_PAUSE)) => {}
            () = vacancy => {}
            () = shutdown.cancelled() => {}
            () = no_orders => {}
        }
    }
}
