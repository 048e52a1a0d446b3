//! `[runner]`: how much this host runs at once.

use std::{num::NonZero, thread};

use serde::{Deserialize, Serialize};

use super::problem::Checks;

pub const SLOTS: u32 = 32;
/// One per core.
pub const GUEST_THREADS: u32 = 0;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunnerConfig {
    /// Activations at once. Each reserves address space for its largest memory, so the pool is made for so many.
    pub slots: u32,
    /// Threads that guests run on; 0 is one per core.
    pub guest_threads: u32,
}

impl Default for RunnerConfig {
    fn default() -> RunnerConfig {
        RunnerConfig {
            slots: SLOTS,
            guest_threads: GUEST_THREADS,
        }
    }
}

impl RunnerConfig {
    /// `guest_threads`, with 0 resolved to this machine's cores.
    pub fn threads(&self) -> usize {
        match self.guest_threads {
            0 => thread::available_parallelism().map_or(1, NonZero::get),
            count => count as usize,
        }
    }

    pub(super) fn check(&self, checks: &mut Checks) {
        checks.require((1..=1000).contains(&self.slots), &["runner.slots"], || {
            format!("{} is outside 1 to 1000", self.slots)
        });
        checks.require(self.guest_threads <= 1024, &["runner.guest_threads"], || {
            format!("{} is outside 0 to 1024", self.guest_threads)
        });
    }
}
