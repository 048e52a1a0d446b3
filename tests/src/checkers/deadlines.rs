//! I2 and I12: no host starts what needs a lease after the lease's local deadline. A deadline counts from when its renewal
//! was sent; here, from when the renewal passed the proxy, which is never sooner.

use std::{collections::HashMap, time::Duration};

use super::{Rules, Violation, calls};
use crate::history::{At, Nemesis, Record, StoreCall, What};

/// Between the look at the deadline and the request's arrival, on a machine that is busy with something else.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// From when on a host may do something, until when, and why.
struct Leave<'a> {
    from: At,
    until: At,
    record: &'a Record,
}

pub(super) fn check(epoch: &[&Record], rules: &Rules) -> Vec<Violation> {
    let mut leads: HashMap<&str, Vec<Leave<'_>>> = HashMap::new();
    let mut acts: HashMap<(&str, &str), Vec<Leave<'_>>> = HashMap::new();
    let mut agents: HashMap<&str, &str> = HashMap::new();
    for (record, call, _) in calls(epoch) {
        let leave = |lease: &Duration| Leave {
            from: record.from,
            until: record.from + lease.saturating_sub(rules.margin),
            record,
        };
        match call {
            StoreCall::Acquire {
                lease, term: Some(_), ..
            }
            | StoreCall::Fenced {
                lease: Some(lease),
                applied: true,
                ..
            } => leads.entry(&record.host).or_default().push(leave(lease)),
            // Who gives the leadership up has stopped its work before.
            StoreCall::Release { .. } => {
                for leave in leads.entry(&record.host).or_default() {
                    leave.until = leave.until.min(record.from);
                }
            }
            StoreCall::Claim { lease, claims, .. } => {
                for claim in claims {
                    agents.insert(&claim.token, &claim.agent);
                    acts.entry((&record.host, &claim.agent)).or_default().push(leave(lease));
                }
            }
            StoreCall::Renew { lease, claims, held } => {
                let tokens = claims.iter().zip(held).filter(|(_, held)| **held);
                for agent in tokens.filter_map(|((_, token), _)| agents.get(token.as_str())) {
                    acts.entry((&record.host, agent)).or_default().push(leave(lease));
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    for record in epoch {
        let leading = leads.get(record.host.as_str());
        let (promise, what, leaves) = match &record.what {
            What::Leads(true) => ("I2", "the host said that it leads", leading),
            What::Request { path, .. } if path.contains("/notifications/poll") || path.contains("/agents?") => {
                ("I2", "the Hub was polled", leading)
            }
            What::Request { method, path, agent } if method == "POST" && is_effect(path) => {
                let acting = acts.get(&(record.host.as_str(), agent.as_str()));
                ("I12", "an effect was started", acting)
            }
            _ => continue,
        };
        if let Some(broken) = late(record, leaves.map_or(&[], Vec::as_slice), epoch) {
            let why = format!("{what} after the lease's local deadline");
            let excerpt: Vec<&Record> = broken.into_iter().chain([*record]).collect();
            found.push(Violation::new(promise, why, &excerpt));
        }
    }
    found
}

fn is_effect(path: &str) -> bool {
    path.ends_with("/comments") || path.ends_with("/posts")
}

/// The last leave before a request that had none; a list, because there may have been none ever.
fn late<'a>(request: &Record, leaves: &[Leave<'a>], epoch: &[&'a Record]) -> Option<Vec<&'a Record>> {
    let before = || leaves.iter().filter(|leave| leave.from <= request.from);
    let last = before().max_by_key(|leave| leave.until);
    if last.is_some_and(|leave| request.from <= leave.until + ON_ITS_WAY) {
        return None;
    }
    // What was under way when the host was stopped comes when it goes on.
    let mut continued = epoch.iter().filter(|record| {
        record.what == What::Nemesis(Nemesis::Continued)
            && record.host == request.host
            && record.from <= request.from
            && request.from <= record.from + ON_ITS_WAY
    });
    if continued.next().is_some() {
        return None;
    }
    Some(last.map(|leave| leave.record).into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_after_the_deadline_is_found() {
        let record = |seconds: u64, what| Record {
            from: Duration::from_secs(seconds),
            until: Duration::from_secs(seconds),
            host: "h1".to_owned(),
            what,
        };
        let won = record(
            1,
            What::Store(StoreCall::Acquire {
                holder: "h1/1".to_owned(),
                lease: Duration::from_secs(3),
                term: Some(1),
                held: false,
            }),
        );
        let poll = |seconds| {
            let (method, path) = ("GET".to_owned(), "/api/v1/notifications/poll?timeout=2".to_owned());
            let agent = String::new();
            record(seconds, What::Request { method, path, agent })
        };
        let rules = Rules::of_the_harness();
        let (timely, late) = (poll(3), poll(6));
        let (holder, term, applied) = ("h1/1".to_owned(), 1, true);
        let released = record(1, What::Store(StoreCall::Release { holder, term, applied }));
        assert_eq!(check(&[&won, &released, &timely], &rules)[0].promise, "I2");
        assert!(check(&[&won, &timely], &rules).is_empty());
        assert_eq!(check(&[&won, &timely, &late], &rules)[0].promise, "I2");
        let continued = record(6, What::Nemesis(Nemesis::Continued));
        assert!(check(&[&won, &continued, &late], &rules).is_empty());
    }
}
