//! I6 and I9: what a host leaves behind is found by the first sweep after its lease, and a host that ends cleanly leaves
//! nothing behind.

use super::{
    Violation, calls,
    claims::{Life, lives},
};
use crate::history::{At, NEVER, Nemesis, Record, StoreCall, What};

pub(super) fn check(epoch: &[&Record]) -> Vec<Violation> {
    let lives = lives(epoch);
    let mut found: Vec<Violation> = lives
        .iter()
        .filter_map(|life| passed_over(life, &lives, epoch))
        .collect();
    found.extend(left_behind(&lives, epoch));
    found
}

/// When the item of a claim that nobody ended can have been recovered at the earliest.
fn recovered(life: &Life<'_>, lives: &[Life<'_>], epoch: &[&Record]) -> At {
    let after = |record: &Record| record.until > life.record.from;
    let swept = calls(epoch).filter_map(|(record, call, answered)| {
        let may = match call {
            StoreCall::Sweep { recovered, .. } => !answered || recovered.contains(&life.claim.item),
            _ => false,
        };
        (may && after(record)).then_some(record.from)
    });
    let again = lives.iter().filter(|next| {
        next.claim.item == life.claim.item
            && next.claim.token != life.claim.token
            && next.record.from > life.record.from
    });
    swept.chain(again.map(|next| next.record.from)).min().unwrap_or(NEVER)
}

/// A sweep that began after the claim's lease had run out, and did not recover its item.
fn passed_over(life: &Life<'_>, lives: &[Life<'_>], epoch: &[&Record]) -> Option<Violation> {
    let ended = life.lasts_at_most();
    if life.may_end != NEVER || ended == NEVER {
        return None;
    }
    let recovered = recovered(life, lives, epoch);
    let (sweep, _, _) = calls(epoch).find(|(record, call, answered)| {
        *answered
            && matches!(call, StoreCall::Sweep { whole: true, .. })
            && record.from > ended
            && record.until < recovered
    })?;
    let why = format!("a sweep passed over item {}, whose claim had run out", life.claim.item);
    let last = life.extended.last().map_or(life.record, |extension| extension.record);
    Some(Violation::new("I6", why, &[life.record, last, sweep]))
}

/// A claim of a host that ended cleanly, and neither ended nor gave it back.
fn left_behind(lives: &[Life<'_>], epoch: &[&Record]) -> Vec<Violation> {
    let mut found = Vec::new();
    for end in epoch {
        if end.what != What::Nemesis(Nemesis::Terminated { clean: true }) {
            continue;
        }
        // A replica that took over may not know that a claim had ended; nobody gives that back.
        let started = |record: &&&Record| {
            let own = record.host == end.host && record.what == What::Nemesis(Nemesis::Started);
            record.from < end.from && (own || matches!(record.what, What::Nemesis(Nemesis::FailedOver { .. })))
        };
        let since = epoch
            .iter()
            .filter(started)
            .map(|record| record.until)
            .max()
            .unwrap_or_default();
        let own = lives
            .iter()
            .filter(|life| life.record.host == end.host && life.record.from > since && life.record.from < end.until);
        for life in own {
            // One that was lost on the way is nobody's to give back.
            if life.may_end == NEVER && recovered(life, lives, epoch) > end.until {
                let why = format!("a host ended cleanly and left item {} behind", life.claim.item);
                found.push(Violation::new("I9", why, &[life.record, end]));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::history::Claim;

    fn record(seconds: u64, host: &str, what: What) -> Record {
        let at = Duration::from_secs(seconds);
        let host = host.to_owned();
        Record {
            from: at,
            until: at,
            host,
            what,
        }
    }

    fn sweep(seconds: u64, recovered: &[&str]) -> Record {
        let recovered = recovered.iter().map(ToString::to_string).collect();
        record(seconds, "h2", What::Store(StoreCall::Sweep { recovered, whole: true }))
    }

    fn claim(seconds: u64) -> Record {
        let claim = Claim {
            token: "t".to_owned(),
            item: "i".to_owned(),
            agent: "a".to_owned(),
            rank: 0,
            probe: false,
        };
        let (lease, tokens, claims) = (Duration::from_secs(3), Vec::new(), vec![claim]);
        record(seconds, "h1", What::Store(StoreCall::Claim { lease, tokens, claims }))
    }

    #[test]
    fn a_sweep_that_leaves_what_ran_out_is_found() {
        let (claim, early) = (claim(1), sweep(3, &[]));
        let (blind, good) = (sweep(5, &[]), sweep(6, &["i"]));
        assert!(check(&[&claim, &early, &good]).is_empty());
        assert_eq!(check(&[&claim, &early, &blind, &good])[0].promise, "I6");
        assert_eq!(check(&[&claim, &blind])[0].promise, "I6");
    }

    #[test]
    fn a_clean_end_with_a_claim_is_found() {
        let (claim, ended) = (
            claim(1),
            record(2, "h1", What::Nemesis(Nemesis::Terminated { clean: true })),
        );
        assert_eq!(check(&[&claim, &ended])[0].promise, "I9");
        let killed = record(2, "h1", What::Nemesis(Nemesis::Killed));
        assert!(check(&[&claim, &killed]).is_empty());
    }
}
