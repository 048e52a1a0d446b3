//! The command line: one file per subcommand, each of which returns what it prints.
//!
//! What a command answers goes to standard output, as a table or with `--json` as JSON; what goes wrong goes to standard
//! error, and into the exit code.

mod agent;
mod client;
mod completions;
mod config;
mod dev;
mod events;
mod exit;
mod fleet;
mod hosts;
mod hub;
mod leader;
mod new;
mod output;
mod plugin;
mod queue;
mod reloading;
mod run;
mod status;
mod submit;
mod verify;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use self::exit::{CODES, Exit, Failure};
use crate::app::config::{Loaded, Sources};

/// Runs AI agents that are shipped as WebAssembly components.
#[derive(Debug, Parser)]
#[command(name = "warren", version, after_help = CODES)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Args)]
struct Global {
    /// The configuration; without it `warren.toml` of the working directory, if there is one.
    #[arg(long, global = true, env = "WARREN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Answer in JSON.
    #[arg(long, global = true)]
    json: bool,
}

impl Global {
    fn load(&self) -> Result<Loaded, Failure> {
        Ok(Sources::of_process(self.config.clone())?.load()?)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a host until SIGTERM or Ctrl-C.
    Run,
    /// Run everything on this machine: a development Hub, a host, and the plugins of a folder.
    Dev(dev::Args),
    /// Run the development Hub alone.
    Hub(hub::Args),
    /// Make a new agent: a crate with a test, its manifest and its definition.
    New(new::Args),
    /// Ask that an agent be activated once, with a payload.
    Submit(submit::Args),
    /// How a host and its cluster are doing.
    Status(status::Args),
    /// Who leads, and handing the leadership over.
    Leader(leader::Args),
    /// The hosts of the cluster: which live, who leads, what each runs.
    Hosts(hosts::Args),
    /// All agents, or one: why it runs or does not; pause and resume it, command its breaker.
    Agent(agent::Args),
    /// The queue in numbers and items, and its dead letters.
    Queue(queue::Args),
    /// What has happened in the cluster, and what happens now.
    Events(events::Args),
    /// The plugins of a host, reloading them, and what a component is.
    Plugin(plugin::Args),
    /// Verify that the cluster keeps its promises, and print a report.
    Verify(verify::Args),
    /// Check the configuration, or show what holds.
    Config(config::Args),
    /// Print a completion script for a shell.
    Completions(completions::Args),
}

/// Read the arguments, do what they say.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            // Nothing is left to do if even this can't be printed.
            let _ = error.print();
            return code.into();
        }
    };
    let global = &cli.global;
    let done = match cli.command {
        Command::Run => run::run(global),
        Command::Dev(args) => dev::run(global, args),
        Command::Hub(args) => hub::run(global, args),
        Command::New(args) => new::run(global, &args),
        Command::Submit(args) => submit::run(global, args),
        Command::Status(args) => status::run(global, &args),
        Command::Leader(args) => leader::run(global, args),
        Command::Hosts(args) => hosts::run(global, &args),
        Command::Agent(args) => agent::run(global, &args),
        Command::Queue(args) => queue::run(global, &args),
        Command::Events(args) => events::run(global, &args),
        Command::Plugin(args) => plugin::run(global, &args),
        Command::Verify(args) => verify::run(global, &args),
        Command::Config(args) => config::run(global, &args),
        Command::Completions(args) => completions::run(&args),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("warren: {}", failure.message);
            failure.exit.into()
        }
    }
}

/// Threads of a host's own runtime: renewals, the API and calls to the Hub, none of which computes much. Guests have
/// threads of their own.
const HOST_THREADS: usize = 2;

/// A runtime for a host.
fn host_runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(HOST_THREADS)
        .thread_name("warren-host")
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("can't start a runtime: {error}")))
}

/// A runtime for commands that ask and wait.
fn block_on<F: Future>(future: F) -> Result<F::Output, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => Ok(runtime.block_on(future)),
        Err(error) => Err(Failure::new(Exit::Failed, format!("can't start a runtime: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent_and_the_help_tells_the_exit_codes() {
        Cli::command().debug_assert();
        let help = Cli::command().render_long_help().to_string();
        assert!(help.contains("5  timed out"), "{help}");
    }

    #[test]
    fn global_options_stand_anywhere() {
        let cli = Cli::try_parse_from(["warren", "config", "show", "--json", "--config", "x.toml"]).unwrap();
        assert!(cli.global.json && cli.global.config == Some("x.toml".into()));
    }
}
