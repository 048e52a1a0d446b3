//! The API's connections, each with an end: a client that sends or reads nothing must neither keep others out nor keep the
//! host from stopping.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use axum::{Router, serve::Listener};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time,
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// Connections at once; further ones wait to be accepted.
const MOST_CONNECTIONS: usize = 256;
/// The longest from a connection's start, or from its last answer, to the end of a request's head.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// After so long a connection takes no further requests...
const LAST_REQUEST: Duration = Duration::from_secs(300);
/// ...and is cut so much later: more than the longest wait that a request can ask for.
const LAST_ANSWER: Duration = Duration::from_secs(90);
/// How long requests may go on once the host stops.
const FINISH_WITHIN: Duration = Duration::from_secs(2);

/// Serve until `stop`; then what is being answered gets a moment, and the rest is cut. The listener stays open.
pub async fn serve(listener: &mut TcpListener, router: Router, stop: CancellationToken) -> anyhow::Result<()> {
    let slots = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            // Tries again by itself, for example when the process has no file descriptor left.
            let (stream, _) = Listener::accept(listener).await;
            slot.map(|slot| (stream, slot))
        };
        let (stream, slot) = tokio::select! {
            accepted = accepted => accepted.context("accepting connections")?,
            () = stop.cancelled() => break,
        };
        let serving = connection(stream, router.clone(), stop.clone());
        connections.spawn(async move {
            serving.await;
            drop(slot);
        });
        while connections.try_join_next().is_some() {}
    }
    let ended = time::timeout(FINISH_WITHIN, async {
        while connections.join_next().await.is_some() {}
    })
    .await;
    if ended.is_err() {
        debug!(connections = connections.len(), "cut what was still being asked");
        connections.shutdown().await;
    }
    Ok(())
}

async fn connection(stream: TcpStream, router: Router, stop: CancellationToken) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let served = tokio::select! {
        served = &mut connection => Some(served),
        () = stop.cancelled() => None,
        () = time::sleep(LAST_REQUEST) => None,
    };
    let served = match served {
        Some(served) => served,
        None => {
            connection.as_mut().graceful_shutdown();
            time::timeout(LAST_ANSWER, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = served {
        // The client's doing: it went away, was too slow, or does not speak HTTP.
        debug!(%error, "a connection failed");
    }
}
