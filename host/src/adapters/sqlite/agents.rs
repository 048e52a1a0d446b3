//! Agents as the queue sees them: read with the item, changed in the same step as its claim or end.

use rusqlite::{Row, params};

use super::{
    events,
    rows::{small, unavailable},
    worker::Step,
};
use crate::{
    domain::{
        breaker::{Breaker, BreakerMode, BreakerState, Transition},
        ending::Reason,
        event::NewEvent,
        ids::{AgentId, AgentName},
        time::UnixMillis,
        work_item::WorkItem,
    },
    ports::store::StoreError,
};

pub(super) struct Agent {
    pub id: AgentId,
    pub name: AgentName,
    pub paused: bool,
    pub breaker: Breaker,
    pub cool_until: Option<UnixMillis>,
    pub cool_downs: u32,
    pub last_started: Option<UnixMillis>,
    pub last_ended: Option<UnixMillis>,
    pub last_reason: Option<Reason>,
    pub last_detail: String,
}

/// Where an item belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Queued,
    Waiting,
    Delayed {
        until: UnixMillis,
        by_breaker: bool,
        note: String,
    },
    Held {
        note: String,
    },
}

/// What an event says that an operator's command is behind.
const BY_OPERATOR: &str = "by an operator";

const AGENT: &str = "id, name, paused, mode, failures, exponent, healthy_since, open_until, probed, lease_losses, \
     cool_until, cool_downs, last_started, last_ended, last_reason, last_detail";

/// Read the columns [`AGENT`].
fn agent_row(row: &Row<'_>) -> rusqlite::Result<Result<Agent, StoreError>> {
    let corrupt = |what: String| StoreError::Corrupt(format!("agents: {what}"));
    let time = |column: &str| -> rusqlite::Result<Option<UnixMillis>> {
        Ok(row.get::<_, Option<i64>>(column)?.map(UnixMillis))
    };
    let (id, name) = (row.get::<_, String>("id")?, row.get::<_, String>("name")?);
    let (id, name) = match (AgentId::new(id), AgentName::new(name)) {
        (Ok(id), Ok(name)) => (id, name),
        (Err(error), _) | (_, Err(error)) => return Ok(Err(corrupt(error.to_string()))),
    };
    let mode = match row.get_ref("mode")?.as_str()? {
        "automatic" => BreakerMode::Automatic,
        "forced_open" => BreakerMode::ForcedOpen,
        "disabled" => BreakerMode::Disabled,
        other => return Ok(Err(corrupt(format!("agent {id}: {other:?} is not a breaker mode")))),
    };
    let last_reason = match row.get::<_, Option<String>>("last_reason")?.map(|text| text.parse()) {
        Some(Err(error)) => return Ok(Err(corrupt(format!("agent {id}: {error}")))),
        Some(Ok(reason)) => Some(reason),
        None => None,
    };
    Ok(Ok(Agent {
        id,
        name,
        paused: row.get("paused")?,
        breaker: Breaker {
            mode,
            failures: small(row.get("failures")?),
            exponent: small(row.get("exponent")?),
            healthy_since: time("healthy_since")?,
            open_until: time("open_until")?,
            probed: row.get("probed")?,
            lease_losses: small(row.get("lease_losses")?),
        },
        cool_until: time("cool_until")?,
        cool_downs: small(row.get("cool_downs")?),
        last_started: time("last_started")?,
        last_ended: time("last_ended")?,
        last_reason,
        last_detail: row.get("last_detail")?,
    }))
}

/// Agents that a condition selects, in the order it gives.
pub(super) fn select(
    db: &rusqlite::Connection,
    condition: &str,
    params: impl rusqlite::Params,
) -> Result<Vec<Agent>, StoreError> {
    let mut statement = db
        .prepare_cached(&format!("SELECT {AGENT} FROM agents WHERE {condition}"))
        .map_err(unavailable)?;
    let rows = statement.query_map(params, agent_row).map_err(unavailable)?;
    rows.map(|row| row.map_err(unavailable)?).collect()
}

impl Agent {
    pub fn load(step: &Step<'_>, id: &AgentId) -> Result<Option<Agent>, StoreError> {
        Ok(select(step.db, "id = ?1", [id.as_str()])?.pop())
    }

    /// The agent of an item, made known to the store if it is not.
    pub fn of(step: &Step<'_>, item: &WorkItem) -> Result<Agent, StoreError> {
        if let Some(agent) = Agent::load(step, &item.agent_id)? {
            return Ok(agent);
        }
        let paused = step.run("DELETE FROM paused_ahead WHERE name = ?1", [item.agent_name.as_str()])? > 0;
        step.run(
            "INSERT INTO agents (id, name, paused) VALUES (?1, ?2, ?3)",
            params![item.agent_id.as_str(), item.agent_name.as_str(), paused],
        )?;
        Ok(Agent {
            id: item.agent_id.clone(),
            name: item.agent_name.clone(),
            paused,
            breaker: Breaker::default(),
            cool_until: None,
            cool_downs: 0,
            last_started: None,
            last_ended: None,
            last_reason: None,
            last_detail: String::new(),
        })
    }

    /// Have the name that a new item gives it: the last one that came is how it is called now.
    pub fn rename(&mut self, step: &Step<'_>, name: &AgentName) -> Result<(), StoreError> {
        if self.name != *name {
            step.run(
                "UPDATE agents SET name = ?2 WHERE id = ?1",
                params![self.id.as_str(), name.as_str()],
            )?;
            self.name = name.clone();
        }
        Ok(())
    }

