//! `warren agent reload`: definitions are read again, on one host or on every live one.

use crate::{
    app::api::types::{InvalidateAnswer, RereadAgent},
    cli::{
        Global, block_on,
        client::{Client, HostArgs},
        exit::{Exit, Failure},
        fleet,
        output::{json, print},
    },
};

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true)))]
pub struct Args {
    /// The agent.
    #[arg(group = "what")]
    name: Option<String>,
    /// Every agent that has a definition.
    #[arg(long, group = "what")]
    all: bool,
    /// On every live host of the cluster, one after the other.
    #[arg(long)]
    all_hosts: bool,
    #[command(flatten)]
    host: HostArgs,
}

pub fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let client = Client::new(global, &args.host)?;
    let params: Vec<(&str, String)> = args.name.iter().map(|name| ("agent", name.clone())).collect();
    let ask = async |client: &Client| {
        let answer: InvalidateAnswer = client.command(&["cache", "invalidate"], &params).await?;
        Ok(answer)
    };
    if args.all_hosts {
        return block_on(on_all(global, &client, ask))?;
    }
    let answer = block_on(ask(&client))??;
    let (done, refused) = split(&answer.agents);
    if global.json {
        print(&json(&answer)?)?;
    } else if !done.is_empty() {
        print(&done.join("\n"))?;
    }
    if refused.is_empty() {
        Ok(Exit::Ok)
    } else {
        Err(Failure::new(Exit::Failed, refused.join("\n")))
    }
}

async fn on_all(
    global: &Global,
    client: &Client,
    ask: impl AsyncFn(&Client) -> Result<InvalidateAnswer, Failure>,
) -> Result<Exit, Failure> {
    let line = |answer: &InvalidateAnswer| {
        let (done, refused) = split(&answer.agents);
        if refused.is_empty() {
            Ok(done.join("; "))
        } else {
            Err([refused, done].concat().join("; "))
        }
    };
    let answers = fleet::ask_all(client, ask, line, global.json).await?;
    let hosts = answers.len();
    let mut failed = Vec::new();
    let mut shown = Vec::new();
    for answered in answers {
        let why = match &answered.answer {
            Ok(answer) => split(&answer.agents).1.join("; "),
            Err(why) => why.clone(),
        };
        if !why.is_empty() {
            failed.push((answered.host.clone(), why));
        }
        shown.push(serde_json::json!({
            "host": answered.host,
            "agents": answered.answer.as_ref().ok().map(|answer| &answer.agents),
            "error": answered.answer.as_ref().err(),
        }));
    }
    if global.json {
        print(&json(&shown)?)?;
    }
    fleet::verdict(&failed, hosts)
}

/// In words: what was done, and what was refused.
fn split(agents: &[RereadAgent]) -> (Vec<String>, Vec<String>) {
    let (mut done, mut refused) = (Vec::new(), Vec::new());
    for reread in agents {
        let agent = &reread.agent;
        match (&reread.error, reread.result.as_str()) {
            (Some(error), _) if reread.kept => {
                refused.push(format!("{agent}: {error}; the last good one stays in use"))
            }
            (Some(error), _) => refused.push(format!("{agent}: {error}")),
            (None, "changed") => done.push(format!("{agent}: changed")),
            (None, "new") => done.push(format!("{agent}: read for the first time")),
            (None, "gone") => done.push(format!("{agent}: its definition is gone")),
            (None, _) => done.push(format!("{agent}: unchanged")),
        }
    }
    (done, refused)
}
