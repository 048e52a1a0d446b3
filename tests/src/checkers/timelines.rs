//! What the store has lived through, as it knows it itself: one timeline after another, of which each ends with a loss.
//!
//! A store that comes back empty knows nothing of what was before. A replica that takes a primary's place knows what had
//! been copied: promises hold over that and what follows, and over all that the primary had seen until it died. What was
//! written between is in the first of these timelines only. Redis answers before it copies, so nothing more can be asked
//! for; `min-replicas-to-write` bounds how much that is, and a failover that waits (`FAILOVER`) loses nothing.

use crate::history::{At, NEVER, Nemesis, Record, What};

pub(super) fn of(history: &[Record]) -> Vec<Vec<Record>> {
    let (mut all, mut known, mut after) = (Vec::new(), Vec::new(), At::ZERO);
    for cut in history {
        let copied = match cut.what {
            What::Nemesis(Nemesis::DataLost) => {
                known.extend(between(history, after, cut.from));
                // What happened while the data was being lost may have been done before or after.
                let meanwhile = |record: &&Record| {
                    let answered = record.until >= cut.from && record.until != NEVER;
                    record.from >= after && record.from < cut.until && answered
                };
                history.iter().filter(meanwhile).filter_map(unknown).collect()
            }
            What::Nemesis(Nemesis::FailedOver { alone }) => {
                known.extend(between(history, after, cut.until));
                copied(&known, cut, alone)
            }
            _ => continue,
        };
        all.push(known);
        (known, after) = (copied, cut.until);
    }
    known.extend(between(history, after, NEVER));
    all.push(known);
    all
}

fn between(history: &[Record], after: At, before: At) -> impl Iterator<Item = Record> {
    let within = move |record: &&Record| {
        record.from >= after && (record.until < before || record.until == NEVER) && record.from < before
    };
    history.iter().filter(within).cloned()
}

/// What a replica has of all that was known; of what came or was under way while it was last copied to, nobody knows.
fn copied(known: &[Record], cut: &Record, alone: At) -> Vec<Record> {
    let kept = known
        .iter()
        .filter(|record| record.from < alone)
        .map(|record| match record.until {
            until if until < cut.from => record.clone(),
            _ => unknown(record).unwrap_or_else(|| record.clone()),
        });
    kept.chain([cut.clone()]).collect()
}

/// A call of which nobody knows whether it was done.
fn unknown(record: &Record) -> Option<Record> {
    match record.what.clone() {
        What::Store(call) | What::Unknown(call) => Some(Record {
            until: NEVER,
            what: What::Unknown(call.of_unknown_outcome()),
            ..record.clone()
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::history::StoreCall;

    fn record(from: u64, until: u64, what: What) -> Record {
        Record {
            from: Duration::from_secs(from),
            until: Duration::from_secs(until),
            host: "h1".to_owned(),
            what,
        }
    }

    fn won(from: u64, until: u64, term: u64) -> Record {
        record(
            from,
            until,
            What::Store(StoreCall::Acquire {
                holder: "h1/1".to_owned(),
                lease: Duration::from_secs(3),
                term: Some(term),
                held: false,
            }),
        )
    }

    #[test]
    fn a_replica_knows_what_was_copied_and_an_empty_store_nothing() {
        let (early, across, lost, late) = (won(1, 2, 1), won(4, 6, 2), won(8, 9, 3), won(11, 12, 2));
        let alone = Duration::from_secs(7);
        let cut = |what| record(5, 10, What::Nemesis(what));
        let history = |what| [early.clone(), across.clone(), cut(what), lost.clone(), late.clone()];
        let both = of(&history(Nemesis::FailedOver { alone }));
        assert_eq!(both.len(), 2);
        assert_eq!(both[0], [early.clone(), across.clone(), lost.clone()]);
        let terms = |timeline: &[Record]| -> Vec<Option<u64>> {
            let calls = timeline.iter().filter_map(|record| match &record.what {
                What::Store(StoreCall::Acquire { term, .. }) | What::Unknown(StoreCall::Acquire { term, .. }) => {
                    Some(*term)
                }
                _ => None,
            });
            calls.collect()
        };
        assert_eq!(terms(&both[1]), [Some(1), None, Some(2)]);
        let emptied = of(&history(Nemesis::DataLost));
        assert_eq!(emptied[0], [early]);
        assert_eq!(
            terms(&emptied[1]),
            [None, None, Some(2)],
            "before the loss, or after it"
        );
    }
}
