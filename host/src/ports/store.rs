//! The shared state as a whole: what every part of it can answer, and what it decides by.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use thiserror::Error;

use super::{
    agent_records::AgentRecords, agent_state::AgentState, effects::Effects, events::Events, hosts::Hosts,
    leadership::Leadership, plugin_store::PluginStore, work_queue::WorkQueue,
};
use crate::domain::{backoff::Backoff, breaker::BreakerPolicy, ids::Term, time::UnixMillis, work_item::Priority};

/// Why the store did not do what it was asked. Whatever it says, nothing was half done.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum StoreError {
    /// It can't be reached or can't write now (a cut connection, a full disk). The call may or may not have been
    /// applied: making it again is safe.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The lease is not this holder's, or the term is not current: step down (I1).
    #[error("refused: the lease is not held in term {term}")]
    Fenced { term: Term },
    /// The claim is not held with this token: its activation must have no effect any more (I12).
    #[error("refused: the claim has ended or belongs to somebody else")]
    StaleClaim,
    /// What the store holds can't be what Warren wrote.
    #[error("the store holds something unexpected: {0}")]
    Corrupt(String),
}

impl StoreError {
    /// A call that its caller has given up waiting for.
    pub fn no_answer(within: Duration) -> StoreError {
        StoreError::Unavailable(format!("no answer in {within:?}"))
    }
}

/// What the store decides by, the same for every host of a cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct StorePolicy {
    /// Queued + waiting + held items per priority.
    pub max_queue: u64,
    /// One in so many claims goes to the oldest lower-priority item; 0 means strict priority.
    pub fairness: u32,
    pub breaker: BreakerPolicy,
    /// Between the tries of a direct item.
    pub retry: Backoff,
    /// Tries of a direct item before it is dead.
    pub max_attempts: u32,
    /// The first and the longest cool-down; each doubles the one before.
    pub cool_down: Backoff,
    /// How long done items, and with them the answers to repeated calls, are kept.
    pub keep_done: Duration,
    /// How long effects are remembered: as long as a notification may come back unread.
    pub keep_effects: Duration,
    /// How many events are kept.
    pub keep_events: u64,
}

impl Default for StorePolicy {
    fn default() -> StorePolicy {
        StorePolicy {
            max_queue: 10_000,
            fairness: 10,
            breaker: BreakerPolicy::default(),
            retry: Backoff {
                base: Duration::from_secs(5),
                max: Duration::from_secs(600),
            },
            max_attempts: 5,
            cool_down: Backoff {
                base: Duration::from_secs(5),
                max: Duration::from_secs(300),
            },
            keep_done: Duration::from_secs(3600),
            keep_effects: Duration::from_secs(30 * 86_400),
            keep_events: 10_000,
        }
    }
}

/// How the store is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreHealth {
    /// Different after the store lost its data: whoever led before does not lead this one (I7).
    pub incarnation: String,
    /// For people: what and where it is, without secrets.
    pub description: String,
    pub now: UnixMillis,
}

/// How many items are in which state; `Done` and `Dead` count what is still kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Ready items per priority.
    pub queued: BTreeMap<Priority, u64>,
    pub waiting: u64,
    pub delayed: u64,
    pub held: u64,
    pub active: u64,
    pub done: u64,
    pub dead: u64,
    /// Agents whose breaker is open, half-open or forced open *now*.
    pub agents_in_backoff: u64,
    /// How long the oldest ready item has been ready.
    pub oldest_queued: Option<Duration>,
    /// How long that dead item has been dead that was enqueued first.
    pub oldest_dead: Option<Duration>,
    /// Queued, waiting and held items that a priority may have: `StorePolicy::max_queue`.
    pub limit: u64,
}

/// The parts of one store. A service takes the parts that it uses; nothing is global, so a process may serve several.
#[derive(Clone)]
pub struct Store {
    pub queue: Arc<dyn WorkQueue>,
    pub leadership: Arc<dyn Leadership>,
    pub effects: Arc<dyn Effects>,
    pub agent_state: Arc<dyn AgentState>,
    pub agents: Arc<dyn AgentRecords>,
    pub plugins: Arc<dyn PluginStore>,
    pub events: Arc<dyn Events>,
    pub hosts: Arc<dyn Hosts>,
}
