//! What monitoring asks.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{
    Api,
    context::{check, hub_check, leader_check},
    error::ApiError,
    types::ReadyView,
};
use crate::{
    app::metrics::CONTENT_TYPE,
    services::election::{Office, Standing},
};

pub async fn metrics(State(api): State<Api>) -> Response {
    let lease_left = api.office.as_ref().map_or(Duration::ZERO, Office::lease_left);
    match api.metrics.render(lease_left) {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "metrics", error.to_string()).into_response(),
    }
}

/// That it answers is the answer: whatever else fails takes the process down.
pub async fn health() -> Json<serde_json::Value> {
    Json(json!({ "status": "ok" }))
}

pub async fn ready(State(api): State<Api>) -> (StatusCode, Json<ReadyView>) {
    let view = readiness(&api).await;
    let status = if view.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(view))
}

pub async fn readiness(api: &Api) -> ReadyView {
    let store = match tokio::time::timeout(api.store_timeout, api.store.queue.health()).await {
        Ok(Ok(health)) => check("store", true, health.description),
        Ok(Err(error)) => check("store", false, error.to_string()),
        Err(_) => check(
            "store",
            false,
            format!("the store has not answered within {:?}", api.store_timeout),
        ),
    };
    let standing = api.office.as_ref().map(Office::standing);
    let leads = matches!(standing, Some(Standing::Leading(_)));
    let mut checks = vec![
        api.state.running_check(),
        store,
        api.state.plugins_check(&api.plugins.list().plugins),
        hub_check(&api.state.hub(), leads),
    ];
    checks.extend(standing.as_ref().map(leader_check));
    ReadyView {
        ready: checks.iter().all(|check| check.ok),
        checks,
    }
}
