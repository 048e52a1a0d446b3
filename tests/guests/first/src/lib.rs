//! Counts once and ends: its first instructions reach the host, which can look at the clock.

use warren_guest_sdk::{Agent, Outcome, Result, WorkItem, metrics};

struct First;

impl Agent for First {
    fn activate(_item: WorkItem) -> Result<Outcome> {
        metrics::counter("first", &[], 1.0);
        Ok(Outcome::new())
    }
}

warren_guest_sdk::export!(First);
