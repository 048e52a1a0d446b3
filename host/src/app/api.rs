//! The one port of a host: `/metrics`, `/health`, `/ready`, and the JSON of `/api/v1`.
//!
//! Every request passes [`access`] first. What is shown is read from the ports when it is asked for; nothing is kept here.
//!
//! | call | answer |
//! | --- | --- |
//! | `GET /metrics` | Prometheus text |
//! | `GET /health` | 200 while the process lives; a task that fails ends the process |
//! | `GET /ready` | [`types::ReadyView`], 200 or 503 |
//! | `GET /api/v1/status` | [`types::StatusView`] |
//! | `GET /api/v1/hosts` | [`types::HostList`]: every host that lives, and those that did within the last hour |
//! | `GET /api/v1/agents?after=NEXT&limit=N` | [`types::AgentList`]: every agent that is known or has a definition |
//! | `GET /api/v1/agents/{name}` | [`types::AgentView`]; by name or id, here and below |
//! | `POST /api/v1/agents/{name}/pause`, `…/resume` | [`types::AgentChange`] |
//! | `POST /api/v1/agents/{name}/breaker/reset`, `…/force-open`, `…/disable` | [`types::AgentChange`] |
//! | `POST /api/v1/agents/{name}/workspace/wipe` | empties it on the host that is asked: [`types::WorkspaceWiped`]; 409 while \
//! an activation uses it |
//! | `GET /api/v1/plugins` | [`types::PluginList`] |
//! | `POST /api/v1/plugins/reload` | [`types::ReloadRequest`]: [`types::ReloadAnswer`] once everything is compiled |
//! | `POST /api/v1/cache/invalidate?agent=NAME` | reads the definition again, or every one: [`types::InvalidateAnswer`] |
//! | `GET /api/v1/queue` | [`types::QueueStatsView`] |
//! | `GET /api/v1/items?state=&agent=&type=&reason=&limit=N&after=NEXT` | [`types::ItemList`], newest first |
//! | `POST /api/v1/dead/requeue`, `…/purge` | does a bounded part of a [`types::DeadRequest`]: [`types::DeadAnswer`] |
//! | `POST /api/v1/items` | submits a [`types::SubmitRequest`]: 201 with [`types::SubmitResponse`], 429 when full |
//! | `GET /api/v1/items/{id}?wait=SECONDS` | [`types::ItemView`], at the latest after `wait` (at most 60) |
//! | `GET /api/v1/events?after=SEQ&limit=N&wait=SECONDS` | [`types::EventList`], oldest first; `kind=A,B` and `agent=NAME` \
//! select, here and below |
//! | `GET /api/v1/events/stream?after=SEQ` | as server-sent events, from now on if there is no `after`: [`types::EventView`] \
//! with its number as `id`, [`types::EventsLost`] as `event: lost`, a comment every 15 s; heeds `Last-Event-ID`; ends after \
//! five minutes, to be asked for again |
//! | `GET /api/v1/leader` | [`types::LeadershipView`] |
//! | `POST /api/v1/leader/handover` | [`types::HandoverRequest`]: [`types::HandoverView`] once another host leads |
//! | `GET /api/v1/verify` | [`types::VerifyFacts`] |
//! | `POST /api/v1/verify/join`, `…/load`, `…/state`, `…/breaker`, `…/leave`, `…/destroy` | a scope of a verification: \
//! [`types::ScopeRequest`] and [`types::LoadRequest`] |
//!
//! What only the leader can do (a handover) any host forwards to it ([`forward`]); 503 where that can't be done.
//!
//! Anything else is a [`types::ErrorBody`]; a parameter that is not known is one, too. So many requests may wait at once
//! ([`MOST_WAITING`]), streams among them; further ones are answered 503, and probes always find a connection.

pub mod access;
mod agents;
mod body;
mod command;
pub mod context;
mod dead;
pub mod directory;
mod error;
mod events;
pub mod forward;
mod hosts;
mod items;
mod leader;
mod plugins;
mod probes;
mod query;
mod queue;
mod read;
mod server;
mod starting;
mod stream;
pub mod token;
pub mod types;
mod verify;
pub(super) mod views;
mod why;
mod workspaces;

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::anyhow;
use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRequestParts, Path, Request},
    http::{StatusCode, request::Parts},
    middleware,
    routing::{get, post},
};
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};
use tokio_util::sync::CancellationToken;

use self::{access::guard, context::ApiContext, error::ApiError, query::Params};
pub use self::{
    server::{Routers, serve},
    starting::starting,
};
use crate::ports::store::StoreError;

/// The longest that a request may wait for something to happen.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Requests that may wait at once: they leave connections to those that are answered at once.
const MOST_WAITING: usize = server::MOST_CONNECTIONS - 64;

/// What handlers get.
#[derive(Clone)]
struct Api {
    context: Arc<ApiContext>,
    /// Ends waiting requests.
    stop: CancellationToken,
    waiting: Arc<Semaphore>,
}

impl std::ops::Deref for Api {
    type Target = ApiContext;

    fn deref(&self) -> &ApiContext {
        &self.context
    }
}

