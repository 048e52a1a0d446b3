//! The two clocks, as types, so that they can't be compared by mistake.

use std::{
    ops::{Add, Sub},
    time::Duration,
};

/// Milliseconds since the Unix epoch, on the *store's* clock. Due times and lease ends are stored in it; a host never
/// compares it with a clock of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// How long after `earlier` this is; zero if it is not after.
    pub fn since(self, earlier: UnixMillis) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The number of the UTC day, counted from the epoch: daily limits start anew with it.
    pub fn utc_day(self) -> i64 {
        self.0.div_euclid(86_400_000)
    }
}

impl Add<Duration> for UnixMillis {
    type Output = UnixMillis;

    fn add(self, after: Duration) -> UnixMillis {
        UnixMillis(
            self.0
                .saturating_add(i64::try_from(after.as_millis()).unwrap_or(i64::MAX)),
        )
    }
}

/// Time since this machine booted, time spent in suspend included (`CLOCK_BOOTTIME`). Local deadlines are kept in it,
/// because it neither steps nor stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootTime(pub Duration);

impl BootTime {
    /// How long after `earlier` this is; zero if it is not after.
    pub fn since(self, earlier: BootTime) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for BootTime {
    type Output = BootTime;

    fn add(self, after: Duration) -> BootTime {
        BootTime(self.0.saturating_add(after))
    }
}

impl Sub<Duration> for BootTime {
    type Output = BootTime;

    fn sub(self, before: Duration) -> BootTime {
        BootTime(self.0.saturating_sub(before))
    }
}
