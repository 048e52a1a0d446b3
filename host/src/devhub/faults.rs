//! Fault switches: a Hub that misbehaves on demand, so that clients are tested against what real ones do.
//!
//! `PUT /admin/faults` takes `{"rules": [rule…], "no_long_poll": bool, "idempotency": bool}`, or the list alone, and
//! replaces what was set; `DELETE` clears it. Rules are looked at in order for every request outside `/admin`: latency
//! adds up, the first other rule that strikes ends it. A rule strikes by chance (`rate`), from a generator of its own
//! that starts at `seed`, so the same requests in the same order meet the same faults.
//!
//! | `kind` | what the client sees |
//! | --- | --- |
//! | `latency` | the answer, `ms` later |
//! | `status` | `status` (default 500) with a JSON error, and `Retry-After` if `retry_after` (seconds) is set |
//! | `hang` | nothing for `ms` (default: until the client leaves or the faults are replaced), then a closed connection |
//! | `html` | a page of HTML with `status` (default 200), as a proxy in front of the Hub would send |
//! | `drop` | a closed connection instead of an answer |
//! | `drop_after` | the same, after the request took effect; short for `drop` with `after` |
//! | `truncate` | the real answer's first half, as if it were all: JSON that doesn't parse |
//! | `cut` | the real answer's first half, then a closed connection |
//!
//! With `"after": true`, `status`, `hang`, `html` and `drop` strike after the request took effect: the outcome that a
//! client can't know.

mod rules;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::watch;

use super::Hub;
use super::connection::Peer;
use super::problem::Problem;
use rules::{Kind, Rule};

pub(super) use rules::Switches;

/// An answer larger than this is not truncated but dropped.
const TRUNCATE_LIMIT: usize = 64 << 20;
/// How long the first half of a `cut` answer gets to leave the process before the connection is closed.
const FIRST_HALF: Duration = Duration::from_millis(20);

struct Armed {
    rule: Rule,
    chance: StdRng,
    matched: u64,
    struck: u64,
}

#[derive(Default)]
struct Set {
    switches: Switches,
    armed: Vec<Armed>,
}

/// The switches in force.
pub(super) struct Faults {
    set: Mutex<Set>,
    /// Moves when the faults are replaced, which ends every `hang`.
    replaced: watch::Sender<()>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            set: Mutex::default(),
            replaced: watch::Sender::new(()),
        }
    }
}

impl Faults {
    fn set(&self) -> MutexGuard<'_, Set> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces all switches; counters and chances start anew, requests that hang are let go.
    pub(super) fn replace(&self, switches: Switches) {
        let arm = |rule: &Rule| Armed {
            rule: rule.clone(),
            chance: StdRng::seed_from_u64(rule.seed),
            matched: 0,
            struck: 0,
        };
        *self.set() = Set {
            armed: switches.rules.iter().map(arm).collect(),
            switches,
        };
        self.replaced.send_replace(());
    }

    /// The switches and, for each rule, how many requests it `matched` and `struck`.
    pub(super) fn report(&self) -> serde_json::Value {
        let set = self.set();
        let mut report = serde_json::json!(set.switches);
        report["counts"] = set
            .armed
            .iter()
            .map(|armed| serde_json::json!({ "matched": armed.matched, "struck": armed.struck }))
            .collect();
        report
    }

    pub(super) fn no_long_poll(&self) -> bool {
        self.set().switches.no_long_poll
    }

    pub(super) fn idempotency(&self) -> bool {
        self.set().switches.idempotency
    }

    /// The latency and the fault that strike this request.
    fn strike(&self, method: &str, path: &str) -> (Duration, Option<Rule>) {
        let mut latency = Duration::ZERO;
        for armed in &mut self.set().armed {
            if !armed.rule.matches(method, path) {
                continue;
            }
            armed.matched += 1;
            let exhausted = armed.rule.times.is_some_and(|times| armed.matched > times);
            if exhausted || !armed.chance.random_bool(armed.rule.rate) {
                continue;
            }
            armed.struck += 1;
            if armed.rule.kind != Kind::Latency {
                return (latency, Some(armed.rule.clone()));
            }
            latency += Duration::from_millis(armed.rule.ms.unwrap_or_default());
        }
        (latency, None)
    }
}

