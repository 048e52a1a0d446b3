//! I4 and the store's side of I12: one valid claim per agent, and nothing is applied in the name of a stale one.

use std::{collections::HashMap, time::Duration};

use super::{Violation, calls};
use crate::history::{At, Claim, Ended, NEVER, Record, StoreCall};

const BLINK: Duration = Duration::from_millis(50);

/// A claim and what became of it.
pub(super) struct Life<'a> {
    pub claim: &'a Claim,
    pub record: &'a Record,
    /// Each time it was certainly extended.
    pub extended: Vec<Extension<'a>>,
    /// Calls that may have ended it, and when the first of them can have done so.
    pub may_end: At,
}

/// A lease that began between two moments.
pub(super) struct Extension<'a> {
    from: At,
    until: At,
    lease: Duration,
    pub record: &'a Record,
}

impl Life<'_> {
    /// When it was asked for, for the first time.
    pub fn asked(&self) -> At {
        self.extended.first().map_or(self.record.from, |first| first.from)
    }

    /// The earliest moment at which its lease can have run out, as far as known at `at`.
    fn lasts(&self, at: At) -> At {
        let known = self.extended.iter().filter(|extension| extension.until < at);
        known.map(|e| e.from + e.lease).max().unwrap_or_default()
    }

    /// The latest moment at which its lease can have run out, extensions of unknown outcome included.
    pub fn lasts_at_most(&self) -> At {
        let ends = self.extended.iter().map(|e| e.until.saturating_add(e.lease));
        ends.max().unwrap_or(NEVER)
    }
}

/// Every claim of an epoch, in order.
pub(super) fn lives<'a>(epoch: &[&'a Record]) -> Vec<Life<'a>> {
    let mut lives: Vec<Life<'a>> = Vec::new();
    let mut by_token: HashMap<&str, usize> = HashMap::new();
    // A repeated call gets the first one's claims, whose leases began with the first.
    let mut first_asked: HashMap<&str, At> = HashMap::new();
    for (record, call, answered) in calls(epoch) {
        let extension = |from: At, lease: Duration| Extension {
            from,
            until: record.until,
            lease,
            record,
        };
        match call {
            StoreCall::Claim { lease, tokens, claims } => {
                for token in tokens {
                    first_asked.entry(token).or_insert(record.from);
                }
                // Of an answer that is not known, nothing is.
                for claim in claims.iter().filter(|_| answered) {
                    let at = *by_token.entry(&claim.token).or_insert(lives.len());
                    if at == lives.len() {
                        let from = first_asked.get(claim.token.as_str()).copied().unwrap_or(record.from);
                        lives.push(Life {
                            claim,
                            record,
                            extended: vec![extension(from, *lease)],
                            may_end: NEVER,
                        });
                    }
                }
            }
            StoreCall::Renew { lease, claims, held } => {
                for (n, (_, token)) in claims.iter().enumerate() {
                    if let Some(at) = by_token.get(token.as_str())
                        && (!answered || held.get(n) == Some(&true))
                    {
                        lives[*at].extended.push(extension(record.from, *lease));
                    }
                }
            }
            StoreCall::Complete { token, .. } | StoreCall::GiveBack { token, .. } => {
                if let Some(at) = by_token.get(token.as_str()) {
                    lives[*at].may_end = lives[*at].may_end.min(record.from);
                }
            }
            _ => {}
        }
    }
    lives
}

pub(super) fn check(epoch: &[&Record]) -> Vec<Violation> {
    let lives = lives(epoch);
    let mut found = two_at_once(&lives);
    found.extend(stale_applied(&lives, epoch));
    found.extend(ended_twice(epoch));
    found
}

fn two_at_once(lives: &[Life<'_>]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut of_agent: HashMap<&str, Vec<&Life<'_>>> = HashMap::new();
    for life in lives {
        of_agent.entry(&life.claim.agent).or_default().push(life);
    }
    for (agent, lives) in of_agent {
        for (at, b) in lives.iter().enumerate() {
            let still_held = lives[..at].iter().find(|a| {
                let same_call = std::ptr::eq(a.record, b.record);
                let before = a.record.until < b.record.from;
                let lasts = a.lasts(b.record.from).saturating_sub(BLINK) > b.record.until && a.may_end > b.record.until;
                same_call || (before && lasts)
            });
            if let Some(a) = still_held {
                let why = format!("{agent} was claimed while a claim on it was valid");
                found.push(Violation::new("I4", why, &[a.record, b.record]));
            }
        }
    }
    found
}

/// What was applied with a token although the item had been claimed with another one since.
fn stale_applied(lives: &[Life<'_>], epoch: &[&Record]) -> Vec<Violation> {
    let mut found = Vec::new();
    // Ends are repeated when their answer is lost, and are then answered as before.
    let mut asked: HashMap<&str, At> = HashMap::new();
    for (record, call, answered) in calls(epoch) {
        let mut applied: Vec<(&str, &str, &str)> = Vec::new();
        match call {
            StoreCall::Complete { item, token, ended, .. } => {
                let first = *asked.entry(token).or_insert(record.from);
                if *ended != Ended::Stale && first == record.from {
                    applied.push(("I4", item, token));
                }
            }
            StoreCall::Claimed {
                item,
                token,
                applied: true,
                ..
            } => applied.push(("I12", item, token)),
            StoreCall::Renew { claims, held, .. } => {
                let held = claims.iter().zip(held).filter(|(_, held)| **held);
                applied.extend(held.map(|((item, token), _)| ("I4", item.as_str(), token.as_str())));
            }
            _ => {}
        }
        for (promise, item, token) in applied.into_iter().filter(|_| answered) {
            let Some(own) = lives.iter().find(|life| life.claim.token == token) else {
                continue;
            };
            let newer = lives.iter().find(|life| {
                let of_item = life.claim.item == item && life.claim.token != token;
                of_item && life.record.from > own.record.until && life.record.until < record.from
            });
            if let Some(newer) = newer {
                let why =
                    format!("a call was applied in the name of a claim on item {item} that another one had followed");
                found.push(Violation::new(promise, why, &[own.record, newer.record, record]));
            }
        }
    }
    found
}

fn ended_twice(epoch: &[&Record]) -> Vec<Violation> {
    let mut ended: HashMap<&str, (&str, &Record)> = HashMap::new();
    let mut found = Vec::new();
    for (record, call, answered) in calls(epoch) {
        let StoreCall::Complete {
            item,
            token,
            ended: Ended::Done | Ended::Dead,
            ..
        } = call
        else {
            continue;
        };
        if !answered {
            continue;
        }
        let (first_token, first) = *ended.entry(item).or_insert((token, record));
        if first_token != token {
            let why = format!("item {item} ended twice, by two claims");
            found.push(Violation::new("I4", why, &[first, record]));
        }
    }
    found
}
