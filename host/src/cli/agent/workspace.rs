//! `warren agent workspace wipe`: what an agent keeps in files is deleted, on one host or on every live one.

use serde_json::json;

use crate::{
    app::api::types::WorkspaceWiped,
    cli::{
        Global, block_on,
        client::{Client, HostArgs},
        exit::{Exit, Failure},
        fleet,
        output::{json, one_line, print},
    },
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The agent's name, or what the Hub calls it.
    name: String,
    /// On every live host of the cluster, one after the other: each has a workspace of the agent's of its own.
    #[arg(long)]
    all_hosts: bool,
    #[command(flatten)]
    host: HostArgs,
}

pub fn wipe(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let client = Client::new(global, &args.host)?;
    let ask = async |client: &Client| {
        let path = ["agents", &args.name, "workspace", "wipe"];
        let wiped: WorkspaceWiped = client.command(&path, &[]).await?;
        Ok(wiped)
    };
    if args.all_hosts {
        return block_on(on_all(global, &client, ask))?;
    }
    let wiped = block_on(ask(&client))??;
    print(&if global.json {
        json(&wiped)?
    } else {
        one_line(&wiped.text)
    })?;
    Ok(Exit::Ok)
}

async fn on_all(
    global: &Global,
    client: &Client,
    ask: impl AsyncFn(&Client) -> Result<WorkspaceWiped, Failure>,
) -> Result<Exit, Failure> {
    let answers = fleet::ask_all(client, ask, |wiped| Ok(wiped.text.clone()), global.json).await?;
    let hosts = answers.len();
    if global.json {
        let shown: Vec<_> = answers
            .iter()
            .map(|answered| {
                let (wiped, error) = (answered.answer.as_ref().ok(), answered.answer.as_ref().err());
                json!({ "host": answered.host, "wiped": wiped, "error": error })
            })
            .collect();
        print(&json(&shown)?)?;
    }
    let failed: Vec<_> = answers
        .into_iter()
        .filter_map(|answered| Some((answered.host, answered.answer.err()?)))
        .collect();
    fleet::verdict(&failed, hosts)
}
