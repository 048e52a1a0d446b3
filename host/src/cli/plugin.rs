//! `warren plugin list|inspect|reload`.

mod inspect;
mod list;
mod reload;

use std::path::PathBuf;

use super::{
    Global,
    client::HostArgs,
    exit::{Exit, Failure},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// The plugins of a host: what runs, what still drains, and what can't be run and why.
    List {
        #[command(flatten)]
        host: HostArgs,
    },
    /// What a component is and imports beside what its manifest declares, and whether a host would run it. Needs no host.
    Inspect {
        /// A component, or a plugin's folder or `plugin.toml`.
        path: PathBuf,
    },
    /// Have a host read a plugin, or all, from its folder again, and swap what has changed while everything goes on.
    Reload(reload::Args),
}

pub fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    match &args.command {
        Command::List { host } => list::run(global, host),
        Command::Inspect { path } => inspect::run(global, path),
        Command::Reload(args) => reload::run(global, args),
    }
}
