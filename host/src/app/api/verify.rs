//! Scopes of a verification: see [`crate::app::verify`].

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
};

use super::{
    Api, body,
    error::ApiError,
    types::{
        BreakerExercise, DestroyedScope, JoinedScope, LeftScope, LoadAnswer, LoadRequest, QueueView, ScopeRequest,
        VerifyFacts,
    },
};
use crate::app::verify::{MOST_ITEMS, ScopeId, VerifyError};

pub async fn facts(State(api): State<Api>) -> Json<VerifyFacts> {
    Json(api.verification.facts().await)
}

pub async fn join(State(api): State<Api>, request: Request) -> Result<Json<JoinedScope>, ApiError> {
    let scope = scope(&api, request).await?;
    let kept_in = api.verification.join(scope).await?;
    Ok(Json(JoinedScope {
        host: api.host.name.to_string(),
        kept_in,
    }))
}

pub async fn load(State(api): State<Api>, request: Request) -> Result<Json<LoadAnswer>, ApiError> {
    let request: LoadRequest = body::json(&api, request, too_large).await?;
    let scope = parsed(&request.scope)?;
    Ok(Json(api.verification.load(scope, &request.items).await?))
}

pub async fn state(State(api): State<Api>, request: Request) -> Result<Json<QueueView>, ApiError> {
    let scope = scope(&api, request).await?;
    Ok(Json(api.verification.state(scope).await?))
}

pub async fn breaker(State(api): State<Api>, request: Request) -> Result<Json<BreakerExercise>, ApiError> {
    let scope = scope(&api, request).await?;
    let _permit = api.may_wait()?;
    Ok(Json(api.verification.breaker(scope).await?))
}

pub async fn leave(State(api): State<Api>, request: Request) -> Result<Json<LeftScope>, ApiError> {
    let scope = scope(&api, request).await?;
    Ok(Json(api.verification.leave(scope).await?))
}

pub async fn destroy(State(api): State<Api>, request: Request) -> Result<Json<DestroyedScope>, ApiError> {
    let scope = scope(&api, request).await?;
    let left = api.verification.destroy(scope).await?;
    Ok(Json(DestroyedScope { left }))
}

async fn scope(api: &Api, request: Request) -> Result<ScopeId, ApiError> {
    let request: ScopeRequest = body::json(api, request, too_large).await?;
    parsed(&request.scope)
}

fn parsed(scope: &str) -> Result<ScopeId, ApiError> {
    ScopeId::parse(scope).map_err(|error| ApiError::invalid(error.to_string()))
}

fn too_large() -> ApiError {
    let message = format!("the request is too large: it names a scope and at most {MOST_ITEMS} items");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
}

impl From<VerifyError> for ApiError {
    fn from(error: VerifyError) -> ApiError {
        let (status, code) = match error {
            VerifyError::Store(error) => return error.into(),
            VerifyError::Invalid(message) => return ApiError::invalid(message),
            VerifyError::Busy(_) => (StatusCode::CONFLICT, "other_scope"),
            VerifyError::NoRunner => (StatusCode::CONFLICT, "no_runner"),
            VerifyError::NotJoined(_) => (StatusCode::NOT_FOUND, "not_joined"),
            VerifyError::Failed(_) => (StatusCode::SERVICE_UNAVAILABLE, "verify_failed"),
        };
        ApiError::new(status, code, error.to_string())
    }
}
