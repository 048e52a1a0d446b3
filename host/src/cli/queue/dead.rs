//! `warren queue dead list|show|requeue|purge`: what was given up on.

use std::{
    fmt::Write as _,
    io::{self, BufRead, IsTerminal},
};

use super::items;
use crate::{
    app::api::types::{DeadAnswer, DeadRequest, ItemView, QueueStatsView},
    cli::{
        Global, block_on,
        client::{Client, HostArgs},
        exit::{Exit, Failure},
        output::{json, one_line, print},
    },
    domain::{
        ending::{Reason, brief},
        ids::ItemId,
    },
};

/// Ids that one request carries; a host takes a thousand.
const IDS_AT_ONCE: usize = 500;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Dead letters with why they were given up on, those that were enqueued last first.
    List {
        /// Only those of this agent, by name or by what the Hub calls it.
        #[arg(long, value_name = "NAME")]
        agent: Option<String>,
        /// Only those whose last activation ended so, such as `trap` or `guest_error`.
        #[arg(long)]
        reason: Option<Reason>,
        /// At most so many.
        #[arg(long, default_value = "50", value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        #[command(flatten)]
        host: HostArgs,
    },
    /// One dead letter with its payload.
    Show {
        #[arg(value_parser = item_id)]
        id: String,
        #[command(flatten)]
        host: HostArgs,
    },
    /// Put dead letters back at the end of their queues, with attempt 1, those that were enqueued first first.
    ///
    /// Where a queue is full they stay dead and the exit code is 1; make it again once there is room.
    Requeue {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        host: HostArgs,
    },
    /// Delete dead letters for good.
    Purge {
        #[command(flatten)]
        which: Which,
        /// Don't ask.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        host: HostArgs,
    },
}

#[derive(Debug, clap::Args)]
#[group(id = "which", required = true, multiple = false, args = ["ids", "agent", "all"])]
pub struct Which {
    /// These, as `warren queue dead list` shows them.
    #[arg(value_name = "ID", value_parser = item_id)]
    ids: Vec<String>,
    /// All of this agent, by name or by what the Hub calls it.
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// All there are.
    #[arg(long)]
    all: bool,
    /// Of an agent's or all, only those whose last activation ended so.
    #[arg(long, conflicts_with = "ids")]
    reason: Option<Reason>,
}

fn item_id(text: &str) -> Result<String, String> {
    ItemId::parse(text)
        .map(|id| id.to_string())
        .map_err(|error| error.to_string())
}

pub fn run(global: &Global, command: &Command) -> Result<Exit, Failure> {
    match command {
        Command::List {
            agent,
            reason,
            limit,
            host,
        } => {
            let mut params = vec![("state", "dead".to_owned())];
            params.extend(agent.clone().map(|agent| ("agent", agent)));
            params.extend(reason.map(|reason| ("reason", reason.to_string())));
            let client = Client::new(global, host)?;
            let list = block_on(items::read(&client, params, *limit as usize))??;
            items::show(global, &list, "there are no such dead letters", row, HEADER)
        }
        Command::Show { id, host } => {
            let client = Client::new(global, host)?;
            let item: ItemView = block_on(client.get(&["items", id], Default::default()))??;
            print(&if global.json { json(&item)? } else { screen(&item) })?;
            Ok(Exit::Ok)
        }
        Command::Requeue { which, host } => {
            let client = Client::new(global, host)?;
            act(global, &client, which, Deed::Requeue)
        }
        Command::Purge { which, yes, host } => {
            let client = Client::new(global, host)?;
            if !yes && which.ids.is_empty() && !confirmed(&client, which)? {
                print("nothing was deleted")?;
                return Ok(Exit::Ok);
            }
            act(global, &client, which, Deed::Purge)
        }
    }
}

const HEADER: [&str; 6] = ["ITEM", "AGENT", "TYPE", "ATTEMPTS", "DIED", "WHY"];

fn row(item: &ItemView) -> [String; 6] {
    [
        item.id.clone(),
        item.agent.clone(),
        item.task_type.clone(),
        item.attempt.to_string(),
        item.ended_at.clone().unwrap_or_else(|| "-".to_owned()),
        brief(&item.note),
    ]
}

