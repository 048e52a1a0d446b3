//! Verification: the scopes in which a cluster is tried out.

use serde::{Deserialize, Serialize};

/// `GET /api/v1/verify`: what a person needs to look by hand.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct VerifyFacts {
    pub host: String,
    /// `redis-cli` with what reaches the cluster's store; absent where there is no Redis. Never a password.
    pub redis_cli: Option<String>,
    /// In front of every key.
    pub key_prefix: String,
    /// The scope that this host is in.
    pub scope: Option<String>,
}

/// `POST /api/v1/verify/{join,state,breaker,leave,destroy}`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ScopeRequest {
    /// A UUID that the caller makes.
    pub scope: String,
}

/// `POST /api/v1/verify/join`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct JoinedScope {
    pub host: String,
    /// The keys or the file that the scope is kept in.
    pub kept_in: String,
}

/// `POST /api/v1/verify/load`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LoadRequest {
    pub scope: String,
    /// At most 200.
    pub items: Vec<ProbeItem>,
}

/// An item that does nothing, once.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeItem {
    /// A UUID that the caller makes, so that a call can be repeated.
    pub id: String,
    /// Which probe agent; below 1,000.
    pub agent: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct LoadAnswer {
    /// The items that are in the queue.
    pub accepted: Vec<String>,
    /// Those that found it full.
    pub refused: u64,
}

/// `POST /api/v1/verify/leave`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct LeftScope {
    /// What ran on this host, in the order of its ends.
    pub runs: Vec<RunView>,
    /// By how much the times may be wrong.
    pub clock_error_micros: i64,
}

/// One activation. Times are microseconds since 1970 on the store's clock.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct RunView {
    pub item: String,
    pub agent: String,
    pub began_micros: i64,
    pub ended_micros: i64,
    /// `ok`, a reason code, or `cut`.
    pub ending: String,
}

/// `POST /api/v1/verify/breaker`: what was seen of one probe agent, in order.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct BreakerExercise {
    pub agent: String,
    /// Failures in a row that open a breaker in a scope.
    pub threshold: u32,
    /// For how long it opens first.
    pub open_seconds: f64,
    /// After each of `threshold` activations that failed.
    pub failing: Vec<BreakerSight>,
    /// What became of an item that was to be enqueued then: `skipped`, or `added`.
    pub while_open: String,
    pub half_open_after_seconds: f64,
    /// What became of two items that were enqueued together at half-open.
    pub at_half_open: Vec<String>,
    /// After the one of them that was the probe, and failed.
    pub failed_probe: BreakerSight,
    /// Where the other one was then.
    pub beside_failed_probe: String,
    /// After that one was the next probe, and succeeded.
    pub good_probe: BreakerSight,
    pub good_probe_after_seconds: f64,
}

/// How an activation ended, and what the breaker said then.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct BreakerSight {
    pub ending: String,
    pub state: String,
    pub failures: u32,
    /// How much longer an open one stays so.
    pub open_seconds: Option<f64>,
}

/// `POST /api/v1/verify/destroy`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct DestroyedScope {
    /// Keys that are there all the same: another host is in the scope.
    pub left: u64,
}
