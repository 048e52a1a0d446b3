//! The event stream as server-sent events, for whoever follows.
//!
//! Nothing is kept for a follower but the number of the last event it was sent: what it has not read stays in the store,
//! as long as that keeps events, and it is told when it came too late. A stream has an end; its follower comes again with
//! `Last-Event-ID`, to this host or another, and misses nothing.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::HeaderMap,
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
};
use futures_util::stream;
use serde::Serialize;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::{
    Api,
    error::ApiError,
    events::{EventFilter, Names, lost_between},
    query::Params,
    types::EventsLost,
};

/// Events read at once.
const BATCH: u32 = 100;
/// A stream that has nothing to say says so that often.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A stream ends after so long: less than what a connection has.
const STREAM_FOR: Duration = Duration::from_secs(300);
/// When a follower comes again.
const RETRY: Duration = Duration::from_secs(1);

pub async fn stream(State(api): State<Api>, params: Params, headers: HeaderMap) -> Result<Response, ApiError> {
    let params = params.only(&["after", "kind", "agent"])?;
    let filter = EventFilter::read(&api, &params).await?;
    let seen_before = last_event_id(&headers)?;
    let from = match seen_before {
        Some(seen) => Some(seen),
        None => params.number("after", 0..=u64::MAX)?,
    };
    let cursor = match from {
        Some(seen) => seen,
        None => api.ask(api.store.events.latest()).await?,
    };
    let follower = Follower {
        _permit: api.may_wait()?,
        cursor,
        // From 0, without having been there before, means all that are kept.
        may_lose: cursor > 0 || seen_before.is_some(),
        filter,
        names: Names::default(),
        pending: VecDeque::from([Event::default().retry(RETRY).comment("events of Warren")]),
        said: Instant::now(),
        ends: Instant::now() + STREAM_FOR,
        api,
    };
    let events = stream::unfold(follower, async |mut follower| {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    Ok(Sse::new(events).into_response())
}

/// What a follower that comes again has seen.
fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    match value.to_str().unwrap_or_default().trim().parse() {
        Ok(seen) => Ok(Some(seen)),
        Err(_) => Err(ApiError::invalid(format!(
            "Last-Event-ID: {:?} is not allowed: the number of an event is",
            String::from_utf8_lossy(value.as_bytes())
                .chars()
                .take(80)
                .collect::<String>()
        ))),
    }
}

struct Follower {
    api: Api,
    /// Counts this follower among the requests that wait.
    _permit: OwnedSemaphorePermit,
    /// The last event that was read for it.
    cursor: u64,
    /// Whether events that are not kept any more are a loss to it.
    may_lose: bool,
    filter: EventFilter,
    names: Names,
    pending: VecDeque<Event>,
    /// When it was last sent something.
    said: Instant,
    ends: Instant,
}

impl Follower {
    /// The next event to send, or nothing at the end. Polled only while the follower reads.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                self.said = Instant::now();
                return Some(event);
            }
            let left = self.ends.saturating_duration_since(Instant::now());
            if left.is_zero() || self.api.stop.is_cancelled() {
                return None;
            }
            // The client is told why when it comes again.
            self.read(left).await.ok()?;
            if self.pending.is_empty() && self.said.elapsed() >= HEARTBEAT {
                // With the number: who comes again need not pass over what was not for it.
                self.pending
                    .push_back(Event::default().id(self.cursor.to_string()).comment("nothing new"));
            }
        }
    }

    async fn read(&mut self, left: Duration) -> Result<(), ApiError> {
        let wait = left.min(HEARTBEAT.saturating_sub(self.said.elapsed()));
        let events = self
            .api
            .until_stopped(wait, self.api.store.events.after(self.cursor, BATCH, wait))
            .await?;
        let Some(first) = events.first() else {
            return self.check_beginning().await;
        };
        if self.may_lose
            && let Some(lost) = lost_between(&self.api, self.cursor, first.seq).await?
        {
            self.tell_lost(&lost)?;
        }
        self.may_lose = true;
        for event in &events {
            self.cursor = event.seq;
            if let Some(view) = self.filter.show(&self.api, &mut self.names, event).await {
                let data = to_json(&view)?;
                self.pending
                    .push_back(Event::default().id(view.seq.to_string()).data(data));
            }
        }
        Ok(())
    }

    /// A store that lost its data counts from 1 again: whoever waits for a number of before would wait for ever.
    async fn check_beginning(&mut self) -> Result<(), ApiError> {
        if self.api.ask(self.api.store.events.latest()).await? >= self.cursor {
            return Ok(());
        }
        let seen = std::mem::take(&mut self.cursor);
        self.may_lose = false;
        self.tell_lost(&EventsLost {
            from: 1,
            to: seen,
            message: format!("the store begins anew: it has no event {seen} any more"),
        })
    }

    fn tell_lost(&mut self, lost: &EventsLost) -> Result<(), ApiError> {
        let data = to_json(lost)?;
        self.pending.push_back(Event::default().event("lost").data(data));
        Ok(())
    }
}

fn to_json(value: &impl Serialize) -> Result<String, ApiError> {
    serde_json::to_string(value).map_err(|error| {
        let status = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
        ApiError::new(status, "unexpected", format!("an event is no JSON: {error}"))
    })
}