fn screen(item: &ItemView) -> String {
    let mut screen = String::new();
    let generation = item.generation.as_deref().unwrap_or("-");
    for (name, text) in [
        ("item", item.id.clone()),
        ("agent", format!("{} ({})", item.agent, item.agent_id)),
        ("state", item.state.clone()),
        ("why", item.note.clone()),
        (
            "type",
            format!(
                "{}, priority {}, attempt {}",
                item.task_type, item.priority, item.attempt
            ),
        ),
        ("created", item.created_at.clone()),
        ("ended", item.ended_at.clone().unwrap_or_else(|| "-".to_owned())),
        ("plugin", generation.to_owned()),
    ] {
        let _ = writeln!(screen, "{name:<9}{}", one_line(&text));
    }
    match (&item.payload, item.payload_bytes) {
        (Some(payload), _) => {
            // Line by line: nothing of it may act on the terminal.
            let _ = writeln!(screen, "payload");
            for line in payload.lines() {
                let _ = writeln!(screen, "  {}", one_line(line));
            }
        }
        (None, Some(bytes)) => {
            let _ = writeln!(screen, "{:<9}{bytes} bytes; shown to who has the token only", "payload");
        }
        (None, None) => {}
    }
    screen
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Deed {
    Requeue,
    Purge,
}

/// Whether a person at the terminal says yes.
fn confirmed(client: &Client, which: &Which) -> Result<bool, Failure> {
    let what = match (&which.agent, which.reason) {
        (Some(agent), None) => format!("all dead letters of agent {agent}"),
        (Some(agent), Some(reason)) => format!("all dead letters of agent {agent} that ended with {reason}"),
        (None, Some(reason)) => format!("all dead letters that ended with {reason}"),
        (None, None) => {
            let stats: QueueStatsView = block_on(client.get(&["queue"], Default::default()))??;
            format!("all {} dead letters", stats.queue.dead)
        }
    };
    if !io::stdin().is_terminal() {
        return Err(Failure::new(
            Exit::Usage,
            format!("this deletes {what} for good, and nobody can be asked here: say --yes"),
        ));
    }
    eprint!("Delete {what} for good? [y/N] ");
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Failure::new(Exit::Failed, format!("can't read the answer: {error}")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Make requests until all is done. What was done before one fails stays done, and is said.
fn act(global: &Global, client: &Client, which: &Which, deed: Deed) -> Result<Exit, Failure> {
    let mut total = DeadAnswer::default();
    let acted = block_on(async {
        for request in requests(which) {
            act_on(client, request, deed, &mut total).await?;
        }
        Ok::<(), Failure>(())
    })?;
    if let Err(failure) = acted {
        let message = match total.done {
            0 => failure.message,
            done => format!(
                "{}; {done} {} before that: make it again to go on",
                failure.message,
                past(deed, done)
            ),
        };
        return Err(Failure { message, ..failure });
    }
    print(&if global.json {
        json(&total)?
    } else {
        words(&total, deed)
    })?;
    Ok(match &total {
        total if total.no_room > 0 => Exit::Failed,
        total if total.done == 0 && total.not_dead > 0 => Exit::NotFound,
        _ => Exit::Ok,
    })
}

fn requests(which: &Which) -> Vec<DeadRequest> {
    if which.ids.is_empty() {
        return vec![DeadRequest {
            agent: which.agent.clone(),
            all: which.all,
            reason: which.reason.map(|reason| reason.to_string()),
            ..DeadRequest::default()
        }];
    }
    let of_ids = |ids: &[String]| DeadRequest {
        ids: ids.to_vec(),
        ..DeadRequest::default()
    };
    which.ids.chunks(IDS_AT_ONCE).map(of_ids).collect()
}

async fn act_on(client: &Client, mut request: DeadRequest, deed: Deed, total: &mut DeadAnswer) -> Result<(), Failure> {
    let path = match deed {
        Deed::Requeue => ["dead", "requeue"],
        Deed::Purge => ["dead", "purge"],
    };
    loop {
        let answer: DeadAnswer = client.post(&path, &request).await?;
        total.done += answer.done;
        total.no_room += answer.no_room;
        total.not_dead += answer.not_dead;
        total.as_of = answer.as_of;
        if answer.next.is_none() {
            return Ok(());
        }
        request.after = answer.next;
        request.as_of = Some(answer.as_of);
    }
}

fn past(deed: Deed, count: u64) -> &'static str {
    match (deed, count) {
        (Deed::Requeue, 1) => "dead letter was put back into the queue",
        (Deed::Requeue, _) => "dead letters were put back into the queue",
        (Deed::Purge, 1) => "dead letter was deleted",
        (Deed::Purge, _) => "dead letters were deleted",
    }
}

fn words(total: &DeadAnswer, deed: Deed) -> String {
    let mut words = format!("{} {}", total.done, past(deed, total.done));
    if total.no_room > 0 {
        let _ = write!(
            words,
            "; {} stay dead, because their queue is full: make it again when `warren queue stats` shows room, or raise \
             queue.max_length",
            total.no_room
        );
    }
    if total.not_dead > 0 {
        let _ = write!(words, "; {} are not dead, or not there", total.not_dead);
    }
    words
}
