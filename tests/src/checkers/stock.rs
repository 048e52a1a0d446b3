//! I3 and I7: once all has calmed down, every acknowledged submit has ended, nothing is unread, and the hosts work.

use super::Violation;
use crate::history::{At, Nemesis, Record, What};

pub(super) fn check(history: &[Record]) -> Vec<Violation> {
    let lost = |record: &&Record| record.what == What::Nemesis(Nemesis::DataLost);
    let kept_since = history
        .iter()
        .filter(lost)
        .map(|record| record.until)
        .max()
        .unwrap_or_default();
    let mut found = Vec::new();
    for record in history {
        match &record.what {
            What::Became { item, state, .. } if !matches!(state.as_deref(), Some("done" | "dead")) => {
                let Some(submit) = acknowledged(history, item, kept_since) else {
                    continue;
                };
                let why = match state {
                    None => format!("item {item} was acknowledged and is gone"),
                    Some(state) => format!("item {item} was acknowledged and is still {state} in the end"),
                };
                found.push(Violation::new("I3", why, &[submit, record]));
            }
            What::Unread { agent, count } if *count > 0 => {
                let why = format!("{agent} was never activated for {count} notifications");
                found.push(Violation::new("I3", why, &[record]));
            }
            What::Nemesis(Nemesis::Calm) => found.extend(idle(history, record)),
            _ => {}
        }
    }
    found
}

fn acknowledged<'a>(history: &'a [Record], item: &str, since: At) -> Option<&'a Record> {
    // What a replica had not been told when it took over may be gone.
    let lost = |record: &Record| {
        history.iter().any(|cut| {
            let failover = matches!(cut.what, What::Nemesis(Nemesis::FailedOver { .. }));
            failover && record.until >= cut.from && record.from < cut.until
        })
    };
    history.iter().find(|record| {
        record.from >= since
            && matches!(&record.what, What::Submitted { item: submitted, .. } if submitted == item)
            && !lost(record)
    })
}

/// Whether every host has asked the store for something since all calmed down. One that has nothing to do asks every few
/// seconds only: a history that ends sooner says nothing of it.
pub fn resumed(history: &[Record]) -> bool {
    let mut calms = history
        .iter()
        .filter(|record| record.what == What::Nemesis(Nemesis::Calm));
    calms.all(|calm| idle(history, calm).is_empty())
}

/// Hosts that were started and did nothing any more once it was calm.
fn idle(history: &[Record], calm: &Record) -> Vec<Violation> {
    let mut hosts: Vec<&Record> = Vec::new();
    for record in history {
        if record.what == What::Nemesis(Nemesis::Started) && !hosts.iter().any(|known| known.host == record.host) {
            hosts.push(record);
        }
    }
    let works = |host: &Record| {
        history
            .iter()
            .any(|record| record.host == host.host && record.from > calm.from && matches!(record.what, What::Store(_)))
    };
    let idle = hosts.into_iter().filter(|host| !works(host));
    idle.map(|host| Violation::new("I7", format!("{} did not resume", host.host), &[host, calm]))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::history::StoreCall;

    #[test]
    fn what_was_copied_or_came_later_must_be_there_after_a_failover() {
        let record = |from, until, what| Record {
            from: Duration::from_secs(from),
            until: Duration::from_secs(until),
            host: String::new(),
            what,
        };
        let submitted = |from, until| {
            let text = |text: &str| text.to_owned();
            let what = What::Submitted {
                item: text("i"),
                agent: text("a"),
                payload: text("clock"),
            };
            record(from, until, what)
        };
        let became = |state: Option<&str>| {
            let (item, state) = ("i".to_owned(), state.map(str::to_owned));
            record(
                20,
                20,
                What::Became {
                    item,
                    state,
                    reason: String::new(),
                },
            )
        };
        let alone = Duration::from_secs(7);
        let cut = record(5, 10, What::Nemesis(Nemesis::FailedOver { alone }));
        for (from, until, demanded) in [(1, 2, true), (4, 6, false), (6, 7, false), (11, 12, true)] {
            let gone = [submitted(from, until), cut.clone(), became(None)];
            assert_eq!(!check(&gone).is_empty(), demanded, "{from} to {until}");
            assert!(check(&[submitted(from, until), cut.clone(), became(Some("done"))]).is_empty());
        }
    }

    #[test]
    fn a_host_that_does_not_resume_is_found() {
        let record = |seconds, what| Record {
            from: Duration::from_secs(seconds),
            until: Duration::from_secs(seconds),
            host: "h1".to_owned(),
            what,
        };
        let mut history = vec![
            record(1, What::Nemesis(Nemesis::Started)),
            record(2, What::Nemesis(Nemesis::Calm)),
        ];
        assert!(!resumed(&history));
        assert_eq!(check(&history)[0].promise, "I7");
        let (recovered, whole) = (Vec::new(), true);
        history.push(record(3, What::Store(StoreCall::Sweep { recovered, whole })));
        assert!(resumed(&history));
        assert!(check(&history).is_empty());
    }
}
