//! The promises, judged over a history. Each checker is a pure function that looks for one kind of proof that a promise
//! was broken; what a history leaves open is never held against the system.

mod breaker;
mod claims;
mod deadlines;
mod effects;
mod leadership;
mod order;
mod pauses;
mod recovery;
mod stock;
mod timelines;

use std::{fmt, time::Duration};

pub use stock::resumed;

use crate::{
    cluster,
    history::{Record, StoreCall, What},
};

/// The settings of the hosts that a history is judged by.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Both leases have the same margin.
    pub margin: Duration,
    pub fairness: u32,
    pub breaker_threshold: u32,
    pub breaker_base: Duration,
    pub breaker_jitter: f64,
}

impl Rules {
    /// Those of the clusters that the harness starts.
    pub fn of_the_harness() -> Rules {
        Rules {
            margin: cluster::MARGIN,
            fairness: cluster::FAIRNESS,
            breaker_threshold: cluster::BREAKER_THRESHOLD,
            breaker_base: cluster::BREAKER_BASE,
            breaker_jitter: cluster::BREAKER_JITTER,
        }
    }
}

/// Proof that a promise was broken.
#[derive(Clone, Debug)]
pub struct Violation {
    /// `I1` to `I12`.
    pub promise: &'static str,
    pub why: String,
    /// The records that prove it, and no others.
    pub excerpt: Vec<Record>,
}

impl Violation {
    fn new(promise: &'static str, why: impl Into<String>, excerpt: &[&Record]) -> Violation {
        let mut excerpt: Vec<Record> = excerpt.iter().map(|record| (*record).clone()).collect();
        excerpt.sort_by_key(|record| record.from);
        Violation {
            promise,
            why: why.into(),
            excerpt,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} is broken: {}", self.promise, self.why)?;
        for record in &self.excerpt {
            writeln!(f, "  {record}")?;
        }
        Ok(())
    }
}

/// Every broken promise that a history proves.
pub fn judge(history: &[Record], rules: &Rules) -> Vec<Violation> {
    let mut found = Vec::new();
    let timelines = timelines::of(history);
    if let [whole] = &timelines[..] {
        found.extend(leadership::told(&whole.iter().collect::<Vec<_>>()));
    }
    for timeline in &timelines {
        let epoch: Vec<&Record> = timeline.iter().collect();
        found.extend(leadership::check(&epoch));
        found.extend(pauses::check(&epoch));
        found.extend(claims::check(&epoch));
        found.extend(order::check(&epoch, rules));
        found.extend(recovery::check(&epoch));
        found.extend(breaker::check(&epoch, rules));
    }
    // Deadlines are the hosts' own: they last whatever befalls the store.
    found.extend(deadlines::check(&history.iter().collect::<Vec<_>>(), rules));
    found.extend(stock::check(history));
    found.extend(effects::check(history));
    found
}

/// Panics with every broken promise and what proves it. `what` names the run, with its seed.
#[track_caller]
pub fn assert_kept(history: &[Record], rules: &Rules, what: &str) {
    let found = judge(history, rules);
    if found.is_empty() {
        return;
    }
    let mut text = format!("{what}: {} proofs of broken promises\n", found.len());
    for violation in found.iter().take(MOST_SHOWN) {
        text.push_str(&format!("{violation}"));
    }
    panic!("{text}");
}

const MOST_SHOWN: usize = 5;

/// Records of what hosts asked of the store, answered or not.
fn calls<'a>(epoch: &[&'a Record]) -> impl Iterator<Item = (&'a Record, &'a StoreCall, bool)> {
    epoch.iter().copied().filter_map(|record| match &record.what {
        What::Store(call) => Some((record, call, true)),
        What::Unknown(call) => Some((record, call, false)),
        _ => None,
    })
}
