//! The election: at most one host does leader-only work, and it stops before its lease can be somebody else's.
//!
//! Leadership is not a flag. Winning yields a [`LeaderTerm`]: the fence that every leader-only write carries (I1), and a
//! local deadline that is checked before every step (I2). The leader-only tasks are started and joined *here*, so that the
//! lease is released only after the last of them has stopped.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, anyhow};
use async_trait::async_trait;
use thiserror::Error;
use tokio::{sync::watch, task::JoinSet, time};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::{
    domain::{
        event::NewEvent,
        ids::{HolderId, Term},
        lease::LeaseTerms,
        time::BootTime,
    },
    ports::{
        clock::Clock,
        events::Events,
        leadership::{Acquired, Bid, Leader, Leadership},
        store::StoreError,
        telemetry::{LeadershipEvent, Telemetry},
        work_queue::Fence,
    },
};

/// How this host bids, renews and gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElectionConfig {
    pub lease: LeaseTerms,
    pub renew_every: Duration,
    /// How often a follower bids when nobody tells it of a vacancy: what a crash costs beyond the lease's length.
    pub bid_every: Duration,
    /// The longest that one call to the store may take; far shorter than the lease.
    pub call_timeout: Duration,
    /// The longest to wait for leader-only work to stop before it is aborted.
    pub stop_within: Duration,
}

/// The leader-only work must stop: the lease is lost, or may be.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("no longer leader: the lease of term {term} can't be relied on any more")]
pub struct SteppedDown {
    pub term: Term,
}

/// One leadership, from winning to stepping down.
pub struct LeaderTerm {
    fence: Fence,
    clock: Arc<dyn Clock>,
    /// Milliseconds of boot time.
    deadline: AtomicU64,
    ended: CancellationToken,
}

impl LeaderTerm {
    fn new(fence: Fence, deadline: BootTime, clock: Arc<dyn Clock>) -> LeaderTerm {
        let term = LeaderTerm {
            fence,
            clock,
            deadline: AtomicU64::new(0),
            ended: CancellationToken::new(),
        };
        term.extend(deadline);
        term
    }

    /// A term that ends only when it is told to, for tests and for stores that one host owns.
    #[cfg(test)]
    pub fn endless(fence: Fence, clock: Arc<dyn Clock>) -> LeaderTerm {
        LeaderTerm::new(fence, BootTime(Duration::from_millis(u64::MAX)), clock)
    }

    fn extend(&self, deadline: BootTime) {
        let millis = u64::try_from(deadline.0.as_millis()).unwrap_or(u64::MAX);
        self.deadline.store(millis, Ordering::Release);
    }

    fn deadline(&self) -> BootTime {
        BootTime(Duration::from_millis(self.deadline.load(Ordering::Acquire)))
    }

    /// The fence, if leader-only work may be started now. Ask before every step; what is in flight is fenced by the store.
    pub fn check(&self) -> Result<&Fence, SteppedDown> {
        if self.ended.is_cancelled() || self.clock.now() >= self.deadline() {
            return Err(SteppedDown { term: self.fence.term });
        }
        Ok(&self.fence)
    }

    /// Cancelled when the term is over: cut what blocks.
    pub fn ended(&self) -> &CancellationToken {
        &self.ended
    }
}

/// Work that only the leader does, from its election until `term.ended()`.
#[async_trait]
pub trait LeaderTask: Send + Sync {
    fn name(&self) -> &'static str;

    /// Return `Ok` once the term has ended; an error is a fault of the host and ends the process.
    async fn lead(&self, term: Arc<LeaderTerm>) -> anyhow::Result<()>;
}

/// What this host knows of the leadership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not yet heard of.
    Unknown,
    Following(Option<Leader>),
    Leading(Term),
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
    pub standing: watch::Sender<Standing>,
}

/// Why a term ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TermEnd {
    Lost,
    Shutdown,
}

