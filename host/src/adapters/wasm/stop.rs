//! Why a guest was stopped, in reason codes.
//!
//! What Warren stops a guest for travels through wasmtime as a [`Stop`], which no guest can catch. What wasmtime stops
//! one for by itself is read from its errors; some of those have a public type, the others only words (`WORDS_OF_*`,
//! held by tests, since a newer wasmtime may word them anew).

use std::{fmt, io, time::Duration};

use wasmtime::{Trap, WasmBacktrace, component::ResourceTableError};
use wasmtime_wasi::I32Exit;

use crate::{domain::ending::Reason, ports::sandbox::Verdict};

/// How wasmtime says that more was copied than its "hostcall fuel" allows.
const WORDS_OF_COPYING: &str = "fuel allocated for hostcalls has been exhausted";
/// How it says that a store has too many instances, tables or memories.
const WORDS_OF_COUNTS: &str = "resource limit exceeded";
/// How it says that a guest has too many handles.
const WORDS_OF_HANDLES: &str = "store handle limit exceeded";

/// What Warren stops a guest for.
#[derive(Debug)]
pub enum Stop {
    Memory(String),
    Cpu(Duration),
    ClaimLost(String),
    /// The host's own fault.
    Host(String),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Memory(words) | Stop::ClaimLost(words) | Stop::Host(words) => f.write_str(words),
            Stop::Cpu(limit) => write!(f, "it used more than the limit `cpu` of {limit:?}"),
        }
    }
}

impl std::error::Error for Stop {}

/// The verdict on an activation that ended in `error`.
pub fn verdict(error: &wasmtime::Error) -> Verdict {
    let (reason, detail) = explain(error);
    Verdict::Stopped { reason, detail }
}

fn explain(error: &wasmtime::Error) -> (Reason, String) {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        let reason = match stop {
            Stop::Memory(_) => Reason::MemoryLimit,
            Stop::Cpu(_) => Reason::CpuLimit,
            Stop::ClaimLost(_) => Reason::LeaseLost,
            Stop::Host(_) => Reason::HostFault,
        };
        return (reason, stop.to_string());
    }
    if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
        return (
            Reason::Trap,
            format!("it ended itself with exit code {code} instead of returning"),
        );
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return (Reason::Trap, trap.to_string());
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref::<ResourceTableError>() {
        return (Reason::MemoryLimit, "it holds too many host resources open".to_owned());
    }
    let words = format!("{error:#}");
    if words.contains(WORDS_OF_COPYING) {
        // wasmtime says where in the guest an error came up; when its result is taken out, it is in there no more.
        return if error.is::<WasmBacktrace>() {
            (
                Reason::CopyLimit,
                "one call handed the host more than the limit `copy`".to_owned(),
            )
        } else {
            (
                Reason::OutputLimit,
                "its outcome is larger than the limit `outcome`".to_owned(),
            )
        };
    }
    if words.contains(WORDS_OF_COUNTS) || words.contains(WORDS_OF_HANDLES) {
        return (Reason::MemoryLimit, words);
    }
    let hosts = error.is::<wasmtime::PoolConcurrencyLimitError>() || error.chain().any(|cause| cause.is::<io::Error>());
    // What is left is a guest that breaks the canonical ABI: text that is not UTF-8, a list outside its memory.
    (if hosts { Reason::HostFault } else { Reason::Trap }, words)
}
