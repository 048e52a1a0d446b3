//! Lists of items: `warren queue list`, and the dead ones.

use crate::{
    app::api::types::{ItemList, ItemView},
    cli::{
        Global, block_on,
        client::{Client, HostArgs},
        exit::{Exit, Failure},
        output::{json, print, table},
    },
    domain::{
        ending::brief,
        work_item::{ItemState, TaskType},
    },
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only those that are `queued`, `waiting`, `delayed`, `held`, `active`, `done` or `dead`.
    #[arg(long)]
    state: Option<ItemState>,
    /// Only those of this agent, by name or by what the Hub calls it.
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Only `inbox`, `discovery` or `direct` ones.
    #[arg(long = "type", value_name = "TYPE")]
    task_type: Option<TaskType>,
    /// At most so many.
    #[arg(long, default_value = "50", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    host: HostArgs,
}

/// Items that are asked for at once: as many as a host answers.
const PAGE: usize = 500;

pub fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let mut params = Vec::new();
    params.extend(args.state.map(|state| ("state", state.to_string())));
    params.extend(args.agent.clone().map(|agent| ("agent", agent)));
    params.extend(args.task_type.map(|task_type| ("type", task_type.to_string())));
    let client = Client::new(global, &args.host)?;
    let list = block_on(read(&client, params, args.limit as usize))??;
    show(global, &list, "there are no such items", row, HEADER)
}

const HEADER: [&str; 8] = ["ITEM", "AGENT", "TYPE", "PRIORITY", "STATE", "ATTEMPT", "WHEN", "NOTE"];

fn row(item: &ItemView) -> [String; 8] {
    let when = item
        .ended_at
        .as_ref()
        .or(item.due_at.as_ref())
        .unwrap_or(&item.created_at);
    let note = match &item.host {
        Some(host) => format!("run by {host}"),
        None => brief(&item.note),
    };
    [
        item.id.clone(),
        item.agent.clone(),
        item.task_type.clone(),
        item.priority.clone(),
        item.state.clone(),
        item.attempt.to_string(),
        when.clone(),
        note,
    ]
}

/// Read pages until there are enough items. A page may hold none and not be the last.
pub async fn read(client: &Client, params: Vec<(&str, String)>, limit: usize) -> Result<ItemList, Failure> {
    let mut list = ItemList::default();
    loop {
        let mut params = params.clone();
        params.push(("limit", (limit - list.items.len()).min(PAGE).to_string()));
        params.extend(list.next.map(|next| ("after", next.to_string())));
        let page: ItemList = client.ask(&["items"], &params).await?;
        list.items.extend(page.items);
        list.next = page.next;
        if list.next.is_none() || list.items.len() >= limit {
            return Ok(list);
        }
    }
}

pub fn show<const N: usize>(
    global: &Global,
    list: &ItemList,
    none: &str,
    row: impl Fn(&ItemView) -> [String; N],
    header: [&str; N],
) -> Result<Exit, Failure> {
    if global.json {
        print(&json(list)?)?;
    } else if list.items.is_empty() {
        print(none)?;
    } else {
        let mut text = table(header, list.items.iter().map(row));
        if list.next.is_some() {
            text.push_str("\n\nThere may be more: --limit says how many are shown.");
        }
        print(&text)?;
    }
    Ok(Exit::Ok)
}
