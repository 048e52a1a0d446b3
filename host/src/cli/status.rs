//! `warren status`: one screen.

use std::fmt::Write;

use super::{
    Global, block_on,
    client::{Client, HostArgs},
    exit::{Exit, Failure},
    output::{json, one_line, print, span, table},
    queue::dead_words,
};
use crate::app::api::types::{BreakerView, StatusView};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    host: HostArgs,
}

pub fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let client = Client::new(global, &args.host)?;
    let view: StatusView = block_on(client.get(&["status"], Default::default()))??;
    print(&if global.json { json(&view)? } else { screen(&view) })?;
    Ok(if view.ready.ready && view.leader.is_some() {
        Exit::Ok
    } else {
        Exit::Unhealthy
    })
}

fn screen(view: &StatusView) -> String {
    let leader = match &view.leader {
        Some(leader) => format!("{}, term {}, since {}", leader.host, leader.term, leader.since),
        None => "nobody".to_owned(),
    };
    let queue = &view.queue;
    let ready: Vec<String> = ["high", "normal", "low"]
        .iter()
        .map(|priority| format!("{} {priority}", queue.queued.get(*priority).unwrap_or(&0)))
        .collect();
    let oldest = queue
        .oldest_queued_seconds
        .map_or(String::new(), |age| format!(", oldest {}", span(age)));
    let seen = view
        .hub
        .seconds_since_seen
        .map(|ago| format!("answered {} ago", span(ago)));
    let hub = match (view.hub.reachable, seen, &view.hub.error) {
        (Some(true), Some(seen), _) => seen,
        (_, Some(seen), Some(error)) => format!("UNREACHABLE, {seen}: {error}"),
        (_, _, Some(error)) => format!("UNREACHABLE, has not answered yet: {error}"),
        _ => "not asked yet".to_owned(),
    };
    let mut plugins = format!("{} ready", view.plugins.ready);
    if !view.plugins.failed.is_empty() {
        let _ = write!(
            plugins,
            ", FAILED: {} (see `warren plugin list`)",
            view.plugins.failed.join(", ")
        );
    }
    let rows = [
        (
            "host",
            format!(
                "{} ({}), warren {}, up {}",
                view.host,
                view.roles.join(" + "),
                view.version,
                span(view.uptime_seconds as f64)
            ),
        ),
        ("ready", ready_words(view)),
        ("leader", leader),
        ("store", view.store.description.clone()),
        ("hub", hub),
        ("plugins", plugins),
        (
            "running",
            format!(
                "{} of {} slots on this host; {} in all",
                view.activations.in_progress, view.activations.slots, queue.active
            ),
        ),
        ("queue", format!("{} ready{oldest}", ready.join(", "))),
        (
            "",
            format!(
                "{} waiting, {} delayed, {} held, {} done",
                queue.waiting, queue.delayed, queue.held, queue.done
            ),
        ),
        (
            "dead",
            format!("{}{}", queue.dead, dead_words(queue.dead, queue.oldest_dead_seconds)),
        ),
        (
            "breakers",
            match queue.agents_in_backoff {
                0 => "all closed".to_owned(),
                1 => "1 agent in backoff".to_owned(),
                count => format!("{count} agents in backoff"),
            },
        ),
    ];
    let mut screen = String::new();
    for (name, text) in rows {
        let _ = writeln!(screen, "{name:<9}{}", one_line(&text));
    }
    if !view.breakers.is_empty() {
        let _ = write!(screen, "\n{}", breakers(&view.breakers));
    }
    screen
}

fn ready_words(view: &StatusView) -> String {
    if view.ready.ready {
        return "yes".to_owned();
    }
    let failing = view.ready.checks.iter().filter(|check| !check.ok);
    let words: Vec<String> = failing
        .map(|check| format!("{} {}", check.name, check.detail))
        .collect();
    format!("NO: {}", words.join("; "))
}

fn breakers(breakers: &[BreakerView]) -> String {
    let rows = breakers.iter().map(|breaker| {
        let last = match &breaker.last_reason {
            Some(reason) if breaker.last_detail.is_empty() => reason.clone(),
            Some(reason) => format!("{reason}: {}", breaker.last_detail),
            None => String::new(),
        };
        let probe = breaker
            .remaining_seconds
            .map_or_else(|| "never".to_owned(), |left| format!("in {}", span(left)));
        [
            breaker.agent.clone(),
            breaker.state.clone(),
            probe,
            breaker.failures.to_string(),
            last,
        ]
    });
    table(["AGENT", "BREAKER", "PROBE", "FAILURES", "LAST"], rows)
}
