//! `warren events`: what has happened in the cluster, one line each, and with `--follow` what happens now.

mod follow;
mod sse;

use super::{
    Global, block_on,
    client::{Client, HostArgs},
    exit::{Exit, Failure},
    output::{json, one_line, print},
};
use crate::app::api::types::{EventList, EventView};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Go on printing events as they happen, until Ctrl-C; a connection that is cut is made anew.
    #[arg(long, short)]
    follow: bool,
    /// Begin behind this event; 0 is the first that is kept [default: the last 100, with --follow the last 10].
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,
    /// Only of this kind, such as `breaker_opened`, or `breaker` for all that begin so. May be given several times.
    #[arg(long = "kind", value_name = "KIND", value_delimiter = ',')]
    kinds: Vec<String>,
    /// Only of this agent, by name or by what the Hub calls it.
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    #[command(flatten)]
    host: HostArgs,
}

/// Events that are shown if nothing is said about where to begin.
const LAST: usize = 100;
const LAST_BEFORE_FOLLOWING: usize = 10;
/// Events that are asked for at once: as many as a host answers.
const PAGE: u32 = 1000;

pub fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let mut params = Vec::new();
    params.extend((!args.kinds.is_empty()).then(|| ("kind", args.kinds.join(","))));
    params.extend(args.agent.clone().map(|agent| ("agent", agent)));
    let client = Client::new(global, &args.host)?;
    block_on(async {
        let list = read(&client, &params, args).await?;
        if !args.follow {
            show(global, &list)?;
            return Ok(Exit::Ok);
        }
        let printer = follow::Printer { json: global.json };
        if !printer.lost(list.lost.as_ref())?
            || !list
                .events
                .iter()
                .try_fold(true, |open, event| Ok::<_, Failure>(open && printer.event(event)?))?
        {
            return Ok(Exit::Ok);
        }
        follow::follow(&client, &params, list.next, &printer).await
    })?
}

/// What is kept from where it was asked for, or the end of it.
async fn read(client: &Client, params: &[(&str, String)], args: &Args) -> Result<EventList, Failure> {
    let mut all = EventList {
        events: Vec::new(),
        lost: None,
        next: args.after.unwrap_or(0),
    };
    loop {
        let mut params = params.to_vec();
        params.push(("after", all.next.to_string()));
        params.push(("limit", PAGE.to_string()));
        let page: EventList = client.ask(&["events"], &params).await?;
        all.events.extend(page.events);
        all.lost = all.lost.or(page.lost);
        if args.after.is_none() {
            let last = if args.follow { LAST_BEFORE_FOLLOWING } else { LAST };
            let surplus = all.events.len().saturating_sub(last);
            all.events.drain(..surplus);
        }
        if page.next == all.next {
            return Ok(all);
        }
        all.next = page.next;
    }
}

fn show(global: &Global, list: &EventList) -> Result<(), Failure> {
    if global.json {
        return print(&json(list)?);
    }
    if let Some(lost) = &list.lost {
        eprintln!("warren: {}", one_line(&lost.message));
    }
    if list.events.is_empty() {
        return print("there are no such events");
    }
    print(&list.events.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// `time kind host agent detail`, in columns that fit what is usual: the whole is not known while one follows.
fn line(event: &EventView) -> String {
    let or_dash = |text: Option<&String>| one_line(text.map_or("-", String::as_str));
    let host = or_dash(event.host.as_ref());
    let agent = or_dash(event.agent.as_ref().or(event.agent_id.as_ref()));
    let mut detail = one_line(&event.detail);
    if let Some(item) = &event.item {
        let gap = if detail.is_empty() { "" } else { " " };
        detail.push_str(&format!("{gap}(item {})", one_line(item)));
    }
    format!("{}  {:<21} {host:<16} {agent:<16} {detail}", event.at, event.kind)
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_it_says() {
        let event = EventView {
            seq: 7,
            at: "2026-01-01T00:00:00Z".into(),
            kind: "breaker_opened".into(),
            host: None,
            agent: Some("echo".into()),
            agent_id: Some("a1".into()),
            item: None,
            detail: "after trap,\nfor 60 s\u{1b}[31m".into(),
        };
        assert_eq!(
            line(&event),
            "2026-01-01T00:00:00Z  breaker_opened        -                echo             after trap, for 60 s [31m"
        );
        let bare = EventView {
            agent: None,
            agent_id: None,
            detail: String::new(),
            ..event
        };
        assert!(line(&bare).ends_with('-'), "{}", line(&bare));
    }
}
