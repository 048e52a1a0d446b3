//! The election: at most one host does leader-only work, and it stops before its lease can be somebody else's.
//!
//! Leadership is not a flag. Winning yields a [`LeaderTerm`]: the fence that every leader-only write carries (I1), and a
//! local deadline that is checked before every step (I2). The leader-only tasks are started and joined *here*, so that the
//! lease is released only after the last of them has stopped.

use std::{convert::Infallible, sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use async_trait::async_trait;
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

mod term;

pub use term::{LOOK_AT_CLOCK, LeaderTerm, SteppedDown};

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
                Ok(Acquired::Won(term)) => self.won(term, sent, &shutdown).await?,
                Ok(Acquired::Held(leader)) => {
                    self.follow(leader);
                    self.pause_until_vacancy(&shutdown).await;
                }
                Err(error) => {
                    if self.standing.send_replace(Standing::Unknown) != Standing::Unknown {
                        warn!(%error, "can't bid for leadership; trying again every {:?}", self.config.bid_every);
                    }
                    // Not until a vacancy: the lease may well be free, and the bid fail for another reason.
                    self.pause(&shutdown).await;
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
        time::timeout(self.config.call_timeout, call)
            .await
            .unwrap_or_else(|_| Err(StoreError::no_answer(self.config.call_timeout)))
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
            // Whatever the wait runs into, the next bid comes in time.
            () = self.pause(shutdown) => {}
        }
    }

    async fn pause(&self, shutdown: &CancellationToken) {
        tokio::select! {
            () = time::sleep(self.config.bid_every) => {}
            () = shutdown.cancelled() => {}
        }
    }

    /// Lead, unless the bid's answer came too late to begin anything: then the lease goes back unused.
    async fn won(&self, term: Term, sent: BootTime, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let fence = Fence {
            holder: self.holder.clone(),
            term,
        };
        let deadline = self.config.lease.local_deadline(sent);
        let leader_term = Arc::new(LeaderTerm::new(fence.clone(), deadline, Arc::clone(&self.clock)));
        if shutdown.is_cancelled() || leader_term.check().is_err() {
            debug!(%term, "won the lease too late to use it");
            self.release(&fence).await;
            self.pause(shutdown).await;
            return Ok(());
        }
        self.lead(&leader_term, &fence, sent, shutdown).await
    }

    async fn lead(
        &self,
        term: &Arc<LeaderTerm>,
        fence: &Fence,
        sent: BootTime,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<()> {
        info!(term = %fence.term, host = %self.holder.host, "became_leader");
        self.telemetry.leadership(LeadershipEvent::Became, fence.term);
        self.standing.send_replace(Standing::Leading(fence.term));
        let mut tasks = self.start(term);
        // Beside the renewals, not before them: nothing that takes time may stand between winning and renewing.
        let announced = async {
            self.record(LeadershipEvent::Became, fence.term).await;
            std::future::pending::<Infallible>().await
        };
        let end = tokio::select! {
            // Its end first: a task that has returned because the term was over has not ended by itself.
            biased;
            end = self.hold(term, fence, sent, shutdown) => Ok(end),
            Some(joined) = tasks.join_next() => Err(match joined {
                Ok(Ok(())) => anyhow!("a leader task ended by itself"),
                Ok(Err(error)) => error,
                Err(panic) => anyhow!("a leader task panicked: {panic}"),
            }),
            never = announced => match never {},
        };
        term.end();
        let event = match end {
            Ok(TermEnd::Lost) => LeadershipEvent::Lost,
            Ok(TermEnd::Shutdown) | Err(_) => LeadershipEvent::Released,
        };
        // Said before the tasks are joined: whoever asks must not hear of a leader that may lead no more.
        self.standing.send_replace(Standing::Following(None));
        self.telemetry.leadership(event, fence.term);
        self.stop(tasks).await;
        // Also a lost lease may still be ours in the store: a release by compare-and-delete spares the successor the wait.
        self.release(fence).await;
        info!(term = %fence.term, host = %self.holder.host, "{}", event.as_str());
        self.record(event, fence.term).await;
        end.map(drop)
    }

    fn start(&self, term: &Arc<LeaderTerm>) -> JoinSet<anyhow::Result<()>> {
        let mut tasks = JoinSet::new();
        for task in &self.tasks {
            let (task, term) = (Arc::clone(task), Arc::clone(term));
            tasks.spawn(async move {
                let ended = term.ended().clone();
                let result = task.lead(term).await;
                // A task that returns while the term goes on would leave its work undone behind a green health check.
                match result {
                    Ok(()) if !ended.is_cancelled() => Err(anyhow!("leader task {} ended by itself", task.name())),
                    other => other.with_context(|| format!("leader task {}", task.name())),
                }
            });
        }
        tasks
    }

    /// Keep the lease until shutdown, until it is refused, or until its local deadline. The deadline is watched beside the
    /// renewals: neither one that hangs nor a clock that jumps keeps a leader in office (I2).
    async fn hold(&self, term: &LeaderTerm, fence: &Fence, sent: BootTime, shutdown: &CancellationToken) -> TermEnd {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => TermEnd::Shutdown,
            () = term.ended().cancelled() => {
                warn!(term = %fence.term, "the store has refused a leader's write");
                TermEnd::Lost
            }
            () = term.deadline_passed() => {
                warn!(term = %fence.term, "the lease ran out before it could be renewed");
                TermEnd::Lost
            }
            () = self.renew_until_refused(term, fence, sent) => TermEnd::Lost,
        }
    }

    async fn renew_until_refused(&self, term: &LeaderTerm, fence: &Fence, sent: BootTime) {
        let mut wait = self.config.renew_every.saturating_sub(self.clock.now().since(sent));
        let mut failures = 0u32;
        loop {
            time::sleep(wait).await;
            let sent = self.clock.now();
            match self.call(self.leadership.renew(fence, self.config.lease.length)).await {
                Ok(()) => {
                    term.extend(self.config.lease.local_deadline(sent));
                    wait = self.config.renew_every;
                    failures = 0;
                }
                Err(error @ (StoreError::Fenced { .. } | StoreError::Corrupt(_))) => {
                    warn!(term = %fence.term, %error, "the lease is no longer ours");
                    return;
                }
                Err(error) => {
                    // Until the deadline the lease is still ours; ask again soon.
                    if failures == 0 {
                        warn!(term = %fence.term, %error, "could not renew the lease; trying again");
                    } else {
                        debug!(term = %fence.term, %error, failures, "could not renew the lease");
                    }
                    failures += 1;
                    wait = self.config.renew_every / 10;
                }
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

    async fn release(&self, fence: &Fence) {
        if let Err(error) = self.call(self.leadership.release(fence)).await {
            debug!(%error, "could not release the lease; it runs out by itself");
        }
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
