//! The queue and its dead letters, as operators see and change them.

use serde::{Deserialize, Serialize};

use super::{ItemView, QueueView};

/// `GET /api/v1/queue`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct QueueStatsView {
    /// `high` first.
    pub priorities: Vec<PriorityView>,
    pub queue: QueueView,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct PriorityView {
    pub priority: String,
    pub ready: u64,
    /// How many more items fit.
    pub room: u64,
    /// Ready, waiting and held items that fit in all.
    pub limit: u64,
}

/// `GET /api/v1/items`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct ItemList {
    /// Those that were enqueued last come first.
    pub items: Vec<ItemView>,
    /// The `after` of the next page, which may hold items even if this one holds none; absent at the end.
    pub next: Option<u64>,
}

/// `POST /api/v1/dead/requeue` and `POST /api/v1/dead/purge`: exactly one of `ids`, `agent` and `all`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DeadRequest {
    /// At most 1,000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// All of this agent's, by name or id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Of an agent's or all, only those whose last activation ended so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The `next` of the answer before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// The `as_of` of the answer before: what has died since is left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<i64>,
}

/// One request does a bounded part; while there is a `next`, the same request with it and `as_of` goes on. A request whose
/// answer was lost can be made again: what it did is done, and is not done twice.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct DeadAnswer {
    /// Put back into their queues, or deleted.
    pub done: u64,
    /// Not put back, because their priority is at its limit: they stay dead.
    pub no_room: u64,
    /// Asked for by id, but not dead, or not there.
    pub not_dead: u64,
    /// Where to go on.
    pub next: Option<u64>,
    /// When the whole was begun: milliseconds since 1970 on the store's clock.
    pub as_of: i64,
}
