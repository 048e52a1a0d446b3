//! `warren completions SHELL`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{
    Cli,
    exit::{Exit, Failure},
    output::print,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    shell: Shell,
}

pub fn run(args: &Args) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "warren", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}