impl Election {
    /// Bid, lead, step down, bid again, until `shutdown`; then stop the leader-only work, and release.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        while !shutdown.is_cancelled() {
            let sent = self.clock.now();
            match self.bid().await {
                Ok(Acquired::Won(term)) => self.lead(term, sent, &shutdown).await?,
                Ok(Acquired::Held(leader)) => {
                    self.follow(leader);
                    self.pause_until_vacancy(&shutdown).await;
                }
                Err(error) => {
                    if self.standing.send_replace(Standing::Unknown) != Standing::Unknown {
                        warn!(%error, "can't bid for leadership; trying again every {:?}", self.config.bid_every);
                    }
                    self.pause_until_vacancy(&shutdown).await;
                }
            }
        }
        Ok(())
    }

    async fn bid(&self) -> Result<Acquired, StoreError> {
        let bid = Bid {
            holder: self.holder.clone(),
            address: self.address.clone(),
            ttl: self.config.lease.length,
        };
        self.call(self.leadership.acquire(&bid)).await
    }

    /// A call to the store with a bound of its own: a hung one must not outlast the lease.
    async fn call<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        time::timeout(self.config.call_timeout, call).await.unwrap_or_else(|_| {
            Err(StoreError::Unavailable(format!(
                "no answer in {:?}",
                self.config.call_timeout
            )))
        })
    }

    fn follow(&self, leader: Option<Leader>) {
        let now = Standing::Following(leader.clone());
        let changed = self.standing.send_if_modified(|standing| {
            let same_leader = matches!((&*standing, &leader), (Standing::Following(old), new)
                if old.as_ref().map(|l| (&l.holder, l.term)) == new.as_ref().map(|l| (&l.holder, l.term)));
            *standing = now;
            !same_leader
        });
        match leader {
            Some(leader) if changed => {
                info!(leader = %leader.host, term = %leader.term, "not_leader_skipping_poll");
                if leader.host == self.holder.host {
                    warn!(host = %leader.host, "another process with this host's name leads; two running copies share a name");
                }
            }
            _ => debug!("not_leader_skipping_poll"),
        }
    }

    async fn pause_until_vacancy(&self, shutdown: &CancellationToken) {
        tokio::select! {
            () = self.leadership.wait_for_vacancy(self.config.bid_every) => {}
            () = shutdown.cancelled() => {}
        }
    }

    async fn lead(&self, term: Term, sent: BootTime, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let fence = Fence {
            holder: self.holder.clone(),
            term,
        };
        let deadline = self.config.lease.local_deadline(sent);
        let leader_term = Arc::new(LeaderTerm::new(fence.clone(), deadline, Arc::clone(&self.clock)));
        info!(%term, host = %self.holder.host, "became_leader");
        self.telemetry.leadership(LeadershipEvent::Became, term);
        self.standing.send_replace(Standing::Leading(term));
        self.record(LeadershipEvent::Became, term).await;

        let mut tasks = JoinSet::new();
        for task in &self.tasks {
            let (task, leader_term) = (Arc::clone(task), Arc::clone(&leader_term));
            tasks.spawn(async move {
                let ended = leader_term.ended().clone();
                let result = task.lead(leader_term).await;
                // A task that returns while the term goes on would leave its work undone behind a green health check.
                match result {
                    Ok(()) if !ended.is_cancelled() => Err(anyhow!("leader task {} ended by itself", task.name())),
                    other => other.with_context(|| format!("leader task {}", task.name())),
                }
            });
        }

        let end = tokio::select! {
            end = self.keep_renewing(&leader_term, shutdown) => Ok(end),
            Some(joined) = tasks.join_next() => Err(match joined {
                Ok(Ok(())) => anyhow!("a leader task ended by itself"),
                Ok(Err(error)) => error,
                Err(panic) => anyhow!("a leader task panicked: {panic}"),
            }),
        };
        leader_term.ended.cancel();
        self.stop(tasks).await;
        self.step_down(&fence, matches!(end, Ok(TermEnd::Lost))).await;
        end.map(drop)
    }

    /// Renew until the lease is refused, its local deadline passes, or shutdown.
    async fn keep_renewing(&self, term: &LeaderTerm, shutdown: &CancellationToken) -> TermEnd {
        let mut next = self.config.renew_every;
        loop {
            tokio::select! {
                () = time::sleep(next) => {}
                () = shutdown.cancelled() => return TermEnd::Shutdown,
            }
            let sent = self.clock.now();
            if sent >= term.deadline() {
                warn!(term = %term.fence.term, "the lease ran out before it could be renewed");
                return TermEnd::Lost;
            }
            let left = term.deadline().since(sent);
            let renewal = self.call(self.leadership.renew(&term.fence, self.config.lease.length));
            match time::timeout(left, renewal).await {
                Ok(Ok(())) => {
                    term.extend(self.config.lease.local_deadline(sent));
                    next = self.config.renew_every;
                }
                Ok(Err(error @ (StoreError::Fenced { .. } | StoreError::Corrupt(_)))) => {
                    warn!(term = %term.fence.term, %error, "the lease is no longer ours");
                    return TermEnd::Lost;
                }
                Ok(Err(error)) => {
                    // Until the deadline the lease is still ours; ask again soon.
                    warn!(term = %term.fence.term, %error, ?left, "could not renew the lease");
                    next = (self.config.renew_every / 10).min(term.deadline().since(self.clock.now()));
                }
                Err(_) => return TermEnd::Lost,
            }
        }
    }

    async fn stop(&self, mut tasks: JoinSet<anyhow::Result<()>>) {
        let joined = time::timeout(self.config.stop_within, async {
            while let Some(ended) = tasks.join_next().await {
                if let Err(error) = ended.unwrap_or_else(|panic| Err(panic.into())) {
                    error!(error = format!("{error:#}"), "leader task failed while stopping");
                }
            }
        });
        if joined.await.is_err() {
            error!(within = ?self.config.stop_within, "leader-only work did not stop in time and is aborted");
            tasks.shutdown().await;
        }
    }

    async fn step_down(&self, fence: &Fence, lost: bool) {
        let event = if lost {
            LeadershipEvent::Lost
        } else {
            LeadershipEvent::Released
        };
        // Also a lost lease may still be ours in the store: a release by compare-and-delete spares the successor the wait.
        if let Err(error) = self.call(self.leadership.release(fence)).await {
            debug!(%error, "could not release the lease; it runs out by itself");
        }
        self.standing.send_replace(Standing::Following(None));
        self.telemetry.leadership(event, fence.term);
        info!(term = %fence.term, host = %self.holder.host, "{}", event.as_str());
        self.record(event, fence.term).await;
    }

    async fn record(&self, event: LeadershipEvent, term: Term) {
        let kind = event.as_str();
        let event = NewEvent {
            kind,
            host: Some(self.holder.host.clone()),
            agent: None,
            item: None,
            detail: format!("term {term}"),
        };
        if let Err(error) = self.call(self.events.append(event)).await {
            warn!(%error, kind, "could not record the event");
        }
    }
}
