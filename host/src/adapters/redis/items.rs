//! Items as they are kept: JSON of the shape that the lists of old show, written once; what changes comes beside it.

use std::time::Duration;

use redis::Value;
use serde::{Deserialize, Serialize};

use super::reply::Reply;
use crate::{
    domain::{
        ids::{AgentId, AgentName, HostName, ItemId},
        time::UnixMillis,
        work_item::{ItemRecord, ItemState, Priority, TaskType, WorkItem},
    },
    ports::store::StoreError,
};

/// An item's JSON. The id comes first: so the scripts know an entry of ours from one that another system has pushed.
#[derive(Serialize)]
struct Written<'a> {
    id: String,
    agent_id: &'a str,
    agent_name: &'a str,
    task_type: &'a str,
    priority: &'a str,
    inbox_count: u32,
    /// Seconds.
    created_at: f64,
    #[serde(skip_serializing_if = "is_zero")]
    min_interval_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_context: Option<&'a str>,
}

#[derive(Deserialize)]
struct Read {
    agent_id: String,
    agent_name: String,
    task_type: String,
    created_at: f64,
    #[serde(default)]
    min_interval_ms: u64,
    payload: Option<String>,
    trace_context: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn rank(priority: Priority) -> u8 {
    match priority {
        Priority::High => 0,
        Priority::Normal => 1,
        Priority::Low => 2,
    }
}

pub(super) fn to_json(item: &WorkItem) -> Result<String, StoreError> {
    let written = Written {
        id: item.id.to_string(),
        agent_id: item.agent_id.as_str(),
        agent_name: item.agent_name.as_str(),
        task_type: item.task_type.as_str(),
        priority: item.priority.as_str(),
        inbox_count: item.inbox_count,
        created_at: item.created_at.0 as f64 / 1000.0,
        min_interval_ms: millis(item.min_interval),
        // Only a direct item has one.
        payload: item.payload.as_deref().filter(|_| item.task_type == TaskType::Direct),
        trace_context: item.trace_context.as_deref(),
    };
    serde_json::to_string(&written)
        .map_err(|error| StoreError::Corrupt(format!("item {} is no JSON: {error}", item.id)))
}

/// What the scripts' record says of a new item: the start of its second line (see `lua/parts/items.lua`).
pub(super) fn described(item: &WorkItem) -> String {
    format!(
        "-{}\t{}\t{}\t{}\t{}\t{}\t{}",
        item.agent_id,
        item.agent_name,
        item.task_type.as_str(),
        rank(item.priority),
        millis(item.min_interval),
        item.inbox_count,
        item.attempt.max(1)
    )
}

/// How it stands among those that are ready (see `lua/parts/places.lua`), and its priority.
pub(super) fn flag(item: &WorkItem) -> String {
    let letter = match item.task_type {
        TaskType::Direct => 'D',
        // One by one, as each keeps an interval.
        TaskType::Inbox | TaskType::Discovery if !item.min_interval.is_zero() => 'X',
        TaskType::Inbox => 'I',
        TaskType::Discovery => 'V',
    };
    format!("{letter}{}", rank(item.priority))
}

/// What the scripts know of an item (see `lua/parts/items.lua`).
pub(super) struct Known<'a> {
    changing: Vec<&'a str>,
    standing: Vec<&'a str>,
    pub note: &'a str,
}

impl<'a> Known<'a> {
    pub fn of(text: &'a str) -> Result<Known<'a>, StoreError> {
        let mut lines = text.splitn(3, '\n');
        let mut fields = || -> Vec<&str> { lines.next().unwrap_or_default().split('\t').collect() };
        let (changing, standing) = (fields(), fields());
        match lines.next() {
            Some(note) if changing.len() == 13 && standing.len() == 10 => Ok(Known {
                changing,
                standing,
                note,
            }),
            _ => Err(StoreError::Corrupt(format!("{text:?} is no record of an item"))),
        }
    }

    fn number(text: &str) -> i64 {
        text.parse().unwrap_or(0)
    }

    fn small(text: &str) -> u32 {
        u32::try_from(Self::number(text).max(0)).unwrap_or(u32::MAX)
    }

    fn time(text: &str) -> Option<UnixMillis> {
        Some(UnixMillis(Self::number(text))).filter(|time| time.0 != 0)
    }

    pub fn token(&self) -> &'a str {
        self.changing[1]
    }

    pub fn probe(&self) -> bool {
        !self.changing[7].is_empty()
    }

