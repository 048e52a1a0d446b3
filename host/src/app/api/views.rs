//! From what ports say to what the API says.

use super::types::{BreakerView, DefinitionView, EventView, ItemView, LastRun, LeaderView, QueueView};
use crate::{
    domain::{agent::AgentDefinition, breaker::BreakerState, event::Event, time::UnixMillis, work_item::ItemRecord},
    ports::{
        agent_records::{AgentRecord, BreakerRecord},
        leadership::Leader,
        store::QueueStats,
    },
};

/// RFC 3339, to the second: nobody reads more, and stores differ below it.
pub fn time(at: UnixMillis) -> String {
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(time) => format!("{time:.0}"),
        Err(_) => format!("{} ms after 1970", at.0),
    }
}

pub fn item(record: &ItemRecord) -> ItemView {
    let item = &record.item;
    ItemView {
        id: item.id.to_string(),
        agent: item.agent_name.to_string(),
        agent_id: item.agent_id.to_string(),
        task_type: item.task_type.to_string(),
        priority: item.priority.to_string(),
        state: record.state.to_string(),
        note: record.note.clone(),
        attempt: item.attempt,
        inbox_count: item.inbox_count,
        created_at: time(item.created_at),
        due_at: record.due_at.map(time),
        host: record.host.as_ref().map(ToString::to_string),
        reason: record.reason.map(|reason| reason.to_string()),
        ended_at: record.ended_at.map(time),
        generation: record.generation.clone(),
        payload_bytes: item.payload.as_ref().map(|payload| payload.len() as u64),
        payload: None,
    }
}

pub fn queue(stats: &QueueStats) -> QueueView {
    QueueView {
        queued: stats
            .queued
            .iter()
            .map(|(priority, count)| (priority.to_string(), *count))
            .collect(),
        waiting: stats.waiting,
        delayed: stats.delayed,
        held: stats.held,
        active: stats.active,
        done: stats.done,
        dead: stats.dead,
        agents_in_backoff: stats.agents_in_backoff,
        oldest_queued_seconds: stats.oldest_queued.map(|span| span.as_secs_f64()),
        oldest_dead_seconds: stats.oldest_dead.map(|span| span.as_secs_f64()),
    }
}

pub fn leader(leader: &Leader) -> LeaderView {
    LeaderView {
        host: leader.host.to_string(),
        term: leader.term.0,
        address: leader.address.clone(),
        since: if leader.is_foreign() {
            String::new()
        } else {
            time(leader.since)
        },
        lease_left_seconds: leader.remaining.as_secs_f64(),
        foreign: leader.is_foreign(),
    }
}

pub fn breaker(agent: &BreakerRecord) -> BreakerView {
    let state = agent.breaker.state(agent.now);
    let until = match state {
        BreakerState::Open { until } | BreakerState::HalfOpen { from: until } => Some(until),
        BreakerState::Closed | BreakerState::ForcedOpen | BreakerState::Disabled => None,
    };
    BreakerView {
        agent: agent.name.to_string(),
        agent_id: agent.id.to_string(),
        state: state.to_string(),
        failures: agent.breaker.failures,
        until: until.map(time),
        remaining_seconds: until.map(|until| until.since(agent.now).as_secs_f64()),
        last_reason: agent.last_reason.map(|reason| reason.to_string()),
        last_detail: agent.last_detail.clone(),
    }
}

pub fn last_run(agent: &AgentRecord) -> Option<LastRun> {
    (agent.last_started.is_some() || agent.last_ended.is_some()).then(|| LastRun {
        started: agent.last_started.map(time),
        ended: agent.last_ended.map(time),
        reason: agent.last_reason.map(|reason| reason.to_string()),
        detail: agent.last_detail.clone(),
    })
}

pub fn definition(definition: &AgentDefinition) -> DefinitionView {
    DefinitionView {
        kind: definition.kind.clone(),
        plugin: definition.plugin.to_string(),
        description: definition.description.clone(),
        grants: definition.grants.iter().map(|grant| grant.to_string()).collect(),
        discovery: definition.discovery,
        max_daily_posts: definition.behavior.max_daily_posts,
        max_daily_comments: definition.behavior.max_daily_comments,
        max_responses_per_thread: definition.behavior.max_responses_per_thread,
        min_interval_seconds: definition.behavior.min_interval.as_secs(),
    }
}

/// An event; `agent` is its agent's name.
pub fn event(event: &Event, agent: Option<String>) -> EventView {
    EventView {
        seq: event.seq,
        at: time(event.at),
        kind: event.kind.clone(),
        host: event.host.as_ref().map(ToString::to_string),
        agent,
        agent_id: event.agent.as_ref().map(ToString::to_string),
        item: event.item.map(|item| item.to_string()),
        detail: event.detail.clone(),
    }
}
