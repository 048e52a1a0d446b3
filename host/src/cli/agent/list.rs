//! `warren agent list`.

use std::fmt::Write;

use crate::{
    app::api::types::{AgentList, AgentRow},
    cli::{
        Global, block_on,
        client::{Client, HostArgs},
        exit::{Exit, Failure},
        output::{json, one_line, print, table},
    },
    domain::ending::brief,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// At most so many.
    #[arg(long, default_value = "1000", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    host: HostArgs,
}

/// Agents that are asked for at once.
const PAGE: u32 = 200;

pub fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let client = Client::new(global, &args.host)?;
    let mut list = block_on(read(&client, args.limit as usize))??;
    list.agents.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    print(&if global.json { json(&list)? } else { screen(&list) })?;
    Ok(Exit::Ok)
}

async fn read(client: &Client, limit: usize) -> Result<AgentList, Failure> {
    let mut all = AgentList {
        agents: Vec::new(),
        next: None,
    };
    loop {
        let mut params = vec![("limit", PAGE.to_string())];
        params.extend(all.next.take().map(|next| ("after", next)));
        let page: AgentList = client.ask(&["agents"], &params).await?;
        all.agents.extend(page.agents);
        all.next = page.next;
        if all.next.is_none() || all.agents.len() >= limit {
            all.agents.truncate(limit);
            return Ok(all);
        }
    }
}

fn screen(list: &AgentList) -> String {
    if list.agents.is_empty() {
        return "there are no agents: a definition is a folder with config.yaml in host.agents_dir".to_owned();
    }
    let header = [
        "AGENT",
        "STATE",
        "PLUGIN",
        "BREAKER",
        "RUNNING",
        "READY",
        "WAITING",
        "HELD",
        "LAST RUN",
        "ENDED WITH",
    ];
    let mut text = table(header, list.agents.iter().map(row));
    for agent in &list.agents {
        if let Some(error) = &agent.error {
            let _ = write!(text, "\n\n{}: {}", one_line(&agent.name), one_line(error));
        }
    }
    if list.next.is_some() {
        let _ = write!(text, "\n\nThere are more: --limit says how many are shown.");
    }
    text
}

fn row(agent: &AgentRow) -> [String; 10] {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let ended = match &agent.reason {
        Some(reason) if agent.detail.is_empty() => reason.clone(),
        Some(reason) => format!("{reason}: {}", brief(&agent.detail)),
        None => "-".to_owned(),
    };
    [
        agent.name.clone(),
        agent.state.clone(),
        or_dash(&agent.plugin),
        or_dash(&agent.breaker),
        u8::from(agent.running).to_string(),
        agent.ready.to_string(),
        agent.waiting.to_string(),
        agent.held.to_string(),
        agent
            .last_ended
            .clone()
            .or(agent.last_started.clone())
            .unwrap_or_else(|| "-".to_owned()),
        ended,
    ]
}
