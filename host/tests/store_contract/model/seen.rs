//! What can be seen of a store from outside, all of it: read after every step, and compared with the reference.

use std::{collections::BTreeMap, fmt::Write};

use warren::{
    domain::{
        breaker::{BreakerMode, BreakerState},
        ending::Reason,
        ids::{AgentId, AgentName},
        time::UnixMillis,
        work_item::{ItemRecord, ItemState, Priority},
    },
    ports::{
        agent_records::{AgentItems, AgentRecord},
        store::{QueueStats, Store},
        work_queue::ItemFilter,
    },
};

use super::reference::{Agent, Luck, Reference};

#[derive(Debug, PartialEq)]
pub struct Seen {
    /// Newest first.
    pub items: Vec<ItemRecord>,
    pub agents: BTreeMap<AgentId, SeenAgent>,
    stats: QueueStats,
    room: Vec<(Priority, u64)>,
    /// Soonest first.
    in_backoff: Vec<AgentId>,
}

/// An agent's record, but for how the breaker keeps what it knows.
#[derive(Debug, PartialEq)]
pub struct SeenAgent {
    name: Option<AgentName>,
    paused: bool,
    pub breaker: BreakerState,
    half_open_from: Option<UnixMillis>,
    pub failures: u32,
    doublings: u32,
    lost_in_a_row: u32,
    cool_until: Option<UnixMillis>,
    cool_downs: u32,
    last_started: Option<UnixMillis>,
    last_ended: Option<UnixMillis>,
    last_reason: Option<Reason>,
    last_detail: String,
    endings: BTreeMap<Reason, u64>,
    items: AgentItems,
}

impl From<AgentRecord> for SeenAgent {
    fn from(record: AgentRecord) -> SeenAgent {
        let breaker = record.breaker;
        SeenAgent {
            name: Some(record.name),
            paused: record.paused,
            breaker: breaker.state(record.now),
            half_open_from: breaker.open_until,
            failures: breaker.failures,
            doublings: breaker.exponent,
            lost_in_a_row: breaker.lease_losses,
            cool_until: record.cool_until,
            cool_downs: record.cool_downs,
            last_started: record.last_started,
            last_ended: record.last_ended,
            last_reason: record.last_reason,
            last_detail: record.last_detail,
            endings: record.endings,
            items: record.items,
        }
    }
}

impl SeenAgent {
    fn expected(agent: &Agent, items: AgentItems, now: UnixMillis) -> SeenAgent {
        SeenAgent {
            name: agent.name.clone(),
            paused: agent.paused,
            breaker: agent.breaker.state(now),
            half_open_from: agent.breaker.half_open_from(),
            failures: agent.breaker.failures,
            doublings: agent.breaker.doublings,
            lost_in_a_row: agent.breaker.lost_in_a_row,
            cool_until: agent.cool_until,
            cool_downs: agent.cool_downs,
            last_started: agent.last_started,
            last_ended: agent.last_ended,
            last_reason: agent.last_reason,
            last_detail: agent.last_detail.clone(),
            endings: agent.endings.clone(),
            items,
        }
    }

    /// Until when it is out of work, as `work:backoff` of old says it: nothing while the breaker is closed.
    pub fn shut(&self) -> Option<Option<UnixMillis>> {
        match self.breaker {
            BreakerState::Closed | BreakerState::Disabled => None,
            BreakerState::Open { until } | BreakerState::HalfOpen { from: until } => Some(Some(until)),
            BreakerState::ForcedOpen => Some(None),
        }
    }
}

impl Seen {
    pub async fn read(store: &Store) -> Seen {
        let all = ItemFilter {
            limit: 10_000,
            ..ItemFilter::default()
        };
        let (items, agents, stats, room, in_backoff) = tokio::join!(
            store.queue.items(&all),
            store.agents.agents(None, 1000),
            store.queue.stats(),
            store.queue.room(),
            store.agents.in_backoff(1000),
        );
        Seen {
            items: items.unwrap(),
            agents: agents.unwrap().into_iter().map(|a| (a.id.clone(), a.into())).collect(),
            stats: stats.unwrap(),
            room: room.unwrap(),
            in_backoff: in_backoff.unwrap().into_iter().map(|agent| agent.id).collect(),
        }
    }

