//! The room of a host: slots for what runs, and as many claims as may be held for them.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};
use tokio_util::sync::CancellationToken;

/// So long is waited for more of them: short against any activation that is worth a thought.
const REFILL_WITHIN: Duration = Duration::from_millis(1);

/// For each slot, so many claims may be held: one that runs, and others whose end the store is being told.
const HELD: usize = 2;

/// A place among the activations that run at a time, until it is dropped.
pub struct Slot {
    _place: Option<OwnedSemaphorePermit>,
}

/// How many activations and claims there may be.
pub(super) struct Room {
    places: usize,
    slots: Arc<Semaphore>,
    held: Arc<Semaphore>,
}

/// Slots that are free, and as many claims that may be held.
pub(super) struct Free {
    slots: OwnedSemaphorePermit,
    held: OwnedSemaphorePermit,
}

impl Free {
    pub fn count(&self) -> usize {
        self.slots.num_permits().min(self.held.num_permits())
    }

    /// One of each, for one claim of at most `count`.
    pub fn take_one(&mut self) -> (Slot, Option<OwnedSemaphorePermit>) {
        let slot = Slot {
            _place: self.slots.split(1),
        };
        (slot, self.held.split(1))
    }
}

impl Room {
    pub fn new(slots: usize) -> Room {
        Room {
            places: slots,
            slots: Arc::new(Semaphore::new(slots)),
            held: Arc::new(Semaphore::new(HELD * slots)),
        }
    }

    /// Tells whether nothing runs.
    pub fn idle(&self) -> impl Fn() -> bool + Send + Sync + 'static {
        let (slots, places) = (Arc::clone(&self.slots), self.places);
        move || slots.available_permits() == places
    }

    /// What is free, at most `at_most`: as soon as `refilled` slots are, or one has been for a moment; nothing once the
    /// host shuts down.
    pub async fn free(&self, refilled: usize, at_most: usize, shutdown: &CancellationToken) -> Option<Free> {
        let mut held = acquire_one(&self.held, shutdown).await?;
        let mut slots = acquire_one(&self.slots, shutdown).await?;
        let missing = refilled.saturating_sub(1);
        if missing > 0 {
            let rest = Arc::clone(&self.slots).acquire_many_owned(many(missing));
            if let Ok(Ok(rest)) = time::timeout(REFILL_WITHIN, rest).await {
                slots.merge(rest);
            }
        }
        take_up_to(&self.slots, &mut slots, at_most);
        let wanted = slots.num_permits();
        take_up_to(&self.held, &mut held, wanted);
        Some(Free { slots, held })
    }
}

async fn acquire_one(of: &Arc<Semaphore>, shutdown: &CancellationToken) -> Option<OwnedSemaphorePermit> {
    tokio::select! {
        biased;
        () = shutdown.cancelled() => None,
        permit = Arc::clone(of).acquire_owned() => permit.ok(),
    }
}

/// More of what is free now, up to so many in all. Nobody else takes any, so what is seen is there.
fn take_up_to(of: &Arc<Semaphore>, permits: &mut OwnedSemaphorePermit, at_most: usize) {
    let more = of
        .available_permits()
        .min(at_most.saturating_sub(permits.num_permits()));
    if let Ok(more) = Arc::clone(of).try_acquire_many_owned(many(more)) {
        permits.merge(more);
    }
}

fn many(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, task::Poll};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn slots_are_refilled_some_at_a_time_and_none_waits_longer_than_a_moment() {
        let (room, shutdown) = (Room::new(5), CancellationToken::new());
        let mut all = room.free(1, 8, &shutdown).await.unwrap();
        assert_eq!(all.count(), 5);
        let mut running: Vec<_> = (0..5).map(|_| all.take_one()).collect();
        drop(all);
        running.pop();
        {
            let refill = room.free(4, 8, &shutdown);
            tokio::pin!(refill);
            assert!(poll_fn(|cx| Poll::Ready(refill.as_mut().poll(cx).is_pending())).await);
            running.truncate(1);
            let began = time::Instant::now();
            assert_eq!(refill.await.map(|free| free.count()), Some(4));
            assert_eq!(began.elapsed(), Duration::ZERO);
        }
        let _others = room.free(2, 2, &shutdown).await;
        let began = time::Instant::now();
        assert_eq!(room.free(4, 8, &shutdown).await.map(|free| free.count()), Some(2));
        assert!((REFILL_WITHIN..2 * REFILL_WITHIN + Duration::from_millis(1)).contains(&began.elapsed()));
        assert_eq!(room.free(1, 1, &shutdown).await.map(|free| free.count()), Some(1));
        shutdown.cancel();
        assert!(room.free(1, 8, &shutdown).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slot_is_free_once_its_guest_has_ended_but_ends_that_are_told_are_bounded() {
        let (room, shutdown) = (Room::new(2), CancellationToken::new());
        let mut telling = Vec::new();
        for _ in 0..HELD {
            let mut free = room.free(1, 8, &shutdown).await.unwrap();
            assert_eq!(free.count(), 2);
            for _ in 0..2 {
                let (slot, held) = free.take_one();
                drop(slot);
                telling.push(held);
            }
        }
        let stuck = time::timeout(Duration::from_secs(60), room.free(1, 8, &shutdown)).await;
        assert!(stuck.is_err(), "as many are held as may be");
        telling.pop();
        assert_eq!(room.free(1, 8, &shutdown).await.map(|free| free.count()), Some(1));
    }
}