impl Api {
    /// A call to the store, which gets so long and no longer.
    async fn ask<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, ApiError> {
        match time::timeout(self.store_timeout, call).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(StoreError::Unavailable(format!("no answer within {:?}", self.store_timeout)).into()),
        }
    }

    /// The right to wait, for as long as what is returned is kept.
    fn may_wait(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| {
            ApiError::busy(format!(
                "{MOST_WAITING} requests wait on this host already, which is its limit; try again later, or ask another host"
            ))
        })
    }

    /// A call that may wait for something to happen, cut short when the host stops.
    async fn wait<T>(
        &self,
        at_most: Duration,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, ApiError> {
        let _permit = match at_most {
            Duration::ZERO => None,
            _ => Some(self.may_wait()?),
        };
        self.until_stopped(at_most, call).await
    }

    async fn until_stopped<T>(
        &self,
        at_most: Duration,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, ApiError> {
        tokio::select! {
            answer = time::timeout(at_most + self.store_timeout, call) => match answer {
                Ok(answer) => Ok(answer?),
                Err(_) => Err(StoreError::Unavailable("no answer in time".to_owned()).into()),
            },
            () = self.stop.cancelled() => {
                Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "this host is stopping; ask again"))
            }
        }
    }
}

/// Take the port. The error says what to do about it.
pub async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => anyhow!(
            "api.listen: {address} is taken by another program: stop it, or choose another port (in the configuration or \
             with WARREN_API_LISTEN)"
        ),
        io::ErrorKind::PermissionDenied => anyhow!(
            "api.listen: {address} may not be listened on by this user: choose a port above 1023"
        ),
        io::ErrorKind::AddrNotAvailable => anyhow!("api.listen: {address} is no address of this machine"),
        _ => anyhow!("api.listen: {address} can't be listened on: {error}"),
    })
}

/// Everything that a host answers. `stop` ends requests that wait.
pub fn whole(context: Arc<ApiContext>, stop: CancellationToken) -> Routers {
    let access = Arc::clone(&context.access);
    let checked = middleware::from_fn_with_state(access, guard);
    let api = Api {
        context,
        stop,
        waiting: Arc::new(Semaphore::new(MOST_WAITING)),
    };
    Routers {
        reserved: monitoring()
            .fallback(busy)
            .with_state(api.clone())
            .layer(checked.clone()),
        all: router(api).layer(checked),
    }
}

/// What monitoring asks, which is answered when there is no place for anything else.
fn monitoring() -> Router<Api> {
    Router::new()
        .route("/metrics", get(probes::metrics))
        .route("/health", get(probes::health))
        .route("/ready", get(probes::ready))
}

async fn busy() -> ApiError {
    ApiError::busy(format!(
        "this host has {} connections already, which is its limit; close some, or try again later",
        server::MOST_CONNECTIONS
    ))
}

fn router(api: Api) -> Router {
    monitoring()
        .route("/api/v1/status", get(read::status))
        .route("/api/v1/hosts", get(hosts::list))
        .route("/api/v1/agents", get(agents::list))
        .route("/api/v1/agents/{name}", get(agents::show))
        .route("/api/v1/agents/{name}/pause", post(command::pause))
        .route("/api/v1/agents/{name}/resume", post(command::resume))
        .route("/api/v1/agents/{name}/breaker/reset", post(command::reset))
        .route("/api/v1/agents/{name}/breaker/force-open", post(command::force_open))
        .route("/api/v1/agents/{name}/breaker/disable", post(command::disable))
        .route("/api/v1/agents/{name}/workspace/wipe", post(workspaces::wipe))
        .route("/api/v1/queue", get(queue::stats))
        .route("/api/v1/dead/requeue", post(dead::requeue))
        .route("/api/v1/dead/purge", post(dead::purge))
        .route("/api/v1/plugins", get(plugins::list))
        .route("/api/v1/plugins/reload", post(plugins::reload))
        .route("/api/v1/cache/invalidate", post(plugins::invalidate))
        .route("/api/v1/items", get(queue::list).post(items::submit))
        .route("/api/v1/items/{id}", get(items::show))
        .route("/api/v1/events", get(events::list))
        .route("/api/v1/leader", get(leader::show))
        .merge(of_the_leader(&api))
        .route("/api/v1/events/stream", get(stream::stream))
        .route("/api/v1/verify", get(verify::facts))
        .route("/api/v1/verify/join", post(verify::join))
        .route("/api/v1/verify/load", post(verify::load))
        .route("/api/v1/verify/state", post(verify::state))
        .route("/api/v1/verify/breaker", post(verify::breaker))
        .route("/api/v1/verify/leave", post(verify::leave))
        .route("/api/v1/verify/destroy", post(verify::destroy))
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(DefaultBodyLimit::max(items::LARGEST_BODY))
        .with_state(api)
}

/// What only the leader can do; any other host forwards it.
fn of_the_leader(api: &Api) -> Router<Api> {
    Router::new()
        .route("/api/v1/leader/handover", post(leader::hand_over))
        .route_layer(middleware::from_fn_with_state(api.clone(), forward::to_leader))
}

async fn unknown_path(request: Request) -> ApiError {
    ApiError::not_found(format!("there is no {}", request.uri().path()))
}

async fn unknown_method(request: Request) -> ApiError {
    let message = format!("{} can't be used on {}", request.method(), request.uri().path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}

/// How long a request may wait, as its parameter `wait` says: in seconds.
fn wait_of(params: &Params) -> Result<Duration, ApiError> {
    let wait = params.number("wait", 0..=LONGEST_WAIT.as_secs())?;
    Ok(Duration::from_secs(wait.unwrap_or(0)))
}

/// The one variable segment of a path, or a JSON error.
struct Segment(String);

impl FromRequestParts<Api> for Segment {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Segment, ApiError> {
        match Path::from_request_parts(parts, api).await {
            Ok(Path(segment)) => Ok(Segment(segment)),
            Err(rejection) => Err(ApiError::invalid(rejection.body_text())),
        }
    }
}
