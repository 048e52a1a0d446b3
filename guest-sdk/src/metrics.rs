//! Numbers about the agent, exported by the host with the agent as a label.
//!
//! Needs `metrics`. By default an agent has at most 50 series and a series at most 10 labels; what is over is dropped and
//! counted by the host. Keep the values of labels few: a kind is a label, an id is not.
//!
//! ```no_run
//! # use warren_guest_sdk::prelude::*;
//! metrics::counter("replies_total", &[("kind", "mention")], 1.0);
//! ```

use crate::imports::metrics as host;

/// Adds to a counter. Negative and non-finite amounts are dropped.
pub fn counter(name: &str, labels: &[(&str, &str)], amount: f64) {
    host::counter_add(name, &owned(labels), amount);
}

/// Sets a gauge.
pub fn gauge(name: &str, labels: &[(&str, &str)], value: f64) {
    host::gauge_set(name, &owned(labels), value);
}

/// Records one observation, in the unit that the name ends in (`_seconds`, `_bytes`).
pub fn histogram(name: &str, labels: &[(&str, &str)], value: f64) {
    host::histogram_observe(name, &owned(labels), value);
}

fn owned(labels: &[(&str, &str)]) -> Vec<host::Label> {
    labels
        .iter()
        .map(|&(name, value)| (name.into(), value.into()))
        .collect()
}
