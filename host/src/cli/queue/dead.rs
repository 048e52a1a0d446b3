//! `warren queue dead list|show|requeue|purge`: what was given up on.

use std::{
    fmt::Write as _,
    io::{self, BufRead, IsTerminal},
};

use super::items;
use crate::{
    app::api::types::{DeadAnswer, DeadRequest, ItemView},
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
        /// Of an agent's or all, only those whose last activation ended so.
        #[arg(long, conflicts_with = "ids")]
        reason: Option<Reason>,
        #[command(flatten)]
        host: HostArgs,
    },
    /// Delete dead letters for good.
    Purge {
        #[command(flatten)]
        which: Which,
        /// Of an agent's or all, only those whose last activation ended so.
        #[arg(long, conflicts_with = "ids")]
        reason: Option<Reason>,
        /// Don't ask.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        host: HostArgs,
    },
}

#[derive(Debug, clap::Args)]
#[group(id = "which", required = true, multiple = false)]
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
        Command::Requeue { which, reason, host } => {
            let client = Client::new(global, host)?;
            act(global, &client, requests(which, *reason), Deed::Requeue)
        }
        Command::Purge {
            which,
            reason,
            yes,
            host,
        } => {
            let client = Client::new(global, host)?;
            if !yes && which.ids.is_empty() && !confirmed(which, *reason)? {
                return Err(Failure::new(Exit::Failed, "nothing was deleted"));
            }
            act(global, &client, requests(which, *reason), Deed::Purge)
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
fn confirmed(which: &Which, reason: Option<Reason>) -> Result<bool, Failure> {
    let mut what = "all dead letters".to_owned();
    if let Some(agent) = &which.agent {
        let _ = write!(what, " of agent {}", one_line(agent));
    }
    if let Some(reason) = reason {
        let _ = write!(what, " that ended with {reason}");
    }
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
fn act(global: &Global, client: &Client, requests: Vec<DeadRequest>, deed: Deed) -> Result<Exit, Failure> {
    let mut total = DeadAnswer::default();
    let acted = block_on(async {
        for request in requests {
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

fn requests(which: &Which, reason: Option<Reason>) -> Vec<DeadRequest> {
    if which.ids.is_empty() {
        return vec![DeadRequest {
            agent: which.agent.clone(),
            all: which.all,
            reason: reason.map(|reason| reason.to_string()),
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
    if (total.done, total.no_room, total.not_dead) == (0, 0, 0) {
        return "there are no such dead letters".to_owned();
    }
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        command: Command,
    }

    fn parse(line: &str) -> Result<Command, String> {
        Line::try_parse_from(["dead"].into_iter().chain(line.split_whitespace()))
            .map(|line| line.command)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn which_ones_is_said_in_exactly_one_way() {
        const ID: &str = "01890000-0000-7000-8000-000000000001";
        for good in [
            format!("requeue {ID} {ID}"),
            "requeue --agent echo --reason trap".to_owned(),
            "purge --all --yes".to_owned(),
        ] {
            assert!(parse(&good).is_ok(), "{good}");
        }
        for (bad, part) in [
            ("requeue".to_owned(), "required"),
            ("purge --yes".to_owned(), "required"),
            (format!("requeue {ID} --all"), "cannot be used with"),
            ("requeue --all --agent echo".to_owned(), "cannot be used with"),
            (format!("purge {ID} --reason trap"), "cannot be used with"),
            ("requeue 7".to_owned(), "\"7\" is not a UUID"),
            ("requeue --all --reason good".to_owned(), "`guest_error`"),
        ] {
            let error = parse(&bad).unwrap_err();
            assert!(error.contains(part), "{bad}: {error}");
        }
    }

    #[test]
    fn ids_go_in_requests_of_a_bounded_size() {
        let which = Which {
            ids: vec![String::new(); IDS_AT_ONCE + 1],
            agent: None,
            all: false,
        };
        let sizes: Vec<usize> = requests(&which, None).iter().map(|request| request.ids.len()).collect();
        assert_eq!(sizes, [IDS_AT_ONCE, 1]);
    }
}
