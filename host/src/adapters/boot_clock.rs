//! This machine's `CLOCK_BOOTTIME`: it neither steps with the wall clock nor stops in suspend.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::{domain::time::BootTime, ports::clock::Clock};

#[derive(Clone, Copy, Debug, Default)]
pub struct BootClock;

impl Clock for BootClock {
    fn now(&self) -> BootTime {
        let now = clock_gettime(ClockId::Boottime);
        // Both are never negative on this clock.
        BootTime(Duration::new(
            u64::try_from(now.tv_sec).unwrap_or(0),
            u32::try_from(now.tv_nsec).unwrap_or(0),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_forward() {
        let first = BootClock.now();
        assert!(first > BootTime::default());
        assert!(BootClock.now() >= first);
    }
}
