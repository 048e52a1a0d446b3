//! `warren agent list|show|pause|resume|reload|breaker|workspace`: what is known of agents, and what operators do to them.

mod list;
mod reload;
mod show;
mod workspace;

use super::{
    Global, block_on,
    client::{Client, HostArgs},
    exit::{Exit, Failure},
    output::{json, one_line, print},
};
use crate::app::api::types::AgentChange;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Args)]
struct Named {
    /// The agent's name, or what the Hub calls it.
    name: String,
    #[command(flatten)]
    host: HostArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Every agent that has a definition or that the cluster knows: its state, breaker, items and last run.
    List(list::Args),
    /// What is known of an agent, and why it runs or does not.
    Show(Named),
    /// Hold an agent's items until it is resumed; what runs goes on to its end. Works before it has ever run.
    Pause(Named),
    /// Let a paused agent run again.
    Resume(Named),
    /// Have a host read an agent's definition, or all, again, before it would by itself.
    Reload(reload::Args),
    /// Command an agent's circuit breaker.
    Breaker {
        #[command(subcommand)]
        command: Breaker,
    },
    /// What an agent keeps in files; `agent show` tells how much that is.
    Workspace {
        #[command(subcommand)]
        command: Workspace,
    },
}

#[derive(Debug, clap::Subcommand)]
enum Breaker {
    /// Close it, forget all failures, and let it work by itself again: undoes force-open and disable, too.
    Reset(Named),
    /// Open it until a reset: nothing of the agent runs.
    ForceOpen(Named),
    /// Keep it closed whatever fails, until a reset.
    Disable(Named),
}

#[derive(Debug, clap::Subcommand)]
enum Workspace {
    /// Delete all of an agent's files on a host. Refused while an activation uses them. What it keeps in key-value stays.
    Wipe(workspace::Args),
}

pub fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    match &args.command {
        Command::List(args) => list::run(global, args),
        Command::Show(named) => show::run(global, &named.host, &named.name),
        Command::Pause(named) => change(global, named, &["pause"]),
        Command::Resume(named) => change(global, named, &["resume"]),
        Command::Reload(args) => reload::run(global, args),
        Command::Breaker { command } => match command {
            Breaker::Reset(named) => change(global, named, &["breaker", "reset"]),
            Breaker::ForceOpen(named) => change(global, named, &["breaker", "force-open"]),
            Breaker::Disable(named) => change(global, named, &["breaker", "disable"]),
        },
        Command::Workspace {
            command: Workspace::Wipe(args),
        } => workspace::wipe(global, args),
    }
}

fn change(global: &Global, named: &Named, what: &[&str]) -> Result<Exit, Failure> {
    let client = Client::new(global, &named.host)?;
    let path: Vec<&str> = ["agents", &named.name]
        .into_iter()
        .chain(what.iter().copied())
        .collect();
    let changed: AgentChange = block_on(client.post(&path, &serde_json::json!({})))??;
    print(&if global.json {
        json(&changed)?
    } else {
        one_line(&changed.text)
    })?;
    Ok(Exit::Ok)
}
