//! `warren queue stats|list|dead`: the queue in numbers and items, and its dead letters.

mod dead;
mod items;

use std::fmt::Write;

use super::{
    Global, block_on,
    client::{Client, HostArgs},
    exit::{Exit, Failure},
    output::{json, print, span, table},
};
use crate::app::api::types::QueueStatsView;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// How many items are where, and how many more fit.
    Stats {
        #[command(flatten)]
        host: HostArgs,
    },
    /// Items, those that were enqueued last first.
    List(items::Args),
    /// Items that were given up on: look at them, put them back, or delete them.
    Dead {
        #[command(subcommand)]
        command: dead::Command,
    },
}

pub fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    match &args.command {
        Command::Stats { host } => stats(global, host),
        Command::List(args) => items::run(global, args),
        Command::Dead { command } => dead::run(global, command),
    }
}

fn stats(global: &Global, host: &HostArgs) -> Result<Exit, Failure> {
    let client = Client::new(global, host)?;
    let view: QueueStatsView = block_on(client.get(&["queue"], Default::default()))??;
    print(&if global.json { json(&view)? } else { screen(&view) })?;
    Ok(Exit::Ok)
}

fn screen(view: &QueueStatsView) -> String {
    let rows = view.priorities.iter().map(|priority| {
        [
            priority.priority.clone(),
            priority.ready.to_string(),
            priority.room.to_string(),
            priority.limit.to_string(),
        ]
    });
    let mut screen = table(["PRIORITY", "READY", "ROOM", "LIMIT"], rows);
    screen.push_str("\n\n");
    let queue = &view.queue;
    let ago = |age: Option<f64>, what: &str| age.map_or(String::new(), |age| format!("{what} {}", span(age)));
    for (name, count, more) in [
        ("active", queue.active, String::new()),
        ("waiting", queue.waiting, String::new()),
        ("delayed", queue.delayed, String::new()),
        ("held", queue.held, String::new()),
        ("done", queue.done, String::new()),
        ("dead", queue.dead, dead_words(queue.dead, queue.oldest_dead_seconds)),
    ] {
        let _ = writeln!(screen, "{name:<9}{count}{more}");
    }
    let oldest = ago(queue.oldest_queued_seconds, "ready for");
    let oldest = if oldest.is_empty() {
        "nothing is ready".to_owned()
    } else {
        oldest
    };
    let _ = writeln!(screen, "{:<9}{oldest}", "oldest");
    screen
}

/// What there is to say of dead letters, behind their number.
pub fn dead_words(count: u64, oldest: Option<f64>) -> String {
    match (count, oldest) {
        (0, _) => String::new(),
        (_, Some(age)) => format!(", the first for {} (see `warren queue dead list`)", span(age)),
        (_, None) => " (see `warren queue dead list`)".to_owned(),
    }
}
