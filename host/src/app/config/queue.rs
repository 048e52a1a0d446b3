//! `[queue]`: how work items are kept, leased and retried.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    formats::{format_span, span},
    problem::Checks,
};
use crate::domain::lease::LeaseTerms;

pub const MAX_LENGTH: u64 = 10_000;
pub const FAIRNESS: u32 = 10;
pub const MAX_ATTEMPTS: u32 = 5;
pub const RETRY_BASE: Duration = Duration::from_secs(5);
pub const RETRY_MAX: Duration = Duration::from_secs(600);
pub const ITEM_LEASE: Duration = Duration::from_secs(30);
pub const LEASE_MARGIN: Duration = Duration::from_secs(2);
pub const SWEEP_EVERY: Duration = Duration::from_secs(1);
pub const COOL_DOWN_BASE: Duration = Duration::from_secs(5);
pub const COOL_DOWN_MAX: Duration = Duration::from_secs(300);
pub const KEEP_RESULTS: Duration = Duration::from_secs(3600);
/// Thirty days.
pub const KEEP_EFFECTS: Duration = Duration::from_secs(30 * 86_400);
pub const KEEP_EVENTS: u64 = 10_000;

/// A lease is renewed so many times in its length.
const RENEWALS: u32 = 3;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueConfig {
    /// Queued, waiting and held items per priority; at the limit polling stops and submits are answered 429.
    pub max_length: u64,
    /// One in so many claims goes to the oldest item of lower priority; 0 is strict priority.
    pub fairness: u32,
    /// Tries of a direct item before it is a dead letter.
    pub max_attempts: u32,
    /// The first wait between tries; each doubles the one before.
    #[serde(with = "span")]
    pub retry_base: Duration,
    #[serde(with = "span")]
    pub retry_max: Duration,
    /// How long a claim outlives its last renewal (three per lease): how long a dead host keeps its items.
    #[serde(with = "span")]
    pub item_lease: Duration,
    /// How much earlier than the lease's end a host starts no more effects.
    #[serde(with = "span")]
    pub lease_margin: Duration,
    /// Between two looks for claims that ran out and items that are due.
    #[serde(with = "span")]
    pub sweep_every: Duration,
    /// How long an agent rests after an end that counts against nobody; each in a row doubles the one before.
    #[serde(with = "span")]
    pub cool_down_base: Duration,
    #[serde(with = "span")]
    pub cool_down_max: Duration,
    /// How long done items can be asked for, and repeated calls get their first answer.
    #[serde(with = "span")]
    pub keep_results: Duration,
    /// How long it is remembered what agents posted: as long as a notification may come back unread.
    #[serde(with = "span")]
    pub keep_effects: Duration,
    /// How many events are kept.
    pub keep_events: u64,
}

impl Default for QueueConfig {
    fn default() -> QueueConfig {
        QueueConfig {
            max_length: MAX_LENGTH,
            fairness: FAIRNESS,
            max_attempts: MAX_ATTEMPTS,
            retry_base: RETRY_BASE,
            retry_max: RETRY_MAX,
            item_lease: ITEM_LEASE,
            lease_margin: LEASE_MARGIN,
            sweep_every: SWEEP_EVERY,
            cool_down_base: COOL_DOWN_BASE,
            cool_down_max: COOL_DOWN_MAX,
            keep_results: KEEP_RESULTS,
            keep_effects: KEEP_EFFECTS,
            keep_events: KEEP_EVENTS,
        }
    }
}

impl QueueConfig {
    pub fn item_lease(&self) -> LeaseTerms {
        LeaseTerms {
            length: self.item_lease,
            margin: self.lease_margin,
        }
    }

    /// How often a claim is renewed.
    pub fn renew_every(&self) -> Duration {
        self.item_lease / RENEWALS
    }

    pub(super) fn check(&self, checks: &mut Checks) {
        checks.require(self.max_length >= 1, &["queue.max_length"], || {
            "0 is too short: at least 1 is needed".to_owned()
        });
        checks.require(self.keep_events >= 1, &["queue.keep_events"], || {
            "0 is too few: at least 1 is needed".to_owned()
        });
        checks.require((1..=100).contains(&self.max_attempts), &["queue.max_attempts"], || {
            format!("{} is outside 1 to 100", self.max_attempts)
        });
        let least = self.renew_every() * 2 + self.lease_margin;
        checks.require(
            self.item_lease > least,
            &["queue.item_lease", "queue.lease_margin"],
            || {
                format!(
                    "{} is too short: it is renewed every third of it, and has to be more than two renewals + \
                 queue.lease_margin ({}), so more than {}",
                    format_span(self.item_lease),
                    format_span(self.lease_margin),
                    format_span(self.lease_margin * RENEWALS),
                )
            },
        );
        checks.require(!self.sweep_every.is_zero(), &["queue.sweep_every"], || {
            "0s is too short: more than nothing is needed".to_owned()
        });
        checks.require(
            self.keep_results >= self.item_lease,
            &["queue.keep_results", "queue.item_lease"],
            || {
                format!(
                    "{} is too short: at least queue.item_lease ({}) is needed to recognise repeated calls",
                    format_span(self.keep_results),
                    format_span(self.item_lease)
                )
            },
        );
        ordered(
            checks,
            ["queue.retry_base", "queue.retry_max"],
            self.retry_base,
            self.retry_max,
        );
        ordered(
            checks,
            ["queue.cool_down_base", "queue.cool_down_max"],
            self.cool_down_base,
            self.cool_down_max,
        );
    }
}

/// A first wait is more than nothing and at most the longest.
pub(super) fn ordered(checks: &mut Checks, keys: [&'static str; 2], first: Duration, longest: Duration) {
    checks.require(!first.is_zero(), &keys[..1], || {
        "0s is too short: more than nothing is needed".to_owned()
    });
    checks.require(first <= longest, &keys, || {
        format!(
            "{} is more than {}, which is {}",
            format_span(first),
            keys[1],
            format_span(longest)
        )
    });
}
