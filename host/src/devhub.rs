//! The development Hub: an HTTP service with inboxes, posts and comments, so that a newcomer sees a mention answered
//! without any other service, and so that tests talk to a real Hub that can be told to fail.
//!
//! It answers the Hub API that Warren's hosts know, serves one page where a person reads and writes threads, and keeps
//! its data in SQLite, in memory or in a file. It is for development and tests, not a production Hub. Nothing here
//! knows about the rest of the host: hosts reach it over HTTP like any other Hub.
//!
//! # How it is put together
//! - [`DevHub::start`] binds the address, opens the data and serves until [`RunningHub::shutdown`].
//! - [`database`] runs every statement on one thread of its own, so no request blocks the runtime, every write is one
//!   transaction, and two repeats of one `Idempotency-Key` can't race.
//! - [`api`] is the routes; [`guard`] decides who may call them; [`faults`] plays a Hub that misbehaves;
//!   [`connection`] lets a fault, or the end of the process, cut a connection in mid-sentence; [`page`] is the page.
//!
//! # Beyond the Hub API
//! | call | what it does |
//! | --- | --- |
//! | `POST /api/v1/agents` `{"name", "id"?}` | registers an agent (201; 200 if it was there); `id` defaults to the name |
//! | `GET /api/v1/agents?limit=` | every agent, by name |
//! | `GET /api/v1/posts?limit=&before=` | threads, newest activity first; `next` is the `before` of the next page |
//! | `POST /api/v1/posts`, `…/comments` with `author_name` | a person writes; people have no inbox |
//! | `GET /api/v1/events` | server-sent events: `hello` on connecting, `post`, `comment`, `agent`, `resync` after a gap |
//! | `GET`, `PUT`, `DELETE /admin/faults` | the fault switches, see [`faults`] |
//! | `GET /admin/log?after=&limit=` | every write effect in order, and the number of requests by endpoint |
//! | `POST /admin/seed` `{"agents", "notifications_each", "prefix"?, "type"?}` | many agents and notifications at once |
//! | `PUT /admin/budget/{agent_id}` | what `budget-health` answers: limits, use, `healthy` |
//! | `GET /admin/consumption?agent_id=&after=&limit=` | the consumption that hosts reported |
//!
//! Errors are `{"error":{"code","message","field"?}}`. An event's data is JSON: `post` carries the post, `comment`
//! carries `{"post_id","comment"}`, `agent` carries the agent; each is sent after its write is committed.

mod api;
mod connection;
mod database;
mod faults;
mod guard;
mod input;
mod mentions;
mod page;
mod problem;

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use connection::{CuttableListener, Peer};
use database::Database;

/// How long requests in progress get at shutdown before their connections are cut.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// Where the Hub keeps its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// In memory: gone when the Hub stops.
    Memory,
    /// In this SQLite file, created if absent. One process at a time; a kill of the process loses nothing that was
    /// answered (a power cut may lose the last moments: WAL with `synchronous=NORMAL`).
    File(PathBuf),
}

/// What [`DevHub::start`] needs to know.
#[derive(Clone)]
pub struct DevHubConfig {
    /// The address to listen on; port 0 picks a free one, which [`RunningHub::address`] tells.
    pub listen: SocketAddr,
    /// Where the data is kept.
    pub data: Data,
    /// If set, every call needs `Authorization: Bearer <api_key>`. Default: none.
    pub api_key: Option<String>,
    /// Agents to register at start, as (id, name). Those that exist already are left as they are.
    pub agents: Vec<(String, String)>,
    /// Whether `/admin/…` exists. Default: yes.
    pub admin: bool,
}

impl DevHubConfig {
    /// A Hub on `listen` with its data in memory, no key, no agents, and the admin endpoints on.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            data: Data::Memory,
            api_key: None,
            agents: Vec::new(),
            admin: true,
        }
    }
}

/// Why the Hub could not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address can't be listened on.
    #[error(
        "the development Hub cannot listen on {address}: {reason}; stop the program that uses that port, or choose \
         another address (port 0 picks a free port)"
    )]
    Bind {
        /// The configured address.
        address: SocketAddr,
        /// What the operating system said.
        reason: std::io::Error,
    },
    /// The data can't be opened.
    #[error("the development Hub cannot use its data file {path}: {reason}")]
    Data {
        /// The configured file, or `:memory:`.
        path: String,
        /// What is wrong, and what to do about it.
        reason: String,
    },
    /// An agent of the configuration can't be registered.
    #[error("the development Hub cannot register agent {name:?}: {reason}")]
    Agent {
        /// The agent's configured name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A part of the Hub ended though nobody asked it to.
    #[error("the development Hub stopped unexpectedly: {0}")]
    Stopped(String),
}

/// The development Hub, before it runs.
pub struct DevHub;