    pub fn save(&self, step: &Step<'_>) -> Result<(), StoreError> {
        let b = &self.breaker;
        let time = |time: Option<UnixMillis>| time.map(|t| t.0);
        step.run("UPDATE agents SET paused = ?2, mode = ?3, failures = ?4, exponent = ?5, healthy_since = ?6, open_until = ?7, \
             probed = ?8, lease_losses = ?9, cool_until = ?10, cool_downs = ?11, last_started = ?12, last_ended = ?13, \
             last_reason = ?14, last_detail = ?15 WHERE id = ?1",
            params![
                self.id.as_str(),
                self.paused,
                b.mode.as_str(),
                b.failures,
                b.exponent,
                time(b.healthy_since),
                time(b.open_until),
                b.probed,
                b.lease_losses,
                time(self.cool_until),
                self.cool_downs,
                time(self.last_started),
                time(self.last_ended),
                self.last_reason.map(Reason::as_str),
                self.last_detail,
            ],
        )?;
        Ok(())
    }

    /// Note how an activation ended and count it.
    pub fn ended(&mut self, step: &Step<'_>, reason: Reason, detail: &str) -> Result<(), StoreError> {
        self.last_ended = Some(step.now);
        self.last_reason = Some(reason);
        self.last_detail = detail.to_owned();
        step.run(
            "INSERT INTO endings (agent_id, reason, n) VALUES (?1, ?2, 1) \
             ON CONFLICT (agent_id, reason) DO UPDATE SET n = n + 1",
            params![self.id.as_str(), reason.as_str()],
        )?;
        Ok(())
    }

    /// Record what the breaker did on the event stream.
    pub fn tell(&self, step: &mut Step<'_>, transition: Option<Transition>) -> Result<(), StoreError> {
        let Some(transition) = transition else { return Ok(()) };
        let detail = match transition {
            Transition::Opened { until, reason } => {
                format!("after {reason}, for {} s", until.since(step.now).as_secs())
            }
            Transition::Closed => String::new(),
            Transition::Reset | Transition::ForcedOpen | Transition::Disabled => BY_OPERATOR.to_owned(),
        };
        events::append(
            step,
            &NewEvent {
                kind: transition.as_str(),
                host: None,
                agent: Some(self.id.clone()),
                item: None,
                detail,
            },
        )
    }

    /// Record that an operator has paused or resumed it.
    pub fn tell_paused(&self, step: &mut Step<'_>) -> Result<(), StoreError> {
        let event = NewEvent {
            kind: if self.paused { "agent_paused" } else { "agent_resumed" },
            host: None,
            agent: Some(self.id.clone()),
            item: None,
            detail: BY_OPERATOR.to_owned(),
        };
        events::append(step, &event)
    }

    /// Why an item that the Hub brings back by itself is not taken now.
    pub fn skips(&self, now: UnixMillis) -> Option<String> {
        if self.paused {
            return Some("the agent is paused".to_owned());
        }
        match self.breaker.state(now) {
            BreakerState::ForcedOpen => Some("the breaker is forced open".to_owned()),
            BreakerState::Open { until } | BreakerState::HalfOpen { from: until } if until > now => {
                Some(format!("the breaker is open for another {} s", seconds_up(now, until)))
            }
            _ => None,
        }
    }

    /// Where an item of this agent belongs now. `resumed` items were started before: the interval does not hold them up.
    pub fn place(&self, item: &WorkItem, now: UnixMillis, busy: bool, resumed: bool) -> Place {
        if self.paused {
            return Place::Held {
                note: "the agent is paused".to_owned(),
            };
        }
        let delayed = |until, by_breaker, note: &str| Place::Delayed {
            until,
            by_breaker,
            note: note.to_owned(),
        };
        match self.breaker.state(now) {
            BreakerState::ForcedOpen => {
                return Place::Held {
                    note: "the breaker is forced open".to_owned(),
                };
            }
            BreakerState::Open { until } => return delayed(until, true, "the breaker is open"),
            BreakerState::HalfOpen { from } if from > now => {
                return delayed(from, true, "the breaker is half-open and the next probe is not due");
            }
            _ => {}
        }
        if busy {
            return Place::Waiting;
        }
        if item.task_type.hub_remembers() {
            if let Some(until) = self.cool_until.filter(|until| *until > now) {
                return delayed(until, false, "the agent cools down");
            }
            let next = self.last_started.map(|started| started + item.min_interval);
            if let Some(until) = next.filter(|until| *until > now && !resumed) {
                return delayed(until, false, "the agent's interval between activations");
            }
        }
        Place::Queued
    }
}

fn seconds_up(now: UnixMillis, until: UnixMillis) -> u64 {
    u64::try_from(until.since(now).as_millis().div_ceil(1000)).unwrap_or(u64::MAX)
}

pub(super) const BUSY: &str = "SELECT 1 FROM items WHERE state = 'active' AND agent_id = ?1";

/// Whether an item of the agent is active.
pub(super) fn busy(step: &Step<'_>, id: &AgentId) -> Result<bool, StoreError> {
    let active = step.first(BUSY, [id.as_str()], |_| Ok(()))?;
    Ok(active.is_some())
}
