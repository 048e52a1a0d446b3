//! `warren submit`: a direct item, and with `--wait` what came of it.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{
    Global, block_on,
    client::{Client, HostArgs},
    exit::{Exit, Failure},
    output::{json, one_line, print},
};
use crate::{
    app::api::types::{ItemView, SubmitRequest, SubmitResponse},
    domain::{
        ids::ItemId,
        work_item::{MAX_PAYLOAD, Priority},
    },
};

/// How long one request waits for the end; a host waits no longer than a minute.
const ONE_WAIT: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
#[group(id = "input", required = true, multiple = false, args = ["payload", "file"])]
pub struct Args {
    /// The agent's name.
    agent: String,
    /// What the agent gets.
    #[arg(long, value_name = "TEXT")]
    payload: Option<String>,
    /// A file that holds what the agent gets; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// `high`, `normal` or `low`.
    #[arg(long, default_value = "high")]
    priority: Priority,
    /// Wait for the end, at most so many seconds (300 without a number), and print how it ended.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "300")]
    wait: Option<u64>,
    /// What the Hub calls the agent; needed only before the Hub has named it to the cluster.
    #[arg(long, value_name = "ID")]
    agent_id: Option<String>,
    #[command(flatten)]
    host: HostArgs,
}

pub fn run(global: &Global, args: Args) -> Result<Exit, Failure> {
    let client = Client::new(global, &args.host)?;
    let payload = match (args.payload, &args.file) {
        (Some(text), _) => text,
        (None, Some(file)) => read(file)?,
        (None, None) => return Err(Failure::new(Exit::Usage, "--payload or --file is needed")),
    };
    let request = SubmitRequest {
        agent: args.agent,
        payload,
        priority: Some(args.priority.to_string()),
        agent_id: args.agent_id,
        // Made here, so that a repeat by whoever is between is recognised.
        id: Some(ItemId::fresh().to_string()),
    };
    block_on(async {
        let submitted: SubmitResponse = client.post(&["items"], &request).await?;
        match args.wait {
            None => {
                let text = format!("{} is {}", submitted.id, submitted.state);
                print(&if global.json { json(&submitted)? } else { text })?;
                Ok(Exit::Ok)
            }
            Some(seconds) => {
                let item = wait(&client, &submitted.id, Duration::from_secs(seconds)).await?;
                print(&if global.json { json(&item)? } else { outcome(&item) })?;
                Ok(exit_of(&item))
            }
        }
    })?
}

/// A file, or as much of it as shows that it is too large.
fn read(file: &Path) -> Result<String, Failure> {
    let is_stdin = file == Path::new("-");
    let name = if is_stdin {
        "standard input".to_owned()
    } else {
        file.display().to_string()
    };
    let failed = |error: io::Error| Failure::new(Exit::Usage, format!("{name} can't be read: {error}"));
    let mut bytes = Vec::new();
    let most = MAX_PAYLOAD as u64 + 1;
    if is_stdin {
        io::stdin().lock().take(most).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        File::open(file)
            .map_err(failed)?
            .take(most)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
    }
    if bytes.len() > MAX_PAYLOAD {
        let message = format!("{name} holds more than the {MAX_PAYLOAD} bytes that an item may carry");
        return Err(Failure::new(Exit::Usage, message));
    }
    String::from_utf8(bytes).map_err(|_| Failure::new(Exit::Usage, format!("{name} is not UTF-8 text")))
}

async fn wait(client: &Client, id: &str, at_most: Duration) -> Result<ItemView, Failure> {
    let deadline = Instant::now() + at_most;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // Whole seconds are what can be asked for: the nearest number of them.
        let asked = Duration::from_secs(left.min(ONE_WAIT).as_secs_f64().round() as u64);
        let item: ItemView = client.get(&["items", id], asked).await?;
        if item.has_ended() || asked.is_zero() || asked >= left {
            return Ok(item);
        }
    }
}

fn exit_of(item: &ItemView) -> Exit {
    match (item.has_ended(), item.state.as_str(), item.reason.as_deref()) {
        (false, ..) => Exit::TimedOut,
        (true, "done", Some("ok")) => Exit::Ok,
        _ => Exit::Failed,
    }
}

fn outcome(item: &ItemView) -> String {
    let note = one_line(&item.note);
    if item.has_ended() {
        format!("{}: {note}", item.state)
    } else if note.is_empty() {
        format!(
            "{} is still {}; ask again with `warren agent show {}`",
            item.id, item.state, item.agent
        )
    } else {
        format!(
            "{} is still {} ({note}); ask again with `warren agent show {}`",
            item.id, item.state, item.agent
        )
    }
}
