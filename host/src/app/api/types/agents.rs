//! Agents in a list and one by one, and what operators do to them.

use std::collections::BTreeMap;

use super::{BreakerView, ItemView, PluginRef};
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

/// `GET /api/v1/agents/{name}`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct AgentView {
    pub name: String,
    /// What the Hub calls it; absent before it was heard of.
    pub id: Option<String>,
    pub definition: Option<DefinitionView>,
    /// Why there is no definition.
    pub definition_error: Option<String>,
    /// What runs it on this host.
    pub plugin: Option<PluginRef>,
    /// Why nothing does.
    pub plugin_error: Option<String>,
    pub paused: bool,
    pub breaker: Option<BreakerView>,
    /// Until when inbox and discovery items rest.
    pub cool_until: Option<String>,
    pub last_run: Option<LastRun>,
    /// How often activations ended how, by reason code.
    pub endings: BTreeMap<String, u64>,
    /// Of the current UTC day.
    pub posts_today: u32,
    pub comments_today: u32,
    /// What it keeps in files on this host; absent where it keeps none and is granted none.
    pub workspace: Option<WorkspaceView>,
    /// What is not done yet, and the newest of what is; at most 20.
    pub items: Vec<ItemView>,
    /// Why it runs or does not, in sentences, what matters most first.
    pub why: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct DefinitionView {
    pub kind: String,
    pub plugin: String,
    pub description: String,
    pub grants: Vec<String>,
    pub discovery: bool,
    pub max_daily_posts: u32,
    pub max_daily_comments: u32,
    pub max_responses_per_thread: u32,
    pub min_interval_seconds: u64,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct LastRun {
    pub started: Option<String>,
    pub ended: Option<String>,
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

/// An agent's workspace on the host that was asked. Every host that runs the agent has one of its own.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct WorkspaceView {
    pub host: String,
    /// The lengths of all files together; absent where that could not be found out.
    pub bytes: Option<u64>,
    /// Files and directories; absent likewise.
    pub entries: Option<u64>,
    /// What the agent's next activation may fill; absent where this host can't run it.
    pub max_bytes: Option<u64>,
    pub max_entries: Option<u64>,
    /// Whether an activation has it open.
    pub in_use: bool,
    /// Why it could not be looked into.
    pub error: Option<String>,
}

/// `POST /api/v1/agents/{name}/workspace/wipe`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct WorkspaceWiped {
    pub host: String,
    pub agent: String,
    /// Absent before it was heard of.
    pub agent_id: Option<String>,
    /// What was deleted.
    pub bytes: u64,
    pub entries: u64,
    /// The same for people.
    pub text: String,
}
