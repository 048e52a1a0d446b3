//! How much of the machine a compilation may take beside activations.
//!
//! One core is left free, so that whoever wakes up need not wait for the end of a slice of the compiler's, which some kernels
//! let it finish however nice it is. Where there is but one core, the threads' niceness is all.

use std::{num::NonZero, thread};

use rustix::process::setpriority_process;
use tracing::debug;

/// How much the compiler's threads step back, in the kernel's steps from 0 to 19: with this a thread gets a third of what
/// an ordinary one gets that wants the same core. Enough to let guests go first, and on a machine that is always busy a
/// compilation still comes to an end.
const NICE: i32 = 5;

/// Threads of one compilation: for all cores if there is nobody to leave one to.
pub fn threads(beside_others: bool) -> usize {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    if beside_others { (cores - 1).max(1) } else { cores }
}

/// This thread's priority is its own: on Linux "the process" is the thread that asks.
pub fn step_back() {
    if let Err(error) = setpriority_process(None, NICE) {
        debug!(%error, "the compiler's thread competes with all others");
    }
}
