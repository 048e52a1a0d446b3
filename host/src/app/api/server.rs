//! The API's connections, each with an end: a client that sends or reads nothing must neither keep others out nor keep the
//! host from stopping. When all are taken, further ones are still answered what monitoring asks, so that a host with many
//! followers is not taken for a dead one.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use axum::{Router, serve::Listener};
use hyper::{
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time,
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// Connections at once.
pub(super) const MOST_CONNECTIONS: usize = 256;
/// Further ones, each for one request of monitoring's; beyond them they wait to be accepted.
const RESERVED: usize = 32;
/// What `HEAD_WITHIN` is for these.
const RESERVED_HEAD_WITHIN: Duration = Duration::from_secs(2);
/// The longest from a connection's start, or from its last answer, to the end of a request's head.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// A client that takes nothing of an answer for so long is cut.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);
/// After so long a connection takes no further requests...
const LAST_REQUEST: Duration = Duration::from_secs(300);
/// ...and is cut so much later: more than the longest wait that a request can ask for.
const LAST_ANSWER: Duration = Duration::from_secs(90);
/// How long requests may go on once the host stops.
const FINISH_WITHIN: Duration = Duration::from_secs(2);

/// What is served on which connections.
pub struct Routers {
    pub(super) all: Router,
    /// When there is no place for `all`.
    pub(super) reserved: Router,
}

/// How one connection is served.
struct Place {
    router: fn(&Routers) -> &Router,
    head_within: Duration,
    keep_alive: bool,
    /// Held until the connection has ended.
    _slot: OwnedSemaphorePermit,
}

struct Places {
    slots: Arc<Semaphore>,
    reserved: Arc<Semaphore>,
}

impl Places {
    /// The place of a connection that was just accepted.
    async fn next(&self) -> anyhow::Result<Place> {
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            return Ok(self.full(slot));
        }
        tokio::select! {
            biased;
            slot = Arc::clone(&self.slots).acquire_owned() => Ok(self.full(slot.context("accepting connections")?)),
            slot = Arc::clone(&self.reserved).acquire_owned() => Ok(Place {
                router: |routers| &routers.reserved,
                head_within: RESERVED_HEAD_WITHIN,
                keep_alive: false,
                _slot: slot.context("accepting connections")?,
            }),
        }
    }

    fn full(&self, slot: OwnedSemaphorePermit) -> Place {
        Place {
            router: |routers| &routers.all,
            head_within: HEAD_WITHIN,
            keep_alive: true,
            _slot: slot,
        }
    }
}

/// Serve until `stop`; then what is being answered gets a moment, and the rest is cut. Each request is answered by the
/// routers of its moment: a host that has found its store answers everything, also on connections that were there before.
pub async fn serve(
    mut listener: TcpListener,
    routers: watch::Receiver<Routers>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let places = Places {
        slots: Arc::new(Semaphore::new(MOST_CONNECTIONS)),
        reserved: Arc::new(Semaphore::new(RESERVED)),
    };
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            // Tries again by itself, for example when the process has no file descriptor left.
            let (stream, _) = Listener::accept(&mut listener).await;
            places.next().await.map(|place| (stream, place))
        };
        let (stream, place) = tokio::select! {
            accepted = accepted => accepted?,
            () = stop.cancelled() => break,
        };
        connections.spawn(connection(stream, place, routers.clone(), stop.clone()));
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

async fn connection(stream: TcpStream, place: Place, routers: watch::Receiver<Routers>, stop: CancellationToken) {
    let answer = service_fn(move |request| {
        let router = (place.router)(&routers.borrow()).clone();
        TowerToHyperService::new(router).call(request)
    });
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(TAKEN_WITHIN));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(place.head_within)
        .keep_alive(place.keep_alive)
        .serve_connection(TokioIo::new(Box::pin(stream)), answer);
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
