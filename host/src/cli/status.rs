//! `warren status`: one screen.

use std::fmt::Write;

use super::{
    Global, block_on,
    client::{Client, HostArgs},
    exit::{Exit, Failure},
    output::{json, one_line, print, span, table},
    queue::dead_words,
};
use crate::app::api::types::{BreakerView, HubView, PluginCounts, QueueView, StatusView};

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
        Some(leader) if leader.foreign => {
            format!(
                "{}, which is no Warren host: Warren's hosts only run items",
                leader.host
            )
        }
        Some(leader) => format!("{}, term {}, since {}", leader.host, leader.term, leader.since),
        None => "nobody".to_owned(),
    };
    let host = format!(
        "{} ({}), warren {}, up {}",
        view.host,
        view.roles.join(" + "),
        view.version,
        span(view.uptime_seconds as f64)
    );
    let running = format!(
        "{} of {} slots on this host; {} in all",
        view.activations.in_progress, view.activations.slots, view.queue.active
    );
    let mut rows = vec![
        ("host", host),
        ("ready", ready_words(view)),
        ("leader", leader),
        ("hosts", hosts(view)),
        ("store", view.store.description.clone()),
        ("hub", hub(&view.hub)),
        ("plugins", plugins(&view.plugins)),
        ("running", running),
    ];
    rows.extend(queue(&view.queue));
    if !view.python_runners.is_empty() {
        let words = format!(
            "{} in this store, which Warren does not go together with; stop them: {}",
            view.python_runners.len(),
            view.python_runners.join(", ")
        );
        rows.push(("PYTHON", words));
    }
    let mut screen = String::new();
    for (name, text) in rows {
        let _ = writeln!(screen, "{name:<9}{}", one_line(&text));
    }
    if !view.breakers.is_empty() {
        let _ = write!(screen, "\n{}", breakers(&view.breakers));
    }
    screen
}

fn hub(view: &HubView) -> String {
    let seen = view.seconds_since_seen.map(|ago| format!("answered {} ago", span(ago)));
    match (view.reachable, seen, &view.error) {
        (Some(true), Some(seen), _) => seen,
        (_, Some(seen), Some(error)) => format!("UNREACHABLE, {seen}: {error}"),
        (_, _, Some(error)) => format!("UNREACHABLE, has not answered yet: {error}"),
        _ => "not asked yet".to_owned(),
    }
}

fn plugins(counts: &PluginCounts) -> String {
    let mut words = format!("{} ready", counts.ready);
    if !counts.failed.is_empty() {
        let failed = counts.failed.join(", ");
        let _ = write!(words, ", FAILED: {failed} (see `warren plugin list`)");
    }
    words
}

fn queue(queue: &QueueView) -> [(&'static str, String); 4] {
    let ready: Vec<String> = ["high", "normal", "low"]
        .iter()
        .map(|priority| format!("{} {priority}", queue.queued.get(*priority).unwrap_or(&0)))
        .collect();
    let oldest = queue
        .oldest_queued_seconds
        .map_or(String::new(), |age| format!(", oldest {}", span(age)));
    let unready = format!(
        "{} waiting, {} delayed, {} held, {} done",
        queue.waiting, queue.delayed, queue.held, queue.done
    );
    let backoff = match queue.agents_in_backoff {
        0 => "all closed".to_owned(),
        1 => "1 agent in backoff".to_owned(),
        count => format!("{count} agents in backoff"),
    };
    let dead = format!("{}{}", queue.dead, dead_words(queue.dead, queue.oldest_dead_seconds));
    [
        ("queue", format!("{} ready{oldest}", ready.join(", "))),
        ("", unready),
        ("dead", dead),
        ("breakers", backoff),
    ]
}

fn hosts(view: &StatusView) -> String {
    let counts = &view.hosts;
    let mut words = format!("{} live", counts.live);
    if counts.draining > 0 {
        let _ = write!(words, " ({} draining)", counts.draining);
    }
    for (count, state) in [(counts.left, "left"), (counts.gone, "gone")] {
        if count > 0 {
            let _ = write!(words, ", {count} {state}");
        }
    }
    words
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
