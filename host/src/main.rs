//! The `warren` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    warren::cli::main()
}
