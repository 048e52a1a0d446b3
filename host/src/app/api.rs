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
//! | `GET /api/v1/agents` | [`types::AgentList`]: every definition |
//! | `GET /api/v1/agents/{name}` | [`types::AgentView`]; by name or id |
//! | `GET /api/v1/plugins` | [`types::PluginList`] |
//! | `POST /api/v1/items` | submits a [`types::SubmitRequest`]: 201 with [`types::SubmitResponse`], 429 when full |
//! | `GET /api/v1/items/{id}?wait=SECONDS` | [`types::ItemView`], at the latest after `wait` (at most 60) |
//! | `GET /api/v1/events?after=SEQ&limit=N&wait=SECONDS` | [`types::EventList`], oldest first |
//!
//! Anything else is a [`types::ErrorBody`].

pub mod access;
pub mod context;
mod error;
mod events;
mod items;
mod probes;
mod read;
mod server;
mod starting;
pub mod token;
pub mod types;
mod views;
mod why;

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::anyhow;
use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRequestParts, Path, Query, Request},
    http::{StatusCode, request::Parts},
    middleware,
    routing::{get, post},
};
use serde::de::DeserializeOwned;
use tokio::{net::TcpListener, time};
use tokio_util::sync::CancellationToken;

pub use self::starting::serve_starting;
use self::{access::guard, context::ApiContext, error::ApiError};
use crate::ports::store::StoreError;

/// The longest that a request may wait for something to happen.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What handlers get.
#[derive(Clone)]
struct Api {
    context: Arc<ApiContext>,
    /// Ends waiting requests.
    stop: CancellationToken,
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

    /// A call that waits for something to happen, cut short when the host stops.
    async fn wait<T>(
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

/// Serve until `stop`, then finish what is being answered.
pub async fn serve(mut listener: TcpListener, context: Arc<ApiContext>, stop: CancellationToken) -> anyhow::Result<()> {
    let access = Arc::clone(&context.access);
    let router = router(Api {
        context,
        stop: stop.clone(),
    })
    .layer(middleware::from_fn_with_state(access, guard));
    server::serve(&mut listener, router, stop).await
}

fn router(api: Api) -> Router {
    Router::new()
        .route("/metrics", get(probes::metrics))
        .route("/health", get(probes::health))
        .route("/ready", get(probes::ready))
        .route("/api/v1/status", get(read::status))
        .route("/api/v1/agents", get(read::agents))
        .route("/api/v1/agents/{name}", get(read::agent))
        .route("/api/v1/plugins", get(read::plugins))
        .route("/api/v1/items", post(items::submit))
        .route("/api/v1/items/{id}", get(items::show))
        .route("/api/v1/events", get(events::list))
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(DefaultBodyLimit::max(items::LARGEST_BODY))
        .with_state(api)
}

async fn unknown_path(request: Request) -> ApiError {
    ApiError::not_found(format!("there is no {}", request.uri().path()))
}

async fn unknown_method(request: Request) -> ApiError {
    let message = format!("{} can't be used on {}", request.method(), request.uri().path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}

/// The query, or a JSON error.
struct Params<T>(T);

impl<T: DeserializeOwned> FromRequestParts<Api> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Params<T>, ApiError> {
        match Query::from_request_parts(parts, api).await {
            Ok(Query(params)) => Ok(Params(params)),
            Err(rejection) => Err(ApiError::invalid(rejection.body_text())),
        }
    }
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
