//! Agents in a list, and what operators do to them.

use serde::{Deserialize, Serialize};

/// `GET /api/v1/agents`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct AgentList {
    /// Those that the cluster knows, in the order of their ids; then those that only have a definition, by name.
    pub agents: Vec<AgentRow>,
    /// The `after` of the next page, which may hold agents even if this one holds none; absent at the end.
    pub next: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct AgentRow {
    pub name: String,
    /// What the Hub calls it; absent before it was heard of.
    pub id: Option<String>,
    /// What matters most, in one word: `undefined` (no usable definition), `no_plugin`, `paused`, `forced_open`, `open`,
    /// `half_open`, `running`, `ready`, `cooling`, `idle`, or `unmet` (nothing was ever enqueued for it).
    pub state: String,
    pub plugin: Option<String>,
    /// Why it has no usable definition, or why this host can't run its plugin.
    pub error: Option<String>,
    pub paused: bool,
    /// `closed`, `open`, `half_open`, `forced_open` or `disabled`; absent before it was heard of.
    pub breaker: Option<String>,
    pub running: bool,
    pub ready: u64,
    pub waiting: u64,
    pub held: u64,
    pub last_started: Option<String>,
    pub last_ended: Option<String>,
    /// How its last activation ended.
    pub reason: Option<String>,
    pub detail: String,
}

/// `POST /api/v1/agents/{name}/pause`, `…/resume` and `…/breaker/{command}`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct AgentChange {
    pub agent: String,
    /// Absent before it was heard of.
    pub agent_id: Option<String>,
    /// `paused` and `running`, or the breaker's states.
    pub before: String,
    pub after: String,
    /// The same for people, with what follows from it.
    pub text: String,
}
