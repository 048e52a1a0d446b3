//! "Why did agent X not run?", in sentences.
//!
//! What keeps an agent from running for good comes first, then what does for a while, then what its items say.

use super::{types::PluginRef, views::time};
use crate::{
    domain::{
        agent::AgentDefinition,
        breaker::BreakerState,
        ending::brief,
        time::UnixMillis,
        work_item::{ItemRecord, ItemState, TaskType},
    },
    ports::agent_records::{AgentItems, AgentRecord},
};

/// What is known of an agent; what is absent is not known.
pub struct Facts<'a> {
    pub definition: Result<&'a AgentDefinition, &'a str>,
    /// What would run it; only asked for where there is a definition.
    pub plugin: Option<&'a Result<PluginRef, String>>,
    pub record: Option<&'a AgentRecord>,
    /// An operator has paused it although there is no record yet.
    pub paused_ahead: bool,
    /// Those that were found, not done yet first.
    pub items: &'a [ItemRecord],
}

pub fn sentences(facts: &Facts<'_>) -> Vec<String> {
    let mut why = Vec::new();
    match facts.definition {
        Err(error) => why.push(format!("It can't run: {error}.")),
        Ok(_) => {
            if let Some(Err(error)) = facts.plugin {
                why.push(format!("It can't run on this host: {error}."));
            }
        }
    }
    if facts.paused_ahead {
        why.push(
            "An operator paused it before anything was enqueued for it: its first item will find it paused.".to_owned(),
        );
    }
    match facts.record {
        None => why.push(
            "The Hub has not named it to this cluster yet, and nothing was submitted for it: there is nothing to run."
                .to_owned(),
        ),
        Some(record) => {
            if record.paused {
                why.push("An operator paused it: its items are held until it is resumed.".to_owned());
            }
            why.extend(breaker(record));
            why.extend(rest(record, facts.definition.ok()));
            why.extend(
                facts
                    .definition
                    .ok()
                    .into_iter()
                    .flat_map(|definition| daily_limits(record, definition)),
            );
        }
    }
    let stopped = !why.is_empty();
    let pending: Vec<_> = facts.items.iter().filter(|item| !ended(item)).collect();
    why.extend(pending.iter().map(|item| of_item(item)));
    let known = facts.record.map_or(0, |record| unfinished(&record.items));
    if known > pending.len() as u64 {
        why.push(format!(
            "{known} of its items are not done; {} are shown here: `warren queue list --agent` goes through all.",
            pending.len()
        ));
    }
    if let (Some(record), true, 0) = (facts.record, pending.is_empty(), known) {
        why.extend(last(record));
        if !stopped {
            why.push("Nothing stands in its way: it runs when the Hub has something for it.".to_owned());
        }
    }
    why
}

/// As the store counts them.
fn unfinished(items: &AgentItems) -> u64 {
    u64::from(items.active) + items.queued + items.waiting + items.held + items.behind_breaker
}

fn ended(item: &ItemRecord) -> bool {
    matches!(item.state, ItemState::Done | ItemState::Dead)
}

/// `in 40 s (2026-01-01T00:00:00Z)`.
fn due(at: UnixMillis, now: UnixMillis) -> String {
    format!("in {} s ({})", at.since(now).as_millis().div_ceil(1000), time(at))
}

fn last_failure(record: &AgentRecord) -> String {
    match record.last_reason {
        Some(reason) if record.last_detail.is_empty() => format!("; it last ended with {reason}"),
        Some(reason) => format!(
            "; it last ended with {reason}: {}",
            brief(&record.last_detail).trim_end_matches('.')
        ),
        None => String::new(),
    }
}