/// Middleware: lets the faults in force strike.
pub(super) async fn inject(
    State(hub): State<Arc<Hub>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    if path.starts_with("/admin") {
        return next.run(request).await;
    }
    let (latency, rule) = hub.faults.strike(request.method().as_str(), path);
    if !latency.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(latency) => {}
            () = hub.stopping.cancelled() => {}
        }
    }
    match rule {
        None => next.run(request).await,
        Some(rule) if rule.takes_effect_first() => {
            let answer = next.run(request).await;
            play(&hub, &peer, &rule, answer).await
        }
        Some(rule) => play(&hub, &peer, &rule, Response::default()).await,
    }
}

/// Plays a fault in place of `answer`.
async fn play(hub: &Hub, peer: &Peer, rule: &Rule, answer: Response) -> Response {
    match rule.kind {
        Kind::Latency => answer,
        Kind::Status => status(rule),
        Kind::Html => {
            let body = "<!doctype html><title>Bad gateway</title><h1>The gateway could not reach the Hub</h1>";
            let status = rule
                .status
                .and_then(|code| StatusCode::from_u16(code).ok())
                .unwrap_or(StatusCode::OK);
            (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], body).into_response()
        }
        Kind::Drop | Kind::DropAfter => cut(peer),
        Kind::Hang => {
            let mut replaced = hub.faults.replaced.subscribe();
            let limit = rule.ms.map_or(Duration::MAX, Duration::from_millis);
            tokio::select! {
                () = tokio::time::sleep(limit) => {}
                _ = replaced.changed() => {}
                () = hub.stopping.cancelled() => {}
            }
            cut(peer)
        }
        Kind::Truncate | Kind::Cut => half(rule.kind, peer, answer).await,
    }
}

fn status(rule: &Rule) -> Response {
    let status = rule.status.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Problem::new(status, "fault", "a fault switch of this Hub answered").into_response();
    if let Some(seconds) = rule.retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Closes the connection; the response that is returned never reaches the client.
fn cut(peer: &Peer) -> Response {
    peer.cut();
    Response::default()
}

async fn half(kind: Kind, peer: &Peer, answer: Response) -> Response {
    let (mut parts, body) = answer.into_parts();
    let streams = parts
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind == "text/event-stream");
    if streams {
        return cut(peer);
    }
    let Ok(bytes) = to_bytes(body, TRUNCATE_LIMIT).await else {
        return cut(peer);
    };
    let first = bytes.slice(..bytes.len() / 2);
    parts.headers.remove(header::CONTENT_LENGTH);
    if kind == Kind::Truncate {
        return Response::from_parts(parts, Body::from(first));
    }
    parts
        .headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    let end = async {
        tokio::time::sleep(FIRST_HALF).await;
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionAborted))
    };
    let pieces = futures_util::stream::iter([Ok(first)]);
    let body = futures_util::StreamExt::chain(pieces, futures_util::stream::once(end));
    Response::from_parts(parts, Body::from_stream(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_strikes_the_same_requests() {
        let rules = |seed: u64| serde_json::json!([{ "path": "/", "kind": "drop", "rate": 0.5, "seed": seed }]);
        let strikes = |seed| {
            let faults = Faults::default();
            faults.replace(Switches::parse(rules(seed)).unwrap());
            (0..64)
                .map(|_| faults.strike("GET", "/x").1.is_some())
                .collect::<Vec<_>>()
        };
        assert_eq!(strikes(7), strikes(7));
        assert_ne!(strikes(7), strikes(8));
        let share = strikes(7).iter().filter(|struck| **struck).count();
        assert!((16..=48).contains(&share), "{share} of 64");
    }
}
