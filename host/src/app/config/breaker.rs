//! `[breaker]`: when a failing agent is kept from running, and for how long.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{formats::span, problem::Checks, queue::ordered};
use crate::domain::breaker::BreakerPolicy;

pub const THRESHOLD: u32 = 5;
pub const BASE: Duration = Duration::from_secs(60);
pub const MAX: Duration = Duration::from_secs(3600);
pub const JITTER: f64 = 0.1;
pub const DECAY: Duration = Duration::from_secs(600);
pub const PROBE_RETRY: Duration = Duration::from_secs(5);
pub const LEASE_LOSSES: u32 = 3;

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerConfig {
    /// Counted failures in a row that open it.
    pub threshold: u32,
    /// How long it stays open the first time; each further opening doubles it.
    #[serde(with = "span")]
    pub base: Duration,
    #[serde(with = "span")]
    pub max: Duration,
    /// Each opening is longer or shorter by up to this share, never past `max`.
    pub jitter: f64,
    /// The doubling falls by one for every such span without a failure.
    #[serde(with = "span")]
    pub decay: Duration,
    /// After a probe that ended with nobody to blame, the next may try this much later.
    #[serde(with = "span")]
    pub probe_retry: Duration,
    /// Leases lost in a row that open it, with the reason `host_killer`.
    pub lease_losses: u32,
}

impl Default for BreakerConfig {
    fn default() -> BreakerConfig {
        BreakerConfig {
            threshold: THRESHOLD,
            base: BASE,
            max: MAX,
            jitter: JITTER,
            decay: DECAY,
            probe_retry: PROBE_RETRY,
            lease_losses: LEASE_LOSSES,
        }
    }
}

impl BreakerConfig {
    pub fn policy(&self) -> BreakerPolicy {
        BreakerPolicy {
            threshold: self.threshold,
            base: self.base,
            max: self.max,
            jitter: self.jitter,
            decay: self.decay,
            probe_retry: self.probe_retry,
            lease_losses: self.lease_losses,
        }
    }

    pub(super) fn check(&self, checks: &mut Checks) {
        for (key, count) in [
            ("breaker.threshold", self.threshold),
            ("breaker.lease_losses", self.lease_losses),
        ] {
            checks.require(count >= 1, &[key], || {
                "0 is too few: at least 1 is needed (one agent's breaker can be disabled, all can't)".to_owned()
            });
        }
        checks.require((0.0..=0.5).contains(&self.jitter), &["breaker.jitter"], || {
            format!("{} is outside 0.0 to 0.5", self.jitter)
        });
        checks.require(!self.decay.is_zero(), &["breaker.decay"], || {
            "0s is too short: more than nothing is needed".to_owned()
        });
        ordered(checks, ["breaker.base", "breaker.max"], self.base, self.max);
    }
}
