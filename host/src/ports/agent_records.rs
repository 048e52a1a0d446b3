//! What the store knows of each agent, and what operators set: the answer to "why did it not run?".

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::store::StoreError;
use crate::domain::{
    breaker::{Breaker, Transition},
    ending::Reason,
    ids::{AgentId, AgentName},
    time::UnixMillis,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentRecord {
    pub id: AgentId,
    pub name: AgentName,
    pub paused: bool,
    pub breaker: Breaker,
    /// Until when inbox and discovery items wait, and how many cool-downs in a row that makes.
    pub cool_until: Option<UnixMillis>,
    pub cool_downs: u32,
    pub last_started: Option<UnixMillis>,
    pub last_ended: Option<UnixMillis>,
    pub last_reason: Option<Reason>,
    pub last_detail: String,
    /// How often activations ended how, since the store was made.
    pub endings: BTreeMap<Reason, u64>,
    /// Posts and comments of the current UTC day.
    pub posts_today: u32,
    pub comments_today: u32,
    pub items: AgentItems,
    /// The store's time when this was read: what the times above are compared with.
    pub now: UnixMillis,
}

/// How many of an agent's items are where. Those that are delayed for another reason than the breaker are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgentItems {
    pub active: bool,
    pub queued: u64,
    pub waiting: u64,
    pub held: u64,
    /// Delayed by the breaker.
    pub behind_breaker: u64,
}

/// What the store knows of an agent's breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerRecord {
    pub id: AgentId,
    pub name: AgentName,
    pub breaker: Breaker,
    pub last_reason: Option<Reason>,
    pub last_detail: String,
    /// The store's time when this was read.
    pub now: UnixMillis,
}

impl From<&AgentRecord> for BreakerRecord {
    fn from(agent: &AgentRecord) -> BreakerRecord {
        BreakerRecord {
            id: agent.id.clone(),
            name: agent.name.clone(),
            breaker: agent.breaker,
            last_reason: agent.last_reason,
            last_detail: agent.last_detail.clone(),
            now: agent.now,
        }
    }
}

/// What an operator does to an agent's breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerCommand {
    Reset,
    ForceOpen,
    Disable,
}

#[async_trait]
pub trait AgentRecords: Send + Sync {
    /// By id or by name, whichever matches; the id first.
    async fn agent(&self, id_or_name: &str) -> Result<Option<AgentRecord>, StoreError>;

    /// At most `limit` after `after` (an id), in byte order of ids.
    async fn agents(&self, after: Option<&AgentId>, limit: u32) -> Result<Vec<AgentRecord>, StoreError>;

    /// Pause or resume: paused agents' items are held, resumed ones' are ready again. A change is an event. False if there
    /// is no such agent.
    async fn set_paused(&self, agent: &AgentId, paused: bool) -> Result<bool, StoreError>;

    /// Pause an agent that the store has not met, or take that back: it is paused from its first item on. False if an
    /// agent of this name is known, and nothing was changed.
    async fn set_paused_ahead(&self, agent: &AgentName, paused: bool) -> Result<bool, StoreError>;

    /// Whether an agent that the store has not met will be paused.
    async fn paused_ahead(&self, agent: &AgentName) -> Result<bool, StoreError>;

    /// The transition, with its event recorded and held or delayed items made ready where it allows that; nothing if
    /// there is no such agent.
    async fn command_breaker(&self, agent: &AgentId, command: BreakerCommand)
    -> Result<Option<Transition>, StoreError>;

    /// Agents whose breaker is not closed, with the time from which they may run, soonest first.
    async fn in_backoff(&self, limit: u32) -> Result<Vec<BreakerRecord>, StoreError>;
}
