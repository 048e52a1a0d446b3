//! A request's JSON body: of the right type, small enough, there in time.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use serde::de::DeserializeOwned;
use tokio::time;

use super::{Api, error::ApiError};

/// How long a request's body may take.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// The body as a `T`. `too_large` says what is too large about one that is over the API's limit.
pub async fn json<T: DeserializeOwned>(
    api: &Api,
    request: Request,
    too_large: impl FnOnce() -> ApiError,
) -> Result<T, ApiError> {
    let headers = request.headers().clone();
    let body = time::timeout(BODY_WITHIN, Bytes::from_request(request, api))
        .await
        .map_err(|_| {
            let message = format!("the request's body did not arrive within {BODY_WITHIN:?}");
            ApiError::new(StatusCode::REQUEST_TIMEOUT, "too_slow", message)
        })?;
    require_json(&headers)?;
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        _ => ApiError::invalid(rejection.body_text()),
    })?;
    serde_json::from_slice(&body).map_err(|error| ApiError::invalid(format!("the request is not valid: {error}")))
}

/// It says itself that it is JSON: a page's form can't.
fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "not_json",
        format!("Content-Type: application/json is needed, not {content_type:?}"),
    ))
}
