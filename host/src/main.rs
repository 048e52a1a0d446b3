//! The `warren` binary.

use std::process::ExitCode;

/// Items pass from thread to thread, and what one allocates another frees: the system's allocator spends a fifth of the
/// host's CPU time on that, this one much less.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    warren::cli::main()
}
