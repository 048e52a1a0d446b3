//! `[leader]`: the leader's lease.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    formats::{format_span, span},
    problem::Checks,
};
use crate::domain::{
    lease::LeaseTerms,
    preference::{Preference, Wanted},
};

pub const TTL: Duration = Duration::from_secs(9);
pub const RENEW_EVERY: Duration = Duration::from_secs(3);
pub const MARGIN: Duration = Duration::from_secs(1);
pub const STORE_TIMEOUT: Duration = Duration::from_secs(2);
/// Weights lie within this, so that being ready always counts for more.
const MOST_WEIGHT: i32 = 1000;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LeaderConfig {
    /// How long the lease outlives its last renewal: how long a cluster is without a leader after a crash.
    #[serde(with = "span")]
    pub ttl: Duration,
    #[serde(with = "span")]
    pub renew_every: Duration,
    /// How much earlier than the lease's end the leader stops, for clocks that differ and for what it does last.
    #[serde(with = "span")]
    pub margin: Duration,
    /// For every call to the store.
    #[serde(with = "span")]
    pub store_timeout: Duration,
    /// How much this host is wanted as the leader: on a vacancy a host goes first that has more.
    pub weight: i32,
    /// `label=value` of hosts that are wanted as the leader: each that is among this host's labels adds one to its weight.
    pub prefer: Vec<String>,
}

impl Default for LeaderConfig {
    fn default() -> LeaderConfig {
        LeaderConfig {
            ttl: TTL,
            renew_every: RENEW_EVERY,
            margin: MARGIN,
            store_timeout: STORE_TIMEOUT,
            weight: 0,
            prefer: Vec::new(),
        }
    }
}

impl LeaderConfig {
    pub fn terms(&self) -> LeaseTerms {
        LeaseTerms {
            length: self.ttl,
            margin: self.margin,
        }
    }

    /// How much a host with these labels is wanted.
    pub fn preference(&self, labels: &BTreeMap<String, String>) -> Preference {
        let wanted: Vec<Wanted> = self.prefer.iter().filter_map(|text| Wanted::parse(text)).collect();
        Preference::new(self.weight, &wanted, labels)
    }

    pub(super) fn check(&self, checks: &mut Checks) {
        checks.require(
            (-MOST_WEIGHT..=MOST_WEIGHT).contains(&self.weight),
            &["leader.weight"],
            || format!("{} is outside -{MOST_WEIGHT} to {MOST_WEIGHT}", self.weight),
        );
        for text in &self.prefer {
            checks.require(Wanted::parse(text).is_some(), &["leader.prefer"], || {
                format!("{text:?} is no label of a host: it is written label=value, such as \"zone=a\"")
            });
        }
        let least = self.renew_every.saturating_mul(2).saturating_add(self.margin);
        checks.require(
            self.ttl > least,
            &["leader.ttl", "leader.renew_every", "leader.margin"],
            || {
                format!(
                    "{} is too short: one lost renewal must not end a leadership, so it has to be more than \
                     2 × leader.renew_every ({}) + leader.margin ({}) = {}",
                    format_span(self.ttl),
                    format_span(self.renew_every),
                    format_span(self.margin),
                    format_span(least),
                )
            },
        );
        for (key, span) in [
            ("leader.renew_every", self.renew_every),
            ("leader.store_timeout", self.store_timeout),
        ] {
            checks.require(!span.is_zero(), &[key], || {
                "0s is too short: more than nothing is needed".to_owned()
            });
        }
        let left = self.ttl.saturating_sub(self.margin).saturating_sub(self.renew_every);
        checks.require(
            self.ttl <= least || self.store_timeout <= left,
            &[
                "leader.store_timeout",
                "leader.ttl",
                "leader.renew_every",
                "leader.margin",
            ],
            || {
                format!(
                    "{} is too long: a renewal that hangs must give up while the lease still holds, so at most \
                     leader.ttl − leader.margin − leader.renew_every = {} is allowed",
                    format_span(self.store_timeout),
                    format_span(left),
                )
            },
        );
    }
}
