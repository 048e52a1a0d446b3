//! The event stream, by polling.

use std::time::Duration;

use axum::{Json, extract::State};
use serde::Deserialize;

use super::{Api, LONGEST_WAIT, Params, error::ApiError, types::EventList, views};

const LIMIT: u32 = 100;
const LARGEST_LIMIT: u32 = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventQuery {
    /// The last event that is known; 0 for all that are kept.
    #[serde(default)]
    after: u64,
    limit: Option<u32>,
    /// Seconds to wait while there are none.
    #[serde(default)]
    wait: u64,
}

pub async fn list(State(api): State<Api>, Params(query): Params<EventQuery>) -> Result<Json<EventList>, ApiError> {
    let limit = query.limit.unwrap_or(LIMIT).clamp(1, LARGEST_LIMIT);
    let wait = Duration::from_secs(query.wait).min(LONGEST_WAIT);
    let events = api.wait(wait, api.store.events.after(query.after, limit, wait)).await?;
    let next = events.last().map_or(query.after, |event| event.seq);
    Ok(Json(EventList {
        events: events.iter().map(views::event).collect(),
        next,
    }))
}
