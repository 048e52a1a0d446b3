//! The harness of the end-to-end tests, and what the tests of other packages share with them.
//!
//! Only real parts: a `warren run`, a `warren hub` and commands are processes of the binary that users run, in a temporary
//! folder, on ports that the system picks; tests see what an operator sees. Nothing here knows about the host's code. Tests
//! wait for conditions with [`eventually`] and never for durations, so that a slow machine makes them slow, not wrong.

mod agent;
pub mod binary;
pub mod checkers;
pub mod cluster;
pub mod components;
pub mod guests;
pub mod history;
pub mod host;
pub mod http;
pub mod hub;
pub mod interrupt;
pub mod load;
pub mod mount;
pub mod nemesis;
pub mod process;
pub mod proxy;
pub mod redis;
mod resp;
mod wire;

use std::{
    fmt::Display,
    thread,
    time::{Duration, Instant},
};

/// How long anything may take that should come soon: generous, for a machine that builds something else meanwhile.
pub const SOON: Duration = Duration::from_secs(60);

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks until there is something to see; panics with `what` if that takes longer than `within`.
#[track_caller]
pub fn eventually<T>(what: impl Display, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(!interrupt::interrupted(), "interrupted while waiting for {what}");
        assert!(started.elapsed() < within, "within {within:?} not seen: {what}");
        thread::sleep(LOOK_EVERY);
    }
}
