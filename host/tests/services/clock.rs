//! A clock for paused time: it moves with tokio's, and can be moved alone, as a suspend moves the real one.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{runtime::Handle, time::Instant};
use warren::{domain::time::BootTime, ports::clock::Clock};

pub struct TestClock {
    runtime: Handle,
    start: Instant,
    jumped: AtomicU64,
}

impl TestClock {
    pub fn start() -> TestClock {
        TestClock {
            runtime: Handle::current(),
            start: Instant::now(),
            jumped: AtomicU64::new(0),
        }
    }

    /// Time passes, and no timer notices.
    pub fn jump(&self, by: Duration) {
        self.jumped.fetch_add(by.as_millis() as u64, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> BootTime {
        // The store asks from a thread of its own, where tokio would answer with real time.
        let _in_runtime = self.runtime.enter();
        BootTime(self.start.elapsed() + Duration::from_millis(self.jumped.load(Ordering::SeqCst)))
    }
}