    pub fn expected(reference: &Reference) -> Seen {
        let now = reference.now;
        let agents = &reference.agents;
        let count = |state| reference.items.iter().filter(|item| item.record.state == state).count() as u64;
        let queued = || {
            reference
                .items
                .iter()
                .filter(|item| item.record.state == ItemState::Queued)
        };
        let dead = reference.items.iter().find(|item| item.record.state == ItemState::Dead);
        let of = |priority: &Priority| {
            let count = queued().filter(|item| item.record.item.priority == *priority).count();
            (*priority, count as u64)
        };
        let room = |priority: &Priority| {
            let used = reference.depth(*priority);
            (*priority, reference.policy.max_queue.saturating_sub(used))
        };
        // Forced-open ones have no time from which they may run: they come last.
        let mut in_backoff: Vec<_> = agents
            .iter()
            .filter_map(|(id, agent)| Some((due(agent)?, id.clone())))
            .collect();
        in_backoff.sort();
        Seen {
            items: reference.items.iter().rev().map(|item| item.record.clone()).collect(),
            agents: agents
                .iter()
                .map(|(id, a)| (id.clone(), SeenAgent::expected(a, reference.items_of(id), now)))
                .collect(),
            stats: QueueStats {
                queued: Priority::ALL.iter().map(of).collect(),
                waiting: count(ItemState::Waiting),
                delayed: count(ItemState::Delayed),
                held: count(ItemState::Held),
                active: count(ItemState::Active),
                done: count(ItemState::Done),
                dead: count(ItemState::Dead),
                agents_in_backoff: in_backoff.len() as u64,
                oldest_dead: dead.and_then(|item| Some(now.since(item.record.ended_at?))),
                limit: reference.policy.max_queue,
                oldest_queued: queued().map(|item| now.since(item.ready_at)).max(),
            },
            room: Priority::ALL.iter().map(room).collect(),
            in_backoff: in_backoff.into_iter().map(|(_, id)| id).collect(),
        }
    }

    /// What chance has decided up to here.
    pub fn luck(&self) -> Luck {
        let half_open_from = |(id, agent): (&AgentId, &SeenAgent)| Some((id.clone(), agent.half_open_from?));
        Luck {
            half_open_from: self.agents.iter().filter_map(half_open_from).collect(),
            due_at: self
                .items
                .iter()
                .filter_map(|item| Some((item.item.id, item.due_at?)))
                .collect(),
        }
    }
}

fn due(agent: &Agent) -> Option<UnixMillis> {
    match agent.breaker.mode {
        BreakerMode::ForcedOpen => Some(UnixMillis(i64::MAX)),
        BreakerMode::Automatic => agent.breaker.half_open_from(),
        BreakerMode::Disabled => None,
    }
}

/// The lines in which two values differ, each with the value that it belongs to.
pub fn difference(expected: &impl std::fmt::Debug, found: &impl std::fmt::Debug) -> String {
    let (expected, found) = (format!("{expected:#?}"), format!("{found:#?}"));
    let (expected, found): (Vec<_>, Vec<_>) = (expected.lines().collect(), found.lines().collect());
    let same = expected.iter().zip(&found).take_while(|(a, b)| a == b).count();
    let end = |lines: &[&str]| {
        lines.len()
            - expected
                .iter()
                .rev()
                .zip(found.iter().rev())
                .take_while(|(a, b)| a == b)
                .count()
                .min(lines.len() - same)
    };
    let mut text = String::new();
    // The values that the first differing line is a part of: of lines before it, the last of each smaller indentation.
    let mut depth = expected.get(same).map_or(0, |line| indentation(line));
    let mut around: Vec<&str> = Vec::new();
    for line in expected[..same]
        .iter()
        .rev()
        .filter(|line| !line.trim_end().ends_with("},"))
    {
        if indentation(line) < depth {
            depth = indentation(line);
            around.push(line);
        }
    }
    for line in around.iter().rev() {
        let _ = writeln!(text, "  {line}");
    }
    for (sign, lines) in [("- ", &expected), ("+ ", &found)] {
        for line in &lines[same..end(lines)] {
            let _ = writeln!(text, "{sign}{line}");
        }
    }
    text
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}
