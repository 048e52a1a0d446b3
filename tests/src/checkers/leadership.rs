//! I1: terms grow, a lease is nobody else's while it lasts, and no leader-only write is applied without it.

use std::{collections::HashMap, time::Duration};

use super::{Violation, calls};
use crate::history::{At, NEVER, Record, StoreCall, What};

/// What times may differ by that two processes of one machine take.
const BLINK: Duration = Duration::from_millis(50);

/// A lease won or renewed.
struct Extension<'a> {
    record: &'a Record,
    holder: &'a str,
    term: u64,
    lease: Duration,
    /// It was won, not renewed.
    won: bool,
    answered: bool,
}

impl Extension<'_> {
    /// When it can have ended at the earliest, and at the latest.
    fn ends(&self) -> (At, At) {
        (
            self.record.from + self.lease,
            self.record.until.saturating_add(self.lease),
        )
    }
}

pub(super) fn check(epoch: &[&Record]) -> Vec<Violation> {
    let extensions: Vec<Extension<'_>> = calls(epoch).filter_map(extension).collect();
    let mut found = terms(&extensions);
    found.extend(overlaps(&extensions, epoch));
    found.extend(writes(&extensions, epoch));
    found.extend(refused_bids(&extensions, epoch));
    found
}

fn extension<'a>((record, call, answered): (&'a Record, &'a StoreCall, bool)) -> Option<Extension<'a>> {
    let (holder, term, lease, won) = match call {
        StoreCall::Acquire {
            holder,
            lease,
            term: Some(term),
            ..
        } => (holder, *term, *lease, true),
        StoreCall::Fenced {
            holder,
            term,
            lease: Some(lease),
            applied: true,
            ..
        } => (holder, *term, *lease, false),
        _ => return None,
    };
    Some(Extension {
        record,
        holder,
        term,
        lease,
        won,
        answered,
    })
}

fn terms(extensions: &[Extension<'_>]) -> Vec<Violation> {
    let won: Vec<_> = extensions.iter().filter(|extension| extension.won).collect();
    let mut found = Vec::new();
    for (at, a) in won.iter().enumerate() {
        for b in won[at + 1..].iter().filter(|b| b.holder != a.holder) {
            if a.term == b.term {
                let why = format!("term {} was won twice", a.term);
                found.push(Violation::new("I1", why, &[a.record, b.record]));
            } else if a.record.until < b.record.from && a.term > b.term {
                let why = format!("term {} came after term {}", b.term, a.term);
                found.push(Violation::new("I1", why, &[a.record, b.record]));
            }
        }
    }
    found
}

/// A lease that was won while another's had certainly not ended.
fn overlaps(extensions: &[Extension<'_>], epoch: &[&Record]) -> Vec<Violation> {
    let mut found = Vec::new();
    for b in extensions.iter().filter(|extension| extension.won) {
        let held = extensions.iter().find(|a| {
            let before = a.answered && a.holder != b.holder && a.record.until < b.record.from;
            before && b.record.until < a.ends().0.saturating_sub(BLINK) && !released(epoch, a, b.record.until)
        });
        if let Some(a) = held {
            found.push(Violation::new(
                "I1",
                "a lease was won while it was held",
                &[a.record, b.record],
            ));
        }
    }
    found
}

/// A term that two hosts say they have led. Of a store that has lost its data, what was said before it may come after.
pub(super) fn told(epoch: &[&Record]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut leaders: HashMap<&str, &Record> = HashMap::new();
    for record in epoch {
        let What::Event { kind, detail } = &record.what else {
            continue;
        };
        if kind != "became_leader" {
            continue;
        }
        let first = *leaders.entry(detail).or_insert(record);
        if first.host != record.host {
            found.push(Violation::new(
                "I1",
                format!("two hosts led in {detail}"),
                &[first, record],
            ));
        }
    }
    found
}

fn released(epoch: &[&Record], a: &Extension<'_>, before: At) -> bool {
    calls(epoch).any(|(record, call, _)| {
        matches!(call, StoreCall::Release { holder, term, .. } if holder == a.holder && *term == a.term)
            && record.from < before
            && record.until > a.record.from
    })
}

fn writes(extensions: &[Extension<'_>], epoch: &[&Record]) -> Vec<Violation> {
    let mut found = Vec::new();
    for (record, call, answered) in calls(epoch) {
        let StoreCall::Fenced {
            script,
            holder,
            term,
            applied: true,
            ..
        } = call
        else {
            continue;
        };
        if !answered {
            continue;
        }
        let later = extensions
            .iter()
            .find(|e| e.won && e.term > *term && e.record.until < record.from);
        if let Some(later) = later {
            let why = format!(
                "{script} was applied in term {term}, when term {} had begun",
                later.term
            );
            found.push(Violation::new("I1", why, &[later.record, record]));
            continue;
        }
        let given_up = epoch.iter().copied().find(|release| {
            matches!(&release.what, What::Store(StoreCall::Release { holder: by, term: of, applied: true })
                if by == holder && of == term)
                && release.until < record.from
        });
        if let Some(given_up) = given_up {
            let why = format!("{script} was applied in term {term}, which had been given up");
            found.push(Violation::new("I1", why, &[given_up, record]));
            continue;
        }
        let own = || {
            extensions
                .iter()
                .filter(|e| e.term == *term && e.record.from <= record.from)
        };
        if let Some(other) = own().find(|e| e.won && e.holder != holder) {
            let why = format!("{script} was applied in term {term}, which is another's");
            found.push(Violation::new("I1", why, &[other.record, record]));
            continue;
        }
        match own()
            .filter(|e| e.holder == holder && !std::ptr::eq(e.record, record))
            .max_by_key(|e| e.ends().1)
        {
            None if !starts_within(epoch, record) => {
                let why =
                    format!("{script} was applied in term {term}, which was not won since the store has its data");
                found.push(Violation::new("I7", why, &[record]));
            }
            Some(last) if last.record.until != NEVER && last.ends().1 + BLINK < record.from => {
                let why = format!("{script} was applied in term {term}, whose lease had run out");
                found.push(Violation::new("I1", why, &[last.record, record]));
            }
            _ => {}
        }
    }
    found
}

/// A bid for the term may be hidden in a call whose answer is not known.
fn starts_within(epoch: &[&Record], write: &Record) -> bool {
    calls(epoch).any(|(record, call, answered)| {
        !answered && matches!(call, StoreCall::Acquire { .. }) && record.host == write.host && record.from < write.from
    })
}

/// A bid that was refused although the lease was certainly free: the other side of I6.
fn refused_bids(extensions: &[Extension<'_>], epoch: &[&Record]) -> Vec<Violation> {
    let mut found = Vec::new();
    let unknown = |before: At| {
        calls(epoch).any(|(record, call, answered)| {
            let may_extend = matches!(call, StoreCall::Acquire { .. } | StoreCall::Fenced { .. });
            !answered && may_extend && record.from < before
        })
    };
    for (record, call, answered) in calls(epoch) {
        let refused = matches!(call, StoreCall::Acquire { held: true, .. }) && answered;
        if !refused || unknown(record.until) {
            continue;
        }
        let began = |e: &&Extension<'_>| e.record.from < record.until;
        let Some(last) = extensions.iter().filter(began).max_by_key(|e| e.ends().1) else {
            continue;
        };
        if last.ends().1 + BLINK < record.from {
            let why = "a bid was refused although the lease had run out";
            found.push(Violation::new("I6", why, &[last.record, record]));
        }
    }
    found
}
