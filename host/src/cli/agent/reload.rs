//! `warren agent reload`: definitions are read again, on one host or on every live one.

use crate::{
    app::api::types::{InvalidateAnswer, RereadAgent},
    cli::{
        Global,
        client::{Client, HostArgs},
        exit::{Exit, Failure},
        reloading::{self, Reloaded},
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
    reloading::run::<InvalidateAnswer>(global, &client, args.all_hosts, async |client| {
        client.command(&["cache", "invalidate"], &params).await
    })
}

impl Reloaded for InvalidateAnswer {
    const THINGS: &'static str = "agents";
    const NONE: (&'static str, &'static str) = ("has no agents", "their definitions are looked for in host.agents_dir");

    fn words(&self) -> Vec<Result<String, String>> {
        self.agents.iter().map(words).collect()
    }
}

fn words(reread: &RereadAgent) -> Result<String, String> {
    let agent = &reread.agent;
    match (&reread.error, reread.result.as_str()) {
        (Some(error), _) if reread.kept => Err(format!("{agent}: {error}; the last good one stays in use")),
        (Some(error), _) => Err(format!("{agent}: {error}")),
        (None, "changed") => Ok(format!("{agent}: changed")),
        (None, "new") => Ok(format!("{agent}: read for the first time")),
        (None, "gone") => Ok(format!("{agent}: its definition is gone")),
        (None, _) => Ok(format!("{agent}: unchanged")),
    }
}
