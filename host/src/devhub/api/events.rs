//! The event stream: what happens, as it happens (server-sent events).
//!
//! It begins with `hello`. A reader that fell too far behind gets `resync` and should read again what it shows; so
//! should one that connects again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::broadcast::error::RecvError;

use crate::devhub::Hub;

/// How often a silent stream says that it is alive, so that a reader notices a dead connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) async fn events(State(hub): State<Arc<Hub>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let receiver = hub.database.events();
    let hello = stream::iter([Ok(Event::default().event("hello").data("{}"))]);
    let live = stream::unfold(receiver, |mut receiver| async {
        let event = match receiver.recv().await {
            Ok(event) => Event::default().event(event.name).data(&*event.data),
            Err(RecvError::Lagged(_)) => Event::default().event("resync").data("{}"),
            Err(RecvError::Closed) => return None,
        };
        Some((Ok(event), receiver))
    });
    let until_stop = hello.chain(live).take_until(hub.stopping.clone().cancelled_owned());
    Sse::new(until_stop).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}
