//! I5: an item that is ready is overtaken by one of lower priority no more often than the fairness share allows.

use std::collections::HashMap;

use super::{Rules, Violation, calls};
use crate::history::{At, Claim, NewItem, Record, StoreCall};

/// Overtakings on top of the share: the count in the store began before the history, and calls pass each other.
const LEEWAY: usize = 2;

/// An item from when it was ready to when it was claimed.
struct Wait<'a> {
    item: &'a NewItem,
    since: &'a Record,
    claimed: At,
}

pub(super) fn check(epoch: &[&Record], rules: &Rules) -> Vec<Violation> {
    let claims: Vec<(&Record, &Claim)> = calls(epoch)
        .filter_map(|(record, call, _)| match call {
            StoreCall::Claim { claims, .. } => Some((record, claims)),
            _ => None,
        })
        .flat_map(|(record, claims)| claims.iter().map(move |claim| (record, claim)))
        .collect();
    let waits = waits(epoch, &claims);
    let mut overtaken: Vec<(&Record, &Wait<'_>)> = Vec::new();
    for (record, claim) in &claims {
        let ready = |wait: &&Wait<'_>| {
            wait.item.rank < claim.rank && wait.since.until < record.from && wait.claimed > record.until
        };
        if let Some(wait) = waits.iter().find(ready) {
            overtaken.push((record, wait));
        }
    }
    let most = match rules.fairness {
        0 => 0,
        fairness => claims.len() / fairness as usize + LEEWAY,
    };
    if overtaken.len() <= most {
        return Vec::new();
    }
    let (record, wait) = overtaken[most];
    let why = format!(
        "{} of {} claims passed over an item of higher priority that was ready, and {most} may",
        overtaken.len(),
        claims.len()
    );
    vec![Violation::new("I5", why, &[wait.since, record])]
}

/// Items that were ready all the time until they were claimed: nothing else of their agent was claimed meanwhile.
fn waits<'a>(epoch: &[&'a Record], claims: &[(&Record, &Claim)]) -> Vec<Wait<'a>> {
    let mut first_claim: HashMap<&str, At> = HashMap::new();
    for (record, claim) in claims {
        let at = first_claim.entry(&claim.item).or_insert(record.from);
        *at = (*at).min(record.from);
    }
    let mut waits = Vec::new();
    for (record, call, answered) in calls(epoch) {
        let StoreCall::Enqueue { items } = call else { continue };
        for item in items.iter().filter(|item| answered && item.queued) {
            let Some(claimed) = first_claim.get(item.id.as_str()).copied() else {
                continue;
            };
            let disturbed = claims.iter().any(|(other, claim)| {
                claim.agent == item.agent
                    && claim.item != item.id
                    && other.until >= record.from
                    && other.from <= claimed
            });
            if !disturbed {
                waits.push(Wait {
                    item,
                    since: record,
                    claimed,
                });
            }
        }
    }
    waits
}
