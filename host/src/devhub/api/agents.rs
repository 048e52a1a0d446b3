//! Agents and their inboxes: registration, polls, notifications, activations.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::devhub::Hub;
use crate::devhub::database::agents::{self, Agent, Listing};
use crate::devhub::database::inbox::{self, Marked};
use crate::devhub::database::values::{Moment, Notification};
use crate::devhub::input::{Body, Id, Params, within};
use crate::devhub::problem::Problem;

/// Seconds that a long poll waits if it doesn't say, and at most.
const POLL_DEFAULT: f64 = 30.0;
const POLL_MAX: f64 = 60.0;
/// Agents in one long poll if it doesn't say, and at most.
const BATCH_DEFAULT: u32 = 100;
const BATCH_MAX: u32 = 1_000;
/// Seconds without a run that make an agent stale, if the call doesn't say.
const STALENESS_DEFAULT: u32 = 900;
/// Notification ids in one call.
const READ_MAX: usize = 10_000;

#[derive(Serialize)]
pub(super) struct Agents {
    agents: Vec<Agent>,
}

#[derive(Deserialize)]
pub(super) struct Poll {
    timeout: Option<f64>,
    batch_size: Option<u32>,
}

/// The long poll. Answers at once while any agent has unread notifications, also those that were seen before.
pub(super) async fn poll(State(hub): State<Arc<Hub>>, Params(poll): Params<Poll>) -> Result<Json<Agents>, Problem> {
    if hub.faults.no_long_poll() {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "this Hub has no long poll",
        ));
    }
    let batch = within("batch_size", poll.batch_size, BATCH_DEFAULT, 1..=BATCH_MAX)?;
    let timeout = poll.timeout.unwrap_or(POLL_DEFAULT);
    if timeout.is_nan() || timeout < 0.0 {
        return Err(Problem::invalid(
            "timeout",
            format!("timeout is {timeout}; it must be 0 or more seconds"),
        ));
    }
    let deadline = tokio::time::sleep(Duration::from_secs_f64(timeout.min(POLL_MAX)));
    tokio::pin!(deadline);
    // Before the first look, so that a notification between the look and the wait still wakes us.
    let mut news = hub.database.news();
    loop {
        news.mark_unchanged();
        let agents = hub
            .database
            .read(move |data| agents::list(data, Listing::Unread, batch))
            .await?;
        if !agents.is_empty() {
            return Ok(Json(Agents { agents }));
        }
        tokio::select! {
            _ = news.changed() => {}
            () = &mut deadline => return Ok(Json(Agents { agents })),
            () = hub.stopping.cancelled() => return Ok(Json(Agents { agents })),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Filter {
    #[serde(default)]
    has_notifications: bool,
    #[serde(default)]
    stale: bool,
    min_staleness: Option<u32>,
    limit: Option<u32>,
}

/// The plain poll, the stale agents, or all agents.
pub(super) async fn list(State(hub): State<Arc<Hub>>, Params(filter): Params<Filter>) -> Result<Json<Agents>, Problem> {
    let listing = match (filter.has_notifications, filter.stale) {
        (true, true) => {
            let message = "stale and has_notifications are both true; ask for one of them at a time";
            return Err(Problem::invalid("stale", message));
        }
        (true, false) => Listing::Unread,
        (false, true) => {
            let seconds = filter.min_staleness.unwrap_or(STALENESS_DEFAULT);
            Listing::NotSince(Moment::now().micros() - i64::from(seconds) * 1_000_000)
        }
        (false, false) => Listing::All,
    };
    let limit = filter.limit.unwrap_or(u32::MAX);
    let agents = hub
        .database
        .read(move |data| agents::list(data, listing, limit))
        .await?;
    Ok(Json(Agents { agents }))
}

#[derive(Deserialize)]
pub(super) struct Registration {
    name: String,
    id: Option<String>,
}

pub(super) async fn register(
    State(hub): State<Arc<Hub>>,
    Body(Registration { name, id }): Body<Registration>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let id = id.unwrap_or_else(|| name.clone());
    let answer = json!({ "id": id, "name": name });
    let new = hub
        .database
        .write(move |change| agents::register(change, &id, &name))
        .await?;
    Ok((if new { StatusCode::CREATED } else { StatusCode::OK }, Json(answer)))
}

pub(super) async fn activated(State(hub): State<Arc<Hub>>, Id(id): Id) -> Result<StatusCode, Problem> {
    hub.database.write(move |change| agents::activated(change, &id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
pub(super) struct Inbox {
    agent_id: String,
    #[serde(default)]
    unread: bool,
}

#[derive(Serialize)]
pub(super) struct Notifications {
    notifications: Vec<Notification>,
}

pub(super) async fn notifications(
    State(hub): State<Arc<Hub>>,
    Params(Inbox { agent_id, unread }): Params<Inbox>,
) -> Result<Json<Notifications>, Problem> {
    let notifications = hub
        .database
        .read(move |data| inbox::list(data, &agent_id, unread))
        .await?;
    Ok(Json(Notifications { notifications }))
}

#[derive(Deserialize)]
pub(super) struct Read {
    notification_ids: Vec<String>,
}

pub(super) async fn mark_read(
    State(hub): State<Arc<Hub>>,
    Body(Read { notification_ids: ids }): Body<Read>,
) -> Result<Json<Marked>, Problem> {
    if ids.len() > READ_MAX {
        let count = ids.len();
        let message = format!("notification_ids has {count} ids; the limit is {READ_MAX}; send them in several calls");
        return Err(Problem::invalid("notification_ids", message));
    }
    Ok(Json(
        hub.database.write(move |change| inbox::mark_read(change, &ids)).await?,
    ))
}
