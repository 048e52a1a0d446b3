//! What the JSON API says, for the server that writes it and the commands that read it.
//!
//! Times are RFC 3339 in UTC, on the store's clock; spans are seconds. Fields may be added; a reader ignores what it does
//! not know.

mod agents;
mod plugins;
mod queue;
mod verify;

use std::collections::BTreeMap;

pub use agents::{AgentChange, AgentList, AgentRow, AgentView, DefinitionView, LastRun, WorkspaceView, WorkspaceWiped};
pub use plugins::{
    DrainingPlugin, InvalidateAnswer, PluginList, PluginView, ReloadAnswer, ReloadRequest, ReloadSeconds,
    ReloadedPlugin, RereadAgent, RunningPlugin,
};
pub use queue::{DeadAnswer, DeadRequest, ItemList, PriorityView, QueueStatsView};
use serde::{Deserialize, Serialize};
pub use verify::{
    BreakerExercise, BreakerSight, DestroyedScope, JoinedScope, LeftScope, LoadAnswer, LoadRequest, ProbeItem, RunView,
    ScopeRequest, VerifyFacts,
};

/// `GET /api/v1/status`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct StatusView {
    pub version: String,
    pub host: String,
    pub roles: Vec<String>,
    pub uptime_seconds: u64,
    pub store: StoreView,
    /// Absent while nobody leads.
    pub leader: Option<LeaderView>,
    pub hosts: HostCountsView,
    /// Runners of the Python system that were sighted in this store. They don't go together with Warren.
    pub python_runners: Vec<String>,
    pub queue: QueueView,
    /// Agents whose breaker is not closed, soonest to run first; at most 100.
    pub breakers: Vec<BreakerView>,
    pub hub: HubView,
    pub plugins: PluginCounts,
    pub activations: ActivationsView,
    pub ready: ReadyView,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct StoreView {
    /// What and where it is.
    pub description: String,
    /// Different once the store has lost its data.
    pub incarnation: String,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct LeaderView {
    pub host: String,
    pub term: u64,
    /// Where its API is.
    pub address: String,
    pub since: String,
    /// Until the lease ends, unless it is renewed.
    pub lease_left_seconds: f64,
    /// Whether it is no Warren host, but for example a Python coordinator: `term` is 0 then, `address` and `since` are empty,
    /// and what only the leader can do can't be asked for.
    pub foreign: bool,
}

/// `GET /api/v1/leader`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct LeadershipView {
    /// Absent while nobody leads.
    pub leader: Option<LeaderView>,
    /// The host that was asked.
    pub host: HostStanding,
    /// Who waits for the lease, best first.
    pub candidates: Vec<CandidateView>,
    /// The newest change of leadership; absent if none is among the newest events.
    pub last_change: Option<TransitionView>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct HostStanding {
    pub name: String,
    /// `leading`, `following`, `unknown` (it has not reached the store) or `not_a_coordinator`.
    pub standing: String,
    /// How much it is wanted as the leader; absent if it can't lead.
    pub score: Option<i32>,
    /// Until it stops leading unless it renews the lease; 0 if it does not lead.
    pub lease_left_seconds: f64,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct CandidateView {
    pub host: String,
    pub score: i32,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct TransitionView {
    pub at: String,
    /// `became_leader`, `lost_leadership` or `released_leadership`.
    pub kind: String,
    pub host: Option<String>,
    pub detail: String,
}

/// `POST /api/v1/leader/handover`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HandoverRequest {
    /// The host that shall lead; without it the one that is wanted most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// The answer to a handover: another host leads.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct HandoverView {
    pub from: String,
    /// Who was asked for.
    pub to: Option<String>,
    /// Who leads now: not who was asked for, if that host did not take its chance.
    pub leader: LeaderView,
    /// From the order until the new leader was seen.
    pub took_seconds: f64,
}

/// Hosts that live, and those that did within the last hour.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct HostCountsView {
    pub live: u64,
    /// Of those that live.
    pub draining: u64,
    /// Said goodbye.
    pub left: u64,
    /// Fell silent.
    pub gone: u64,
}

/// `GET /api/v1/hosts`, sorted by name.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct HostList {
    pub hosts: Vec<HostView>,
}

