//! `warren leader`: who leads, and handing the leadership over.

use std::{fmt::Write, time::Duration};

use super::{
    Global, block_on,
    client::{Client, HostArgs},
    exit::{Exit, Failure},
    output::{json, one_line, print, span, table},
};
use crate::app::api::types::{HandoverRequest, HandoverView, LeadershipView};

/// How much longer than other calls a handover may take: the leader joins its work first.
const HANDOVER: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Who leads, since when and until when, and who waits.
    Show {
        #[command(flatten)]
        host: HostArgs,
    },
    /// Let another host lead: the leader ends its work and gives up the lease, and the command waits for its successor.
    Handover {
        /// The host that shall lead; without it the one that is wanted most.
        #[arg(long, value_name = "NAME")]
        to: Option<String>,
        #[command(flatten)]
        host: HostArgs,
    },
}

pub fn run(global: &Global, args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::Show { host } => {
            let client = Client::new(global, &host)?;
            let view: LeadershipView = block_on(client.get(&["leader"], Duration::ZERO))??;
            print(&if global.json { json(&view)? } else { screen(&view) })?;
            Ok(Exit::Ok)
        }
        Command::Handover { to, host } => {
            let client = Client::new(global, &host)?;
            let request = HandoverRequest { to };
            let view: HandoverView = block_on(client.post_for(&["leader", "handover"], &request, HANDOVER))??;
            handed_over(global, &view)
        }
    }
}

fn handed_over(global: &Global, view: &HandoverView) -> Result<Exit, Failure> {
    let leader = &view.leader;
    let (name, millis) = (one_line(&leader.host), (view.took_seconds * 1000.0).ceil());
    let text = format!(
        "{name} leads now, in term {}; {} handed over in {millis} ms",
        leader.term,
        one_line(&view.from)
    );
    match &view.to {
        Some(to) if *to != leader.host => Err(Failure::new(
            Exit::Failed,
            format!("{} did not take the leadership; {text}", one_line(to)),
        )),
        _ => {
            print(&if global.json { json(view)? } else { text })?;
            Ok(Exit::Ok)
        }
    }
}

fn screen(view: &LeadershipView) -> String {
    let mut rows = Vec::new();
    match &view.leader {
        None => rows.push(("leader", "nobody".to_owned())),
        Some(leader) if leader.foreign => rows.push((
            "leader",
            format!(
                "{}, which is no Warren host: Warren's hosts only run items; lease for {} yet",
                leader.host,
                span(leader.lease_left_seconds)
            ),
        )),
        Some(leader) => {
            rows.push((
                "leader",
                format!("{}, term {}, since {}", leader.host, leader.term, leader.since),
            ));
            rows.push(("address", leader.address.clone()));
            rows.push(("lease", format!("{:.1} s left", leader.lease_left_seconds)));
        }
    }
    if let Some(change) = &view.last_change {
        let host = change.host.as_deref().unwrap_or("a host");
        rows.push((
            "last",
            format!("{} {host} {}, {}", change.at, change.kind, change.detail),
        ));
    }
    let host = &view.host;
    let standing = match (host.standing.as_str(), host.score) {
        ("not_a_coordinator", _) | (_, None) => "has no role coordinator: it can't lead".to_owned(),
        (standing, Some(score)) => format!("{standing}, score {score}"),
    };
    rows.push(("asked", format!("{}: {standing}", host.name)));
    let mut screen = String::new();
    for (name, text) in rows {
        let _ = writeln!(screen, "{name:<9}{}", one_line(&text));
    }
    if !view.candidates.is_empty() {
        let waiting = view
            .candidates
            .iter()
            .map(|candidate| [candidate.host.clone(), candidate.score.to_string()]);
        let _ = write!(screen, "\n{}", table(["WAITS", "SCORE"], waiting));
    }
    screen
}
