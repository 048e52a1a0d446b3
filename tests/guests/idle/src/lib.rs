//! Does nothing. What an activation of it costs is what the host costs, which makes it the guest of the benches.

use warren_guest_sdk::{Agent, Outcome, Result, WorkItem};

struct Idle;

impl Agent for Idle {
    fn activate(_item: WorkItem) -> Result<Outcome> {
        Ok(Outcome::new())
    }
}

warren_guest_sdk::export!(Idle);
