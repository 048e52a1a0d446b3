//! Who waits for what: work, an item's end, a vacancy, an event. Told only after the commit, so that who is woken finds it.

use std::time::Duration;

use tokio::{
    sync::{Notify, broadcast, watch},
    time::timeout,
};

use crate::domain::ids::ItemId;

/// Ends that a slow waiter may miss before it looks for itself.
const ENDS: usize = 1024;
/// More wake-ups than there can be waiters in one process are pointless.
const MOST_WAKE_UPS: u64 = 64;

/// What a step has made true.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// Items that became ready.
    pub ready: u64,
    pub ended: Vec<ItemId>,
    /// The leader's lease became free.
    pub vacated: bool,
    /// The newest event's `seq`, if there were new ones.
    pub event: Option<u64>,
}

impl Signals {
    pub fn merge(&mut self, more: Signals) {
        self.ready += more.ready;
        self.ended.extend(more.ended);
        self.vacated |= more.vacated;
        self.event = self.event.max(more.event);
    }
}

pub(super) struct Wakes {
    /// Keeps one permit: a wake-up before the wait is not lost.
    pub work: Notify,
    pub vacancy: watch::Sender<()>,
    pub ended: broadcast::Sender<ItemId>,
    pub events: watch::Sender<u64>,
}

impl Wakes {
    pub fn new(last_event: u64) -> Wakes {
        Wakes {
            work: Notify::new(),
            vacancy: watch::Sender::new(()),
            ended: broadcast::Sender::new(ENDS),
            events: watch::Sender::new(last_event),
        }
    }

    pub fn tell(&self, signals: Signals) {
        for _ in 0..signals.ready.min(MOST_WAKE_UPS) {
            self.work.notify_one();
        }
        if signals.vacated {
            self.vacancy.send_replace(());
        }
        for item in signals.ended {
            // Nobody waiting is not an error.
            let _ = self.ended.send(item);
        }
        if let Some(seq) = signals.event {
            self.events.send_replace(seq);
        }
    }
}

/// Wait for one wake-up, at most so long.
pub(super) async fn woken(notify: &Notify, at_most: Duration) {
    // Both outcomes mean "look again".
    let _ = timeout(at_most, notify.notified()).await;
}