    /// How long it was ready before it was claimed.
    pub fn waited(&self) -> Duration {
        let waited = Self::number(self.changing[3]) - Self::number(self.standing[8]);
        Duration::from_millis(u64::try_from(waited).unwrap_or(0))
    }

    pub fn beside(&self, id: ItemId) -> Beside {
        Beside {
            id,
            rank: Self::number(self.standing[3]),
            inbox_count: Self::small(self.standing[5]),
            attempt: Self::small(self.standing[6]),
        }
    }
}

/// What is kept beside an item's JSON.
pub(super) struct Beside {
    pub id: ItemId,
    pub rank: i64,
    pub inbox_count: u32,
    pub attempt: u32,
}

/// An item of its JSON and what has changed since, or what is wrong with it.
pub(super) fn from_json(json: &str, beside: &Beside) -> Result<WorkItem, String> {
    let read: Read = serde_json::from_str(json).map_err(|error| format!("its JSON is not an item: {error}"))?;
    Ok(WorkItem {
        id: beside.id,
        agent_id: AgentId::new(read.agent_id).map_err(|error| error.to_string())?,
        agent_name: AgentName::new(read.agent_name).map_err(|error| error.to_string())?,
        task_type: read.task_type.parse()?,
        priority: priority(beside.rank)?,
        inbox_count: beside.inbox_count,
        created_at: UnixMillis((read.created_at * 1000.0).round() as i64),
        attempt: beside.attempt.max(1),
        payload: read.payload,
        min_interval: Duration::from_millis(read.min_interval_ms),
        trace_context: read.trace_context,
    })
}

fn priority(rank: i64) -> Result<Priority, String> {
    let found = Priority::ALL
        .iter()
        .copied()
        .find(|p| i64::from(self::rank(*p)) == rank);
    found.ok_or_else(|| format!("{rank} is not a priority: 0, 1, 2 are"))
}

/// What an entry is shown as that is not an item: its text is kept, as the payload.
fn substitute(json: &str, beside: &Beside) -> Result<WorkItem, StoreError> {
    let corrupt = |error: crate::domain::ids::InvalidName| StoreError::Corrupt(error.to_string());
    Ok(WorkItem {
        id: beside.id,
        agent_id: AgentId::new("unreadable").map_err(corrupt)?,
        agent_name: AgentName::new("unreadable").map_err(corrupt)?,
        task_type: TaskType::Direct,
        priority: priority(beside.rank).unwrap_or(Priority::Low),
        inbox_count: beside.inbox_count,
        created_at: UnixMillis(0),
        attempt: beside.attempt.max(1),
        payload: Some(json.to_owned()),
        min_interval: Duration::ZERO,
        trace_context: None,
    })
}

pub(super) fn item_id(text: &str) -> Result<ItemId, StoreError> {
    ItemId::parse(text).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// The state behind a script's letter.
pub(super) fn state(letter: &str) -> Result<ItemState, StoreError> {
    Ok(match letter {
        "q" => ItemState::Queued,
        "w" => ItemState::Waiting,
        "d" => ItemState::Delayed,
        "h" => ItemState::Held,
        "a" => ItemState::Active,
        "e" => ItemState::Done,
        "x" => ItemState::Dead,
        other => return Err(StoreError::Corrupt(format!("{other:?} is no state of an item"))),
    })
}

pub(super) fn letter(state: ItemState) -> &'static str {
    match state {
        ItemState::Queued => "q",
        ItemState::Waiting => "w",
        ItemState::Delayed => "d",
        ItemState::Held => "h",
        ItemState::Active => "a",
        ItemState::Done => "e",
        ItemState::Dead => "x",
    }
}

/// A record, as the scripts' `item_reply` tells it.
pub(super) fn record(value: Value) -> Result<ItemRecord, StoreError> {
    let mut reply = Reply::new(value)?;
    let (id, json, text) = (item_id(&reply.text()?)?, reply.text()?, reply.text()?);
    let known = Known::of(&text)?;
    let beside = known.beside(id);
    let item = match from_json(&json, &beside) {
        Ok(item) => item,
        Err(_) => substitute(&json, &beside)?,
    };
    let [state_letter, host, generation, reason] = [0, 5, 6, 8].map(|n: usize| known.changing[n]);
    Ok(ItemRecord {
        item,
        state: state(state_letter)?,
        note: known.note.to_owned(),
        due_at: Known::time(known.changing[11]),
        host: HostName::new(host).ok(),
        // A reason that this version does not know was written by a newer one.
        reason: reason.parse().ok(),
        ended_at: Known::time(known.changing[9]),
        generation: Some(generation.to_owned()).filter(|generation| !generation.is_empty()),
    })
}
