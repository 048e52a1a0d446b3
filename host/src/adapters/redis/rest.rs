//! How long a store that nobody uses needs no sweep. An idle cluster of many hosts would spend most of Redis's commands on
//! sweeps that find nothing: what is next forgotten, a sweep tells; whether there is anything else, one command does.

use std::{
    sync::{Mutex, OnceLock, PoisonError},
    time::Instant,
};

use super::StoreClock;

/// Since when and for how many ms.
#[derive(Default)]
pub(super) struct Rest(Mutex<(i64, i64)>);

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

    /// There is nothing to do for `span` ms; for 0, there is.
    pub fn begin(&self, from: i64, span: i64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (from, span);
    }

    pub fn lasts(&self, clock: &StoreClock) -> bool {
        let (from, span) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (0..span).contains(&(Self::time(clock) - from))
    }
}
