//! What is worth telling an operator: one line each on the event stream.

use super::{
    ids::{AgentId, HostName, ItemId},
    time::UnixMillis,
};

/// An event before the store has given it a place and a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// A fixed code such as `became_leader` or `breaker_opened`.
    pub kind: &'static str,
    pub host: Option<HostName>,
    pub agent: Option<AgentId>,
    pub item: Option<ItemId>,
    /// For people.
    pub detail: String,
}

/// An event as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Grows by at least one with every event.
    pub seq: u64,
    pub at: UnixMillis,
    pub kind: String,
    pub host: Option<HostName>,
    pub agent: Option<AgentId>,
    pub item: Option<ItemId>,
    pub detail: String,
}
