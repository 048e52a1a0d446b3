//! Claims ready items as slots become free, and runs each in a task of its own.
//!
//! A claim call is never an arm of a `select!`: once sent it is seen through, and what it brings is run or handed back.
//!
//! While there is more work than slots, slots are refilled some at a time: a claim of many costs the store little more than
//! a claim of one. The rest keeps running meanwhile, and no slot waits longer than a moment. An activation needs its slot
//! until its guest has ended; the next is claimed while the store is told of the end.
//!
//! A host that has nothing to do claims one of the items that it enqueues itself, together with them. The others are for
//! hosts that are woken: whoever leads would otherwise run all that it finds while the rest of the cluster idles.

mod room;

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use anyhow::anyhow;
use tokio::{
    sync::Notify,
    task::{self, JoinError, JoinSet},
    time,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use self::room::Room;
pub use self::room::Slot;
use super::claims::{Claims, Holding};
use crate::{
    domain::{
        ids::{AgentId, ClaimToken, HostName},
        time::BootTime,
    },
    ports::{
        clock::Clock,
        standing_claim::Brought,
        store::StoreError,
        work_queue::{ClaimRequest, Claimed, WorkQueue},
    },
};

/// Runs one claimed item to its end, whatever that is. `slot` is dropped once the guest has ended. `stop` asks it to hand
/// the item back instead.
pub trait RunItem: Send + Sync {
    fn run(
        self: Arc<Self>,
        claimed: Claimed,
        holding: Holding,
        slot: Slot,
        stop: CancellationToken,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    /// Agents that this host can't run for now.
    fn avoid(&self) -> Vec<AgentId>;

    /// Rung when it can run some of them again, and their items are ready.
    fn regained(&self) -> &Notify;
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

/// What a claim asks for that may find nothing: its answer is there sooner, and one that finds more is followed by others.
const WOKEN: usize = 4;

/// While work waits, this part of the slots is refilled at a time.
const REFILLED: usize = 4;
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

/// Why the next claim is made.
enum Look {
    /// Something may be there.
    Woken,
    /// More waits than the last one could take.
    More,
    /// This host has enqueued something itself.
    Own {
        /// What has been claimed together with it, where that is known.
        went_along: Option<(ClaimRequest, Brought)>,
        /// Something else may be there as well.
        woken: bool,
    },
}

impl<R: RunItem + 'static> Dispatch<R> {
    /// Claim and run until `shutdown`; then drain for the grace period, and hand the rest back.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let room = Room::new(self.config.slots);
        let stop = CancellationToken::new();
        let mut running = JoinSet::new();
        let claiming = self.claim_until(&shutdown, &room, &stop, &mut running).await;
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
        room: &Room,
        stop: &CancellationToken,
        running: &mut JoinSet<()>,
    ) -> anyhow::Result<()> {
        let mut look = Look::Woken;
        loop {
            if let Err(panicked) = reap(running) {
                self.leave(look);
                return Err(panicked);
            }
            let (refilled, at_most) = self.wanted(&look);
            let Some(mut free) = room.free(refilled, at_most, shutdown).await else {
                self.leave(look);
                return Ok(());
            };
            let (own, woken, went_along) = match look {
                Look::Own { went_along, woken } => (true, woken, went_along),
                Look::Woken | Look::More => (false, false, None),
            };
            let brought = went_along.is_some();
            let (request, answer) = match went_along {
                Some((request, answer)) => (request, Some(answer)),
                None => (self.request(free.count()), None),
            };
            let wanted = request.tokens.len();
            let (sent, claimed) = self.claim(request, answer, shutdown).await;
            if brought && claimed.is_empty() {
                look = Look::Own {
                    went_along: None,
                    woken,
                };
                continue;
            }
            let more = claimed.len() == wanted && !own;
            for claimed in claimed {
                let (slot, held) = free.take_one();
                let holding = self.claims.hold(claimed.item.id, claimed.token, sent);
                let run = Arc::clone(&self.runner).run(claimed, holding, slot, stop.clone());
                running.spawn(async move {
                    run.await;
                    drop(held);
                });
            }
            if shutdown.is_cancelled() {
                return Ok(());
            }
            drop(free);
            look = if more {
                Look::More
            } else if woken {
                Look::Woken
            } else if let Some(next) = self.rest(room, shutdown).await {
                next
            } else {
                return Ok(());
            };
        }
    }

    /// Until there is a reason to look; none once the host shuts down.
    async fn rest(&self, room: &Room, shutdown: &CancellationToken) -> Option<Look> {
        // What was claimed comes first: waiting is a call to the store.
        task::yield_now().await;
        // Who can't run anything leaves wake-ups to those who can; and looks again when it can, if that took long.
        let since = time::Instant::now();
        room.free(1, 1, shutdown).await?;
        if since.elapsed() < self.config.idle_poll {
            Some(self.wait(room, shutdown).await)
        } else {
            Some(Look::Woken)
        }
    }

    /// Nothing is claimed any more: what the next look would have run is handed back.
    fn leave(&self, look: Look) {
        if let Look::Own {
            went_along: Some((request, _)),
            ..
        } = look
        {
            self.claims.doubt(request);
        }
    }

    /// Wait until there may be something to claim, or something has been claimed of what this host has enqueued itself while
    /// nothing ran.
    async fn wait(&self, room: &Room, shutdown: &CancellationToken) -> Look {
        let (clock, idle) = (Arc::clone(&self.clock), room.idle());
        let departs = Box::new(move || idle().then(|| clock.now()));
        let request = self.request(1);
        let mut standing = self.queue.stand(request.clone(), departs);
        let woken = tokio::select! {
            biased;
            // What wakes meanwhile is for a look later: here, or on another host if this one is full by then.
            () = standing.gone() => false,
            () = self.queue.wait_for_work(self.config.idle_poll) => true,
            () = self.runner.regained().notified() => true,
            // Whatever the wait runs into, the next look comes in time.
            () = time::sleep(self.config.idle_poll) => true,
            () = shutdown.cancelled() => false,
        };
        // One that has gone is seen through, and is no reason to forget what else has come meanwhile.
        match standing.end().await {
            None => Look::Woken,
            Some(answer) => Look::Own {
                went_along: Some((request, answer)),
                woken,
            },
        }
    }

    /// How many free slots are waited for, and the most that are filled then.
    fn wanted(&self, look: &Look) -> (usize, usize) {
        match look {
            Look::Woken => (1, WOKEN),
            Look::More => ((self.config.slots / REFILLED).clamp(1, MOST_AT_ONCE), MOST_AT_ONCE),
            Look::Own { .. } => (1, 1),
        }
    }

    fn request(&self, wanted: usize) -> ClaimRequest {
        ClaimRequest {
            host: self.host.clone(),
            tokens: (0..wanted).map(|_| ClaimToken::fresh()).collect(),
            lease: self.claims.lease().length,
            avoid: self.runner.avoid(),
        }
    }

    /// Claim, unless something has been `brought` already. A call without an answer is made again with the same tokens, so
    /// that what it may have claimed is not lost; a host that stops meanwhile asks once more, so that it can hand back what
    /// it got.
    async fn claim(
        &self,
        request: ClaimRequest,
        mut brought: Option<Brought>,
        shutdown: &CancellationToken,
    ) -> (BootTime, Vec<Claimed>) {
        let mut failures = 0u32;
        loop {
            let stopping = shutdown.is_cancelled();
            let answer = match brought.take() {
                Some(brought) => brought,
                None => self.claim_once(&request, failures > 0).await,
            };
            let error = match answer {
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

/// Forget what has ended.
fn reap(running: &mut JoinSet<()>) -> anyhow::Result<()> {
    while let Some(ended) = running.try_join_next() {
        ended.map_err(panicked)?;
    }
    Ok(())
}

fn panicked(panic: JoinError) -> anyhow::Error {
    anyhow!("an activation's task panicked: {panic}")
}
