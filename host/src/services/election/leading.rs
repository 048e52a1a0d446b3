//! From winning to stepping down: the lease is renewed beside the leader-only work, never before or behind it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use tokio::{task::JoinSet, time};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::{Election, HandedOver, LeaderTerm, Pause, Standing, office::Order};
use crate::{
    domain::{
        event::NewEvent,
        ids::{HostName, Term},
        time::BootTime,
    },
    ports::{leadership::Leader, store::StoreError, telemetry::LeadershipEvent, work_queue::Fence},
};

/// For so long only the host that a handover names may lead.
pub const RESERVED: Duration = Duration::from_secs(2);
/// For so long a host that handed over leaves the lease to the others: longer than a reservation that nobody uses.
const HOLDS_BACK: Duration = Duration::from_millis(2_500);
/// Between two looks for the successor: first and longest.
const FIRST_LOOK: Duration = Duration::from_millis(5);
const LONGEST_LOOK: Duration = Duration::from_millis(50);

/// Why a term ended.
enum TermEnd {
    Lost,
    Shutdown,
    /// By an order that came then.
    HandedOver(Order, BootTime),
}

impl Election {
    /// Lead, unless the bid's answer came too late to begin anything: then the lease goes back unused.
    pub(super) async fn won(&self, term: Term, sent: BootTime, shutdown: &CancellationToken) -> anyhow::Result<Pause> {
        let fence = Fence {
            holder: self.holder.clone(),
            term,
        };
        let deadline = self.config.lease.local_deadline(sent);
        let leader_term = Arc::new(LeaderTerm::new(fence.clone(), deadline, Arc::clone(&self.clock)));
        if shutdown.is_cancelled() || leader_term.check().is_err() {
            debug!(%term, "won the lease too late to use it");
            self.release(&fence).await;
            return Ok(Pause::For(self.config.bid_every));
        }
        self.lead(&leader_term, &fence, sent, shutdown).await?;
        Ok(Pause::No)
    }

    async fn lead(
        &self,
        term: &Arc<LeaderTerm>,
        fence: &Fence,
        sent: BootTime,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<()> {
        info!(term = %fence.term, host = %self.holder.host, "became_leader");
        self.seat.term.send_replace(Some(Arc::clone(term)));
        self.seat.standing.send_replace(Standing::Leading(fence.term));
        self.telemetry.leadership(LeadershipEvent::Became, fence.term);
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
            Ok(TermEnd::Shutdown | TermEnd::HandedOver(..)) | Err(_) => LeadershipEvent::Released,
        };
        // Said before the tasks are joined: whoever asks must not hear of a leader that may lead no more.
        self.seat.term.send_replace(None);
        self.seat.standing.send_replace(Standing::Following(None));
        self.telemetry.leadership(event, fence.term);
        self.stop(tasks).await;
        if let Ok(TermEnd::HandedOver(Order { to: Some(host), .. }, _)) = &end {
            self.reserve(fence, host).await;
        }
        // Also a lost lease may still be ours in the store: a release by compare-and-delete spares the successor the wait.
        self.release(fence).await;
        info!(term = %fence.term, host = %self.holder.host, "{}", event.as_str());
        let recorded = self.record(event, fence.term);
        match end {
            Ok(TermEnd::HandedOver(order, since)) => {
                tokio::join!(recorded, self.give_way(order, since, shutdown));
                Ok(())
            }
            end => {
                recorded.await;
                end.map(drop)
            }
        }
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

    /// Keep the lease until shutdown, until it is refused, until its local deadline, or until it is to go to another host.
    /// The deadline is watched beside the renewals: neither one that hangs nor a clock that jumps keeps a leader in office
    /// (I2).
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
            order = self.seat.next_order() => {
                info!(term = %fence.term, to = order.to.as_ref().map(HostName::as_str), "handing the leadership over");
                TermEnd::HandedOver(order, self.clock.now())
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

    async fn reserve(&self, fence: &Fence, host: &HostName) {
        if let Err(error) = self.call(self.leadership.reserve(fence, host, RESERVED)).await {
            warn!(%error, %host, "could not reserve the lease; any host may take it");
        }
    }

    async fn release(&self, fence: &Fence) {
        if let Err(error) = self.call(self.leadership.release(fence)).await {
            debug!(%error, "could not release the lease; it runs out by itself");
        }
    }

    /// Leave the lease to the others, and tell whoever ordered it who took over.
    async fn give_way(&self, order: Order, since: BootTime, shutdown: &CancellationToken) {
        let leader = tokio::select! {
            found = time::timeout(HOLDS_BACK, self.successor()) => found.ok(),
            () = shutdown.cancelled() => None,
        };
        let took = self.clock.now().since(since);
        match &leader {
            Some(leader) => info!(leader = %leader.host, term = %leader.term, ?took, "handed the leadership over"),
            None => warn!(?took, "nobody took the leadership over"),
        }
        if leader.is_some() {
            self.follow(leader.clone());
        }
        order.answer(Ok(HandedOver { leader, took }));
    }

    async fn successor(&self) -> Leader {
        let own = self.holder.to_string();
        let mut pause = FIRST_LOOK;
        loop {
            match self.call(self.leadership.leader()).await {
                Ok(Some(leader)) if leader.holder != own => return leader,
                Ok(_) => {}
                Err(error) => debug!(%error, "can't see who leads"),
            }
            time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_LOOK);
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
