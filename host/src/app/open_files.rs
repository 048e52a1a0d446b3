//! How many files this process may have open at a time.
//!
//! Systems start processes with a soft limit of 1,024, for the sake of programs that use `select`. A host with 32 slots may
//! have more open: connections, and 64 files of each running agent. Without a handle it could not even accept a probe.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// Enough for 500 slots of agents with as many files as they may have. Some containers allow a thousand million, which is
/// no use to anybody.
const ENOUGH: u64 = 65_536;

/// Raise the limit as far as this process is allowed to and it can be of use.
pub fn allow_enough() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(ENOUGH, |maximum| maximum.min(ENOUGH));
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let raised = Rlimit {
        current: Some(wanted),
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        warn!(%error, current = limit.current, wanted, "the limit on open files can't be raised");
    }
}