fn breaker(record: &AgentRecord) -> Option<String> {
    let failures = match record.breaker.failures {
        1 => "1 failure".to_owned(),
        count => format!("{count} failures in a row"),
    };
    let cause = last_failure(record);
    match record.breaker.state(record.now) {
        BreakerState::Closed => None,
        BreakerState::Open { until } => Some(format!(
            "Its breaker is open after {failures}{cause}. One probe may run {}.",
            due(until, record.now)
        )),
        BreakerState::HalfOpen { from } if from > record.now => Some(format!(
            "Its breaker is half open after {failures}{cause}. The next probe may run {}.",
            due(from, record.now)
        )),
        BreakerState::HalfOpen { .. } => Some(format!(
            "Its breaker is half open after {failures}{cause}. The next item is the one probe; if it ends well the breaker \
             closes."
        )),
        BreakerState::ForcedOpen => {
            Some("An operator forced its breaker open: its items are held until a reset.".to_owned())
        }
        BreakerState::Disabled => {
            Some("An operator disabled its breaker: failures don't keep it from running.".to_owned())
        }
    }
}

/// Cool-down and interval hold back what the Hub asks for, not what is submitted.
fn rest(record: &AgentRecord, definition: Option<&AgentDefinition>) -> Vec<String> {
    let mut why = Vec::new();
    if let Some(until) = record.cool_until.filter(|until| *until > record.now) {
        why.push(format!(
            "It cools down for the {} time in a row{}. Inbox and discovery items run {}.",
            ordinal(record.cool_downs),
            last_failure(record),
            due(until, record.now)
        ));
    }
    if let (Some(definition), Some(started)) = (definition, record.last_started) {
        let next = started + definition.behavior.min_interval;
        if next > record.now {
            why.push(format!(
                "Its definition asks for {} s between two starts: inbox and discovery items run {}.",
                definition.behavior.min_interval.as_secs(),
                due(next, record.now)
            ));
        }
    }
    why
}

fn ordinal(n: u32) -> String {
    let ending = match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{n}{ending}")
}

fn daily_limits(record: &AgentRecord, definition: &AgentDefinition) -> Vec<String> {
    [
        ("posts", record.posts_today, definition.behavior.max_daily_posts),
        ("comments", record.comments_today, definition.behavior.max_daily_comments),
    ]
    .into_iter()
    .filter(|(_, used, limit)| used >= limit)
    .map(|(what, used, limit)| {
        format!("It has used up its {what} of the day ({used} of {limit}): it runs, but further {what} are refused until 00:00 UTC.")
    })
    .collect()
}

fn of_item(record: &ItemRecord) -> String {
    let item = &record.item;
    let what = match item.task_type {
        TaskType::Inbox => format!("The inbox item {}", item.id),
        TaskType::Discovery => format!("The discovery item {}", item.id),
        TaskType::Direct => format!("The submitted item {}", item.id),
    };
    let note = if record.note.is_empty() {
        String::new()
    } else {
        format!(": {}", brief(&record.note).trim_end_matches('.'))
    };
    match record.state {
        ItemState::Queued => format!("{what} is ready, and is run when a host has a free slot."),
        ItemState::Waiting => format!("{what} waits behind the one that is being run."),
        ItemState::Delayed => match record.due_at {
            Some(at) => format!("{what} is due at {}{note}.", time(at)),
            None => format!("{what} is delayed{note}."),
        },
        ItemState::Held => format!("{what} is held until an operator acts{note}."),
        ItemState::Active => match &record.host {
            Some(host) => format!("{what} is being run by {host}, attempt {}.", item.attempt),
            None => format!("{what} is being run, attempt {}.", item.attempt),
        },
        ItemState::Done | ItemState::Dead => format!("{what} has ended{note}."),
    }
}

fn last(record: &AgentRecord) -> Option<String> {
    let reason = record.last_reason?;
    let detail = if record.last_detail.is_empty() {
        String::new()
    } else {
        format!(": {}", brief(&record.last_detail).trim_end_matches('.'))
    };
    Some(match record.last_ended {
        Some(at) => format!("It last ran until {} and ended with {reason}{detail}.", time(at)),
        None => format!("It last ended with {reason}{detail}."),
    })
}

#[cfg(test)]
mod tests;
