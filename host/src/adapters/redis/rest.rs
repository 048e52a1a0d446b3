//! How long a store that nobody uses needs no sweep. An idle cluster of many hosts would spend most of Redis's commands on
//! sweeps that find nothing: what is next forgotten, a sweep tells; whether there is anything else, one command does, or
//! the answer to a claim that found nothing.

use std::{
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use super::{StoreClock, items::millis};

/// The longest that a claim's answer is believed…
const BELIEVED: Duration = Duration::from_secs(10);
/// …and for no more than this part of an item's lease: a claim that was made after it is seen before it runs out.
const OF_A_LEASE: u32 = 3;

#[derive(Default)]
pub(super) struct Rest(Mutex<State>);

#[derive(Default)]
struct State {
    /// Since when and for how many ms there is nothing to forget.
    sweep: (i64, i64),
    /// Until when it is believed that there is nothing else.
    believed: i64,
    /// How often this host has done something that a sweep may have to see to.
    stirred: u64,
    /// Another system leads: it may put work there any moment, and wakes nobody.
    beside: bool,
}

impl Rest {
    /// Now, in ms since some moment.
    pub fn time(clock: &StoreClock) -> i64 {
        static BEGINNING: OnceLock<Instant> = OnceLock::new();
        match clock {
            StoreClock::Redis => {
                let passed = BEGINNING.get_or_init(Instant::now).elapsed();
                i64::try_from(passed.as_millis()).unwrap_or(i64::MAX)
            }
            StoreClock::ByHand(now) => now().0,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There is nothing to forget for `span` ms; for 0, there is.
    pub fn begin(&self, from: i64, span: i64) {
        self.lock().sweep = (from, span);
    }

    pub fn lasts(&self, clock: &StoreClock) -> bool {
        let (from, span) = self.lock().sweep;
        (0..span).contains(&(Self::time(clock) - from))
    }

    /// This host has changed something, or was woken by somebody who has. Also said of what may have failed.
    pub fn stir(&self) {
        let mut state = self.lock();
        state.stirred += 1;
        state.believed = 0;
    }

    pub fn stirred(&self) -> u64 {
        self.lock().stirred
    }

    pub fn beside(&self, another: bool) {
        self.lock().beside = another;
    }

    /// A claim of such a lease, which was sent when `stirred` was this, has found nothing at all.
    pub fn found_nothing(&self, clock: &StoreClock, lease: Duration, stirred: u64) {
        let span = millis(BELIEVED.min(lease / OF_A_LEASE));
        let mut state = self.lock();
        if state.stirred == stirred {
            state.believed = Self::time(clock).saturating_add(i64::try_from(span).unwrap_or(0));
        }
    }

    /// Whether a claim has found nothing lately, and nothing is known of that has come since.
    pub fn is_quiet(&self, clock: &StoreClock) -> bool {
        Self::time(clock) < self.lock().believed
    }

    /// Whether it is known without asking that there is nothing.
    pub fn is_believed(&self, clock: &StoreClock) -> bool {
        let state = self.lock();
        !state.beside && Self::time(clock) < state.believed
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    };

    use super::*;
    use crate::domain::time::UnixMillis;

    #[test]
    fn an_empty_store_is_believed_for_a_while_and_not_beside_another_system() {
        let now = Arc::new(AtomicI64::new(1_000));
        let told = Arc::clone(&now);
        let clock = StoreClock::ByHand(Arc::new(move || UnixMillis(told.load(Ordering::SeqCst))));
        let rest = Rest::default();
        assert!(!rest.is_believed(&clock));
        for (lease, believed) in [(6, 2_000), (30, 10_000), (600, 10_000)] {
            let began = now.load(Ordering::SeqCst);
            rest.found_nothing(&clock, Duration::from_secs(lease), rest.stirred());
            now.store(began + believed - 1, Ordering::SeqCst);
            assert!(rest.is_believed(&clock), "{lease}");
            rest.beside(true);
            assert!(!rest.is_believed(&clock));
            rest.beside(false);
            now.store(began + believed, Ordering::SeqCst);
            assert!(!rest.is_believed(&clock), "{lease}");
        }
        // Something was enqueued while the claim was on its way, or after it.
        let sent = rest.stirred();
        rest.stir();
        rest.found_nothing(&clock, Duration::from_secs(30), sent);
        assert!(!rest.is_believed(&clock));
        rest.found_nothing(&clock, Duration::from_secs(30), rest.stirred());
        assert!(rest.is_believed(&clock));
        rest.stir();
        assert!(!rest.is_believed(&clock));
    }
}