/// A process that lives, or did within the last hour, by what it said last.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct HostView {
    pub name: String,
    /// Tells processes of one name apart.
    pub instance: String,
    /// `live`, `draining`, `left` (it said goodbye) or `gone` (it fell silent).
    pub state: String,
    pub leader: bool,
    /// Since its last word, on the store's clock.
    pub seconds_since_seen: f64,
    pub version: String,
    pub roles: Vec<String>,
    pub labels: BTreeMap<String, String>,
    /// Where its API is.
    pub address: String,
    pub in_flight: u32,
    /// Activations at once; 0 of a host that runs none.
    pub slots: u32,
    pub plugins: Vec<HostPluginView>,
    pub uptime_seconds: u64,
    /// Why what it said can't be read; then the fields above are empty.
    pub error: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct HostPluginView {
    pub name: String,
    pub generation: u32,
    /// SHA-256 of the component, hexadecimal.
    pub digest: String,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct QueueView {
    /// Ready items by priority.
    pub queued: BTreeMap<String, u64>,
    pub waiting: u64,
    pub delayed: u64,
    pub held: u64,
    pub active: u64,
    /// Done and dead items that are still kept.
    pub done: u64,
    pub dead: u64,
    pub agents_in_backoff: u64,
    pub oldest_queued_seconds: Option<f64>,
    /// How long that dead item has been dead that was enqueued first.
    pub oldest_dead_seconds: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct BreakerView {
    pub agent: String,
    pub agent_id: String,
    /// `closed`, `open`, `half_open`, `forced_open` or `disabled`.
    pub state: String,
    /// Counted failures in a row.
    pub failures: u32,
    /// When a probe may run, of an open or half-open breaker.
    pub until: Option<String>,
    pub remaining_seconds: Option<f64>,
    pub last_reason: Option<String>,
    pub last_detail: String,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct HubView {
    /// Whether the last request got an answer; absent before the first.
    pub reachable: Option<bool>,
    pub seconds_since_seen: Option<f64>,
    /// Why the last request got none.
    pub error: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct PluginCounts {
    pub ready: u64,
    /// The names of those that can't be run.
    pub failed: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct ActivationsView {
    pub in_progress: u64,
    pub slots: u32,
}

/// `GET /ready`: 200 if `ready`, else 503.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct ReadyView {
    pub ready: bool,
    pub checks: Vec<Check>,
}

/// One condition of being ready.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Check {
    /// `running`, `store`, `plugins` or `hub`.
    pub name: String,
    pub ok: bool,
    pub detail: String,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct PluginRef {
    pub name: String,
    pub version: String,
    pub generation: u32,
}

/// A work item: `GET /api/v1/items/{id}`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct ItemView {
    pub id: String,
    pub agent: String,
    pub agent_id: String,
    pub task_type: String,
    pub priority: String,
    pub state: String,
    /// Why it is where it is, or how it ended, in words.
    pub note: String,
    pub attempt: u32,
    pub inbox_count: u32,
    pub created_at: String,
    /// When a delayed item is due.
    pub due_at: Option<String>,
    /// Who runs it.
    pub host: Option<String>,
    /// The reason code of its last activation.
    pub reason: Option<String>,
    pub ended_at: Option<String>,
    /// The plugin's generation that ran it last, as `name@number`.
    pub generation: Option<String>,
    /// How long its payload is; absent where it has none.
    pub payload_bytes: Option<u64>,
    /// The payload itself: of one item, for whoever shows the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
}

impl ItemView {
    /// Whether nothing more will happen to it.
    pub fn has_ended(&self) -> bool {
        matches!(self.state.as_str(), "done" | "dead")
    }
}

/// `POST /api/v1/items`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SubmitRequest {
    /// The agent's name.
    pub agent: String,
    /// At most 1 MiB.
    pub payload: String,
    /// `high` (the default), `normal` or `low`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    /// What the Hub calls the agent; needed only before the Hub has named it to this cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// A UUID of the caller's: the same one again is answered the same, and makes no second item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// The answer to a submit: 201.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct SubmitResponse {
    pub id: String,
    pub state: String,
}

/// `GET /api/v1/events`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct EventList {
    pub events: Vec<EventView>,
    /// What came after `after` and is not kept any more.
    pub lost: Option<EventsLost>,
    /// The `after` of the next request.
    pub next: u64,
}

/// On the stream as an event of the type `lost`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct EventsLost {
    pub from: u64,
    pub to: u64,
    /// For people.
    pub message: String,
}

/// On the stream as the data of an unnamed event, whose `id` is `seq`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct EventView {
    pub seq: u64,
    pub at: String,
    pub kind: String,
    pub host: Option<String>,
    /// The agent's name, where the store knows it.
    pub agent: Option<String>,
    pub agent_id: Option<String>,
    pub item: Option<String>,
    pub detail: String,
}

/// Every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct ErrorBody {
    pub error: ErrorDetail,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct ErrorDetail {
    /// A fixed word for programs.
    pub code: String,
    /// For people: what is wrong, and what to do.
    pub message: String,
}
