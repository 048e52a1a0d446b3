//! Claims ready items as slots become free, and runs each in a task of its own.
//!
//! A claim call is never an arm of a `select!`: once sent it is seen through, and what it brings is run or handed back.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use anyhow::anyhow;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinError, JoinSet},
    time,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::claims::{Claims, Holding};
use crate::{
    domain::{
        ids::{AgentId, ClaimToken, HostName},
        time::BootTime,
    },
    ports::{
        clock::Clock,
        store::StoreError,
        work_queue::{ClaimRequest, Claimed, WorkQueue},
    },
};

/// Runs one claimed item to its end, whatever that is. `stop` asks it to hand the item back instead.
pub trait RunItem: Send + Sync {
    fn run(
        self: Arc<Self>,
        claimed: Claimed,
        holding: Holding,
        stop: CancellationToken,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    /// Agents that this host can't run for now.
    fn avoid(&self) -> Vec<AgentId>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DispatchConfig {
    /// Activations at once.
    pub slots: usize,
    /// How long an idle host waits for a wake-up before it looks by itself.
    pub idle_poll: Duration,
    /// How long running activations may go on after shutdown began.
    pub grace: Duration,
    pub call_timeout: Duration,
}

/// The most items that one claim takes.
const MOST_AT_ONCE: usize = 64;

/// Between two tries of a claim call that got no answer.
const CLAIM_AGAIN: Duration = Duration::from_millis(200);

pub struct Dispatch<R> {
    pub queue: Arc<dyn WorkQueue>,
    pub claims: Arc<Claims>,
    pub clock: Arc<dyn Clock>,
    pub runner: Arc<R>,
    pub host: HostName,
    pub config: DispatchConfig,
}

impl<R: RunItem + 'static> Dispatch<R> {
    /// Claim and run until `shutdown`; then drain for the grace period, and hand the rest back.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let slots = Arc::new(Semaphore::new(self.config.slots));
        let stop = CancellationToken::new();
        let mut running = JoinSet::new();
        let claiming = self.claim_until(&shutdown, &slots, &stop, &mut running).await;
        if claiming.is_err() {
            // The process is about to end: what can be handed back is, rather than wait for a lease.
            stop.cancel();
        }
        let drained = self.drain(running, stop).await;
        claiming.and(drained)
    }

    async fn claim_until(
        &self,
        shutdown: &CancellationToken,
        slots: &Arc<Semaphore>,
        stop: &CancellationToken,
        running: &mut JoinSet<()>,
    ) -> anyhow::Result<()> {
        loop {
            while let Some(ended) = running.try_join_next() {
                ended.map_err(panicked)?;
            }
            let Some(permits) = free_slots(slots, shutdown).await else {
                return Ok(());
            };
            let wanted = permits.len();
            let (sent, claimed) = self.claim(wanted, shutdown).await;
            let got = claimed.len();
            for (claimed, permit) in claimed.into_iter().zip(permits) {
                let holding = self.claims.hold(claimed.item.id, claimed.token, sent);
                let run = Arc::clone(&self.runner).run(claimed, holding, stop.clone());
                running.spawn(async move {
                    run.await;
                    drop(permit);
                });
            }
            if shutdown.is_cancelled() {
                return Ok(());
            }
            if got < wanted {
                tokio::select! {
                    () = self.queue.wait_for_work(self.config.idle_poll) => {}
                    // Whatever the wait runs into, the next look comes in time.
                    () = time::sleep(self.config.idle_poll) => {}
                    () = shutdown.cancelled() => return Ok(()),
                }
            }
        }
    }

    /// Claim up to `wanted` items. A call without an answer is made again with the same tokens, so that what it may have
    /// claimed is not lost; a host that stops meanwhile asks once more, so that it can hand back what it got.
    async fn claim(&self, wanted: usize, shutdown: &CancellationToken) -> (BootTime, Vec<Claimed>) {
        let request = ClaimRequest {
            host: self.host.clone(),
            tokens: (0..wanted).map(|_| ClaimToken::fresh()).collect(),
            lease: self.claims.lease().length,
            avoid: self.runner.avoid(),
        };
        let mut failures = 0u32;
        loop {
            let stopping = shutdown.is_cancelled();
            let error = match self.claim_once(&request, failures > 0).await {
                Ok(claimed) => {
                    if failures > 0 {
                        info!(failures, "the store answers again");
                    }
                    return claimed;
                }
                Err(error) => error,
            };
            if failures == 0 {
                warn!(%error, "could not claim work; trying again");
            } else {
                debug!(%error, failures, "could not claim work");
            }
            if stopping {
                warn!(%error, "stopping without knowing what the last claim got");
                self.claims.doubt(request);
                return (self.clock.now(), Vec::new());
            }
            failures += 1;
            tokio::select! {
                () = time::sleep(CLAIM_AGAIN) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }

    /// The claims, with the time from which their leases count. The answer to a `repeat` may be as old as the first call,
    /// so its claims are confirmed.
    async fn claim_once(&self, request: &ClaimRequest, repeat: bool) -> Result<(BootTime, Vec<Claimed>), StoreError> {
        let sent = self.clock.now();
        let claimed = time::timeout(self.config.call_timeout, self.queue.claim(request))
            .await
            .unwrap_or_else(|_| Err(StoreError::no_answer(self.config.call_timeout)))?;
        if !repeat || claimed.is_empty() {
            return Ok((sent, claimed));
        }
        let (sent, kept) = self.claims.confirm(&claimed).await?;
        let kept = claimed.into_iter().zip(kept).filter(|(_, kept)| *kept);
        Ok((sent, kept.map(|(claimed, _)| claimed).collect()))
    }

    /// Wait for what runs; at the end of the grace period, or after a panic, have the rest handed back.
    async fn drain(&self, mut running: JoinSet<()>, stop: CancellationToken) -> anyhow::Result<()> {
        let deadline = time::sleep(self.config.grace);
        tokio::pin!(deadline);
        if !running.is_empty() {
            info!(running = running.len(), grace = ?self.config.grace, "draining: waiting for running activations");
        }
        let mut result = Ok(());
        loop {
            tokio::select! {
                ended = running.join_next() => match ended {
                    None => return result,
                    Some(Ok(())) => {}
                    Some(Err(panic)) => {
                        stop.cancel();
                        result = result.and(Err(panicked(panic)));
                    }
                },
                () = &mut deadline, if !stop.is_cancelled() => {
                    warn!(running = running.len(), "the grace period is over; handing the rest back");
                    stop.cancel();
                }
            }
        }
    }
}

fn panicked(panic: JoinError) -> anyhow::Error {
    anyhow!("an activation's task panicked: {panic}")
}

/// All the slots that are free, waiting for the first; nothing once the host shuts down.
async fn free_slots(slots: &Arc<Semaphore>, shutdown: &CancellationToken) -> Option<Vec<OwnedSemaphorePermit>> {
    let first = tokio::select! {
        biased;
        () = shutdown.cancelled() => return None,
        permit = Arc::clone(slots).acquire_owned() => permit.ok()?,
    };
    let mut permits = vec![first];
    while permits.len() < MOST_AT_ONCE {
        match Arc::clone(slots).try_acquire_owned() {
            Ok(permit) => permits.push(permit),
            Err(_) => break,
        }
    }
    Some(permits)
}
