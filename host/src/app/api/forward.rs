//! Calls that only the leader can answer. Whichever host is asked hands them on, once, with the token that the hosts of a
//! cluster share, and gives the leader's answer as its own.

use std::{error::Error, time::Duration};

use axum::{
    body::{self, Body},
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use reqwest::Url;
use tokio::time;

use super::{Api, error::ApiError, items::LARGEST_BODY};
use crate::{app::plain_http, domain::secret::Secret, ports::leadership::Leader, services::election::Office};

/// Names the host that has forwarded a call: it is not forwarded again.
const FORWARDED_BY: &str = "warren-forwarded-by";
/// For the leader's whole answer: longer than a handover that joins slow work.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// By when whoever finds no leader should ask again: a handover is over then, and a crash mostly.
const RETRY: Duration = Duration::from_secs(2);

/// What is handed on of a request and of its answer, besides the body.
const REQUEST_HEADERS: [header::HeaderName; 2] = [header::CONTENT_TYPE, header::ACCEPT];
const ANSWER_HEADERS: [header::HeaderName; 2] = [header::CONTENT_TYPE, header::RETRY_AFTER];

/// Speaks to the other hosts of the cluster.
pub struct Forwarder {
    http: reqwest::Client,
    token: Secret,
}

impl Forwarder {
    /// `token` is the API's, which the hosts of one cluster share.
    pub fn new(token: Secret) -> anyhow::Result<Forwarder> {
        Ok(Forwarder {
            http: plain_http::client()?,
            token,
        })
    }
}

/// Around what only the leader may answer: on any other host the call is the leader's.
pub(super) async fn to_leader(State(api): State<Api>, request: Request, next: Next) -> Response {
    if api.office.as_ref().is_some_and(Office::leads) {
        return next.run(request).await;
    }
    forward(&api, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn forward(api: &Api, request: Request) -> Result<Response, ApiError> {
    let own = &api.host.name;
    if let Some(by) = request.headers().get(FORWARDED_BY) {
        let by = by.to_str().unwrap_or("another host");
        return Err(unavailable(
            "not_leader",
            format!("{by} forwarded this call to {own} as the leader, but {own} does not lead (any more); ask again"),
        ));
    }
    let leader = leader(api).await?;
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let url = Url::parse(&format!("{}{path}", leader.address.trim_end_matches('/')))
        .ok()
        .filter(|url| url.scheme() == "http" && url.has_host())
        .ok_or_else(|| {
            let message = format!(
                "the leader {} advertises {:?}, which is no address of an API: set its api.advertise to http://NAME:PORT",
                leader.host, leader.address
            );
            unavailable("leader_unreachable", message)
        })?;
    let body = time::timeout(ANSWER_WITHIN, body::to_bytes(body, LARGEST_BODY))
        .await
        .map_err(|_| {
            let message = format!("the request's body did not arrive within {ANSWER_WITHIN:?}");
            ApiError::new(StatusCode::REQUEST_TIMEOUT, "too_slow", message)
        })?
        .map_err(|error| ApiError::invalid(format!("the request's body can't be read: {error}")))?;
    let forwarder = &api.forwarder;
    let mut call = forwarder
        .http
        .request(parts.method, url)
        .timeout(ANSWER_WITHIN)
        .bearer_auth(forwarder.token.expose())
        .header(
            FORWARDED_BY,
            HeaderValue::from_str(own.as_str()).unwrap_or(HeaderValue::from_static("a host")),
        )
        .body(body);
    for name in REQUEST_HEADERS {
        if let Some(value) = parts.headers.get(&name) {
            call = call.header(name, value);
        }
    }
    let answer = call.send().await.map_err(|error| unreachable(&leader, &error))?;
    answered(&leader, answer)
}

/// The host that the call is for.
async fn leader(api: &Api) -> Result<Leader, ApiError> {
    match api.ask(api.store.leadership.leader()).await? {
        Some(leader) if leader.is_foreign() => Err(unavailable(
            "foreign_leader",
            format!(
                "{:?} holds the leader's lease and is no Warren host: while it leads, Warren's hosts only run items, and what \
                 only the leader can do can't be asked of them",
                leader.holder
            ),
        )),
        Some(leader) => Ok(leader),
        None => Err(unavailable(
            "no_leader",
            "nobody leads at the moment; ask again".to_owned(),
        )),
    }
}

fn answered(leader: &Leader, answer: reqwest::Response) -> Result<Response, ApiError> {
    if answer.status() == StatusCode::UNAUTHORIZED {
        let message = format!(
            "the leader {} at {} refuses this host's token: the hosts of one cluster need the same api.token",
            leader.host, leader.address
        );
        return Err(unavailable("leader_unreachable", message));
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    for name in ANSWER_HEADERS {
        if let Some(value) = answer.headers().get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    *response.body_mut() = Body::from_stream(answer.bytes_stream());
    Ok(response)
}

fn unreachable(leader: &Leader, error: &reqwest::Error) -> ApiError {
    let why = if error.is_connect() {
        let mut cause: &dyn Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        format!("{cause}; nothing was done")
    } else if error.is_timeout() {
        format!("no answer within {ANSWER_WITHIN:?}; it may or may not have been done")
    } else {
        "the connection broke; it may or may not have been done".to_owned()
    };
    let message = format!(
        "the leader {} (term {}) can't be reached at {}: {why}. If it has died another host leads soon; ask again",
        leader.host, leader.term, leader.address
    );
    unavailable("leader_unreachable", message)
}

fn unavailable(code: &'static str, message: String) -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, code, message).retry_after(RETRY)
}
