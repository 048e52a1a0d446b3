//! Claims ready items as slots become free, and runs each in a task of its own.
//!
//! A claim call is never an arm of a `select!`: once sent it is seen through, and what it brings is run or handed back.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use anyhow::anyhow;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
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
        self.drain(running, stop).await?;
        claiming
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
                ended.map_err(|panic| anyhow!("an activation's task panicked: {panic}"))?;
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
                    () = shutdown.cancelled() => return Ok(()),
                }
            }
        }
    }

    /// Claim up to `wanted` items. A call without an answer is made again with the same tokens, so that what it may have
    /// claimed is not lost; when the host stops meanwhile, the lease gives it back.
    async fn claim(&self, wanted: usize, shutdown: &CancellationToken) -> (BootTime, Vec<Claimed>) {
        let request = ClaimRequest {
            host: self.host.clone(),
            tokens: (0..wanted).map(|_| ClaimToken::fresh()).collect(),
            lease: self.claims.lease().length,
            avoid: self.runner.avoid(),
        };
        let mut failures = 0u32;
        // The first sending counts: a repeat is answered with the lease that the first one got.
        let first_sent = self.clock.now();
        loop {
            let answer = time::timeout(self.config.call_timeout, self.queue.claim(&request)).await;
            let error = match answer {
                Ok(Ok(claimed)) => {
                    if failures > 0 {
                        info!(failures, "the store answers again");
                    }
                    return (first_sent, claimed);
                }
                Ok(Err(error)) => error,
                Err(_) => StoreError::Unavailable(format!("no answer in {:?}", self.config.call_timeout)),
            };
            if failures == 0 {
                warn!(%error, "could not claim work; trying again");
            } else {
                debug!(%error, failures, "could not claim work");
            }
            failures += 1;
            tokio::select! {
                () = time::sleep(Duration::from_millis(200)) => {}
                () = shutdown.cancelled() => return (first_sent, Vec::new()),
            }
        }
    }

    async fn drain(&self, mut running: JoinSet<()>, stop: CancellationToken) -> anyhow::Result<()> {
        let deadline = time::sleep(self.config.grace);
        tokio::pin!(deadline);
        if !running.is_empty() {
            info!(running = running.len(), grace = ?self.config.grace, "draining: waiting for running activations");
        }
        loop {
            tokio::select! {
                ended = running.join_next() => match ended {
                    None => return Ok(()),
                    Some(ended) => ended.map_err(|panic| anyhow!("an activation's task panicked: {panic}"))?,
                },
                () = &mut deadline, if !stop.is_cancelled() => {
                    warn!(running = running.len(), "the grace period is over; handing the rest back");
                    stop.cancel();
                }
            }
        }
    }
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
