//! What a host answers while it waits for its store: that it lives, that it is not ready, and why.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Request, State},
    http::StatusCode,
    middleware,
    routing::get,
};

use super::{
    access::{Access, guard},
    context::HostState,
    error::ApiError,
    probes, server,
    types::ReadyView,
};

/// What is answered until [`super::whole`] is.
pub fn starting(state: Arc<HostState>, access: Arc<Access>) -> server::Routers {
    let router = Router::new()
        .route("/health", get(probes::health))
        .route("/ready", get(ready))
        .fallback(not_yet)
        .layer(middleware::from_fn_with_state(access, guard))
        .with_state(state);
    server::Routers {
        reserved: router.clone(),
        all: router,
    }
}

async fn ready(State(state): State<Arc<HostState>>) -> (StatusCode, Json<ReadyView>) {
    let view = ReadyView {
        ready: false,
        checks: vec![state.running_check(), state.store_awaited_check()],
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(view))
}

async fn not_yet(State(state): State<Arc<HostState>>, request: Request) -> ApiError {
    let message = format!(
        "{} can't be answered yet: {}",
        request.uri().path(),
        state.store_awaited_check().detail
    );
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "starting", message)
}
