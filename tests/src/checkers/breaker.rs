//! I8: a breaker that has opened lets nobody through before its time, and then one probe at a time; and only what the
//! guest did counts.

use std::collections::HashMap;

use super::{Rules, Violation, calls};
use crate::history::{Claim, Ended, Record, StoreCall};

/// Ends that count against nobody (DESIGN §7).
const UNCOUNTED: [&str; 7] = [
    "ok",
    "upstream",
    "denied_by_budget",
    "cancelled",
    "lease_lost",
    "host_fault",
    "plugin_unavailable",
];

/// An agent's breaker, as the ends of its activations make it.
#[derive(Default)]
struct Seen<'a> {
    failures: u32,
    /// The end that opened it, until an activation goes well.
    opened: Option<&'a Record>,
}

pub(super) fn check(epoch: &[&Record], rules: &Rules) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut agents: HashMap<&str, &str> = HashMap::new();
    let mut breakers: HashMap<&str, Seen<'_>> = HashMap::new();
    for (record, call, answered) in calls(epoch) {
        match call {
            StoreCall::Claim { claims, .. } => {
                for claim in claims {
                    agents.insert(&claim.item, &claim.agent);
                    let opened = breakers.get(claim.agent.as_str()).and_then(|seen| seen.opened);
                    found.extend(opened.and_then(|opened| too_soon(opened, record, claim, rules)));
                }
            }
            StoreCall::Complete {
                item,
                reason,
                counted,
                ended,
                ..
            } if *ended != Ended::Stale => {
                if *counted == UNCOUNTED.contains(&reason.as_str()) {
                    let why = format!(
                        "an end as {reason} was taken as {}",
                        if *counted { "counted" } else { "uncounted" }
                    );
                    found.push(Violation::new("I8", why, &[record]));
                }
                let Some(agent) = agents.get(item.as_str()) else {
                    continue;
                };
                let seen = breakers.entry(agent).or_default();
                if !answered || reason == "ok" {
                    // Of what is not known, the best is assumed.
                    *seen = Seen::default();
                } else if *counted {
                    seen.failures += 1;
                    if seen.failures >= rules.breaker_threshold {
                        seen.opened = Some(record);
                    }
                }
            }
            _ => {}
        }
    }
    found
}

fn too_soon(opened: &Record, record: &Record, claim: &Claim, rules: &Rules) -> Option<Violation> {
    if record.from <= opened.until {
        return None;
    }
    let shortest = rules.breaker_base.mul_f64(1.0 - rules.breaker_jitter);
    if record.until < opened.from + shortest {
        let why = format!("{} was claimed while its breaker was open", claim.agent);
        return Some(Violation::new("I8", why, &[opened, record]));
    }
    if !claim.probe {
        let why = format!(
            "{} was claimed without being a probe, though its breaker had opened",
            claim.agent
        );
        return Some(Violation::new("I8", why, &[opened, record]));
    }
    None
}
