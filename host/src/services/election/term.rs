//! One leadership as its tasks see it: the fence for their writes, and until when they may start any.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use thiserror::Error;
use tokio::time;
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{ids::Term, time::BootTime},
    ports::{clock::Clock, store::StoreError, work_queue::Fence},
};

/// How often a deadline is compared with the clock. Timers stand still while the machine is suspended, the clock does not:
/// a timer set to the deadline alone would notice a suspend only as much later as it lasted.
pub const LOOK_AT_CLOCK: Duration = Duration::from_millis(250);

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
    pub(super) fn new(fence: Fence, deadline: BootTime, clock: Arc<dyn Clock>) -> LeaderTerm {
        let term = LeaderTerm {
            fence,
            clock,
            deadline: AtomicU64::new(0),
            ended: CancellationToken::new(),
        };
        term.extend(deadline);
        term
    }

    pub(super) fn extend(&self, deadline: BootTime) {
        let millis = u64::try_from(deadline.0.as_millis()).unwrap_or(u64::MAX);
        self.deadline.store(millis, Ordering::Release);
    }

    fn left(&self) -> Duration {
        let deadline = BootTime(Duration::from_millis(self.deadline.load(Ordering::Acquire)));
        deadline.since(self.clock.now())
    }

    /// Resolves once the local deadline has passed, whatever happened to timers meanwhile.
    pub(super) async fn deadline_passed(&self) {
        loop {
            let left = self.left();
            if left.is_zero() {
                return;
            }
            time::sleep(left.min(LOOK_AT_CLOCK)).await;
        }
    }

    /// For how long leader-only work may still be started.
    pub(super) fn usable(&self) -> Duration {
        if self.ended.is_cancelled() {
            return Duration::ZERO;
        }
        self.left()
    }

    pub(super) fn end(&self) {
        self.ended.cancel();
    }

    /// The fence, if leader-only work may be started now. Ask before every step; what is in flight is fenced by the store.
    pub fn check(&self) -> Result<&Fence, SteppedDown> {
        if self.usable().is_zero() {
            return Err(self.stepped_down());
        }
        Ok(&self.fence)
    }

    /// The answer to a leader-only write. If the store has refused the fence, the term is over here and now: the election
    /// need not find out at its next renewal.
    pub fn written<T>(&self, answer: Result<T, StoreError>) -> anyhow::Result<T> {
        match answer {
            Err(StoreError::Fenced { .. }) => {
                self.end();
                Err(self.stepped_down().into())
            }
            answer => Ok(answer?),
        }
    }

    fn stepped_down(&self) -> SteppedDown {
        SteppedDown { term: self.fence.term }
    }

    /// Cancelled when the term is over: cut what blocks.
    pub fn ended(&self) -> &CancellationToken {
        &self.ended
    }
}