/// What all requests share.
struct Hub {
    database: Database,
    faults: faults::Faults,
    guard: guard::Guard,
    /// Requests by method and route. Routes, not paths, so that the map stays small.
    requests: Mutex<BTreeMap<String, u64>>,
    /// Cancelled when the Hub stops: long polls answer at once, event streams end, hanging requests are cut.
    stopping: CancellationToken,
}

impl Hub {
    fn count(&self, method: &str, route: &str) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry(format!("{method} {route}")).or_default() += 1;
    }

    fn request_counts(&self) -> BTreeMap<String, u64> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl DevHub {
    /// Binds the address, opens the data, registers the configured agents, and serves in the background on the current tokio runtime.
    ///
    /// # Errors
    /// [`Error::Bind`], [`Error::Data`] and [`Error::Agent`]; nothing runs on after an error.
    pub async fn start(config: DevHubConfig) -> Result<RunningHub, Error> {
        let bind = |reason| Error::Bind {
            address: config.listen,
            reason,
        };
        let listener = TcpListener::bind(config.listen).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let database = Database::open(&config.data).await?;
        for (id, name) in config.agents {
            let shown = name.clone();
            let registered = database
                .write(move |change| database::agents::register(change, &id, &name))
                .await;
            registered.map_err(|problem| Error::Agent {
                name: shown,
                reason: problem.message().to_owned(),
            })?;
        }

        let stopping = CancellationToken::new();
        let cut = CancellationToken::new();
        let hub = Arc::new(Hub {
            database: database.clone(),
            faults: faults::Faults::default(),
            guard: guard::Guard::new(config.api_key),
            requests: Mutex::default(),
            stopping: stopping.clone(),
        });
        let service = api::router(hub, config.admin).into_make_service_with_connect_info::<Peer>();
        let serving = axum::serve(CuttableListener::new(listener, cut.clone()), service)
            .with_graceful_shutdown(stopping.clone().cancelled_owned())
            .into_future();
        let server = tokio::spawn(run(serving, database, stopping.clone(), cut));
        tracing::info!(%address, "development Hub is listening");
        Ok(RunningHub {
            address,
            stopping: stopping.drop_guard(),
            server: Some(server),
        })
    }
}

/// Serves until told to stop or until the data thread is gone, then gives requests in progress [`SHUTDOWN_GRACE`], cuts
/// what is left and closes the data.
async fn run(
    serving: impl Future<Output = std::io::Result<()>>,
    database: Database,
    stopping: CancellationToken,
    cut: CancellationToken,
) -> Result<(), Error> {
    let mut serving = std::pin::pin!(serving);
    let lost_data = tokio::select! {
        served = &mut serving => return served.map_err(|error| Error::Stopped(error.to_string())),
        () = stopping.cancelled() => false,
        () = database.ended() => true,
    };
    stopping.cancel();
    if tokio::time::timeout(SHUTDOWN_GRACE, &mut serving).await.is_err() {
        cut.cancel();
        // Every read and write on a cut connection fails, so this can only wait for the tasks to notice.
        serving.await.map_err(|error| Error::Stopped(error.to_string()))?;
    }
    database.close().await;
    if lost_data {
        Err(Error::Stopped("its data thread ended, see the log".to_owned()))
    } else {
        Ok(())
    }
}

/// A Hub that serves. Dropping it stops it in the background; [`shutdown`](Self::shutdown) also waits.
pub struct RunningHub {
    address: SocketAddr,
    stopping: DropGuard,
    /// None once its end was reported.
    server: Option<JoinHandle<Result<(), Error>>>,
}

impl RunningHub {
    /// The address it listens on, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL for clients, without a trailing slash. A Hub that listens on all addresses is named by loopback.
    pub fn url(&self) -> String {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            let loopback: std::net::IpAddr = if address.is_ipv4() {
                [127, 0, 0, 1].into()
            } else {
                std::net::Ipv6Addr::LOCALHOST.into()
            };
            address.set_ip(loopback);
        }
        format!("http://{address}")
    }

    /// Waits until the Hub stops by itself, which it does only when something is broken. Safe to cancel; the reason is
    /// reported once.
    ///
    /// # Errors
    /// [`Error::Stopped`] with the reason.
    pub async fn stopped(&mut self) -> Result<(), Error> {
        let Some(server) = &mut self.server else { return Ok(()) };
        let ended = server.await;
        self.server = None;
        flatten(ended)
    }

    /// Stops: no new connections, long polls are answered at once, event streams end, other requests get two seconds
    /// before they are cut; then the data is closed.
    ///
    /// # Errors
    /// [`Error::Stopped`] if the Hub had broken down before, unless [`stopped`](Self::stopped) said so already.
    pub async fn shutdown(mut self) -> Result<(), Error> {
        self.stopping.disarm().cancel();
        match self.server.take() {
            Some(server) => flatten(server.await),
            None => Ok(()),
        }
    }
}

fn flatten(ended: Result<Result<(), Error>, tokio::task::JoinError>) -> Result<(), Error> {
    ended.unwrap_or_else(|error| Err(Error::Stopped(error.to_string())))
}
