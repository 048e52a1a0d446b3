//! I8: a breaker that has opened lets nobody through before its time, and then one probe at a time; and only what the
//! guest did counts.

use std::collections::{HashMap, HashSet};

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
    let mut told = HashSet::new();
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
                token,
                reason,
                counted,
                ended,
            } if *ended != Ended::Stale => {
                if *counted == UNCOUNTED.contains(&reason.as_str()) {
                    let why = format!(
                        "an end as {reason} was taken as {}",
                        if *counted { "counted" } else { "uncounted" }
                    );
                    found.push(Violation::new("I8", why, &[record]));
                }
                // A host that has waited too long for the answer asks again, and both are answered: it is one end.
                let repeat = told.contains(token);
                if answered {
                    told.insert(token);
                }
                let Some(agent) = agents.get(item.as_str()).filter(|_| !repeat) else {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::history::What;

    const AGENT: &str = "a";

    fn record(seconds: u64, call: StoreCall) -> Record {
        let at = Duration::from_secs(seconds);
        Record {
            from: at,
            until: at,
            host: "h1".to_owned(),
            what: What::Store(call),
        }
    }

    fn claim(seconds: u64, n: u64) -> Record {
        let claim = Claim {
            token: format!("t{n}"),
            item: format!("i{n}"),
            agent: AGENT.to_owned(),
            rank: 0,
            probe: false,
        };
        let call = StoreCall::Claim {
            lease: Duration::from_secs(3),
            tokens: vec![claim.token.clone()],
            claims: vec![claim],
        };
        record(seconds, call)
    }

    fn trap(seconds: u64, n: u64) -> Record {
        let call = StoreCall::Complete {
            item: format!("i{n}"),
            token: format!("t{n}"),
            reason: "trap".to_owned(),
            counted: true,
            ended: Ended::Dead,
        };
        record(seconds, call)
    }

    fn found(history: &[Record]) -> usize {
        let history: Vec<&Record> = history.iter().collect();
        check(&history, &Rules::of_the_harness()).len()
    }

    #[test]
    fn a_claim_that_is_no_probe_is_found_where_the_breaker_has_opened() {
        let mut history = Vec::new();
        for n in 0..3 {
            history.extend([claim(10 * n, n), trap(10 * n + 1, n)]);
        }
        assert_eq!(found(&history), 0);
        history.push(claim(100, 3));
        assert_eq!(found(&history), 1);
    }

    #[test]
    fn an_end_that_is_told_twice_counts_once() {
        let mut history = Vec::new();
        for n in 0..2 {
            history.extend([claim(10 * n, n), trap(10 * n + 1, n), trap(10 * n + 2, n)]);
        }
        history.push(claim(100, 2));
        assert_eq!(found(&history), 0);
    }
}
