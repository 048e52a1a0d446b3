//! What the disturbing checks have seen, and what that is worth.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::{
    handing_over::Recovery,
    probing::{Load, Remains, RunOn, Runs, unfinished},
    report::Judged,
};
use crate::app::api::types::{BreakerExercise, BreakerSight};

/// A handover takes less than a tenth of a second on an idle cluster; a busy machine may take longer.
pub const HANDED_OVER_WITHIN: Duration = Duration::from_secs(5);
/// An open breaker is seen with some of its time over, and its end is noticed a little late.
const OPEN_SLACK: f64 = 0.5;
/// Of many that are wrong, so many are named.
const NAMED: usize = 3;

pub fn recovery(seen: &Recovery) -> Judged {
    let mut problems = Vec::new();
    if seen.to.host == seen.from.host {
        problems.push(format!("{} leads again instead of another host", seen.to.host));
    }
    if seen.to.term <= seen.from.term {
        problems.push(format!(
            "the term did not grow: {} after {}",
            seen.to.term, seen.from.term
        ));
    }
    if seen.seen > HANDED_OVER_WITHIN {
        problems.push(format!("it took {}", millis(seen.seen)));
    }
    match seen.gauges {
        None => problems.push("the two hosts' gauges did not change".to_owned()),
        Some(_) if seen.polled.is_none() => problems.push(format!("{} finished no poll", seen.to.host)),
        Some(_) => {}
    }
    let after = |what: &str, span: Option<Duration>| span.map(|span| format!(", {what} after {}", millis(span)));
    let words = format!(
        "{} (term {}) handed over to {} (term {}) in {} by its own clock, seen by a third after {}{}{}",
        seen.from.host,
        seen.from.term,
        seen.to.host,
        seen.to.term,
        millis(seen.told),
        millis(seen.seen),
        after("gauges changed", seen.gauges).unwrap_or_default(),
        after("first poll finished", seen.polled).unwrap_or_default(),
    );
    Judged::by(problems, words)
        .measuring("handover_seconds", Some(seen.told.as_secs_f64()))
        .measuring("seen_after_seconds", Some(seen.seen.as_secs_f64()))
        .measuring("gauges_after_seconds", seen.gauges.map(|span| span.as_secs_f64()))
        .measuring("polled_after_seconds", seen.polled.map(|span| span.as_secs_f64()))
}

fn millis(span: Duration) -> String {
    format!("{} ms", span.as_millis())
}

pub fn breaker(seen: &BreakerExercise, runs: &Runs) -> Judged {
    let mut problems: Vec<String> = runs.problems.clone();
    let mut expect = |holds: bool, otherwise: String| {
        if !holds {
            problems.push(otherwise);
        }
    };
    for (n, sight) in (1..).zip(&seen.failing) {
        let state = if n < seen.threshold { "closed" } else { "open" };
        let right = sight.ending == "trap" && sight.state == state && sight.failures == n;
        expect(
            right,
            format!("after failure {n} it should be {state}: {}", told(sight)),
        );
    }
    expect(
        seen.failing.len() == seen.threshold as usize,
        format!("{} activations failed, not {}", seen.failing.len(), seen.threshold),
    );
    expect(
        seen.while_open == "skipped",
        format!("an inbox item of an open breaker was {}, not skipped", seen.while_open),
    );
    expect(
        seen.half_open_after_seconds >= seen.open_seconds - OPEN_SLACK,
        format!(
            "it was half open after {:.1} s, not {:.1}",
            seen.half_open_after_seconds, seen.open_seconds
        ),
    );
    expect(
        seen.at_half_open == ["added", "added"],
        format!("items at half-open were {}, not added", seen.at_half_open.join(" and ")),
    );
    let probe = &seen.failed_probe;
    let longer = probe.open_seconds.is_some_and(|span| span > seen.open_seconds);
    expect(
        probe.ending == "trap" && probe.state == "open" && longer,
        format!(
            "a failed probe should open it for longer than {:.1} s: {}",
            seen.open_seconds,
            told(probe)
        ),
    );
    expect(
        !matches!(seen.beside_failed_probe.as_str(), "done" | "dead" | "active" | "gone"),
        format!(
            "beside the failed probe another item ran: it is {}",
            seen.beside_failed_probe
        ),
    );
    let good = &seen.good_probe;
    expect(
        good.ending == "ok" && good.state == "closed" && good.failures == 0,
        format!("a good probe should close it and zero the failures: {}", told(good)),
    );
    expect(
        seen.good_probe_after_seconds >= 2.0 * seen.open_seconds - OPEN_SLACK,
        format!(
            "the next probe ran after {:.1} s already",
            seen.good_probe_after_seconds
        ),
    );
    let ran = runs.all.iter().filter(|on| on.run.agent == seen.agent).count();
    let expected = seen.threshold as usize + 2;
    expect(ran == expected, format!("{ran} activations ran in all, not {expected}"));
    let seen_words = if problems.is_empty() {
        opened_and_closed(seen)
    } else {
        String::new()
    };
    Judged::by(problems, seen_words)
        .measuring("half_open_after_seconds", Some(seen.half_open_after_seconds))
        .measuring("closed_after_seconds", Some(seen.good_probe_after_seconds))
}

fn opened_and_closed(seen: &BreakerExercise) -> String {
    format!(
        "closed for {} failures, open at number {} for {:.1} s, an item skipped meanwhile; half open after {:.1} s, one probe, which \
         failed: open for {:.1} s; the next probe after {:.1} s: closed, {} failures",
        seen.threshold.saturating_sub(1),
        seen.threshold,
        seen.failing.last().and_then(|sight| sight.open_seconds).unwrap_or(0.0),
        seen.half_open_after_seconds,
        seen.failed_probe.open_seconds.unwrap_or(0.0),
        seen.good_probe_after_seconds,
        seen.good_probe.failures,
    )
}

fn told(sight: &BreakerSight) -> String {
    let BreakerSight {
        ending,
        state,
        failures,
        open_seconds,
    } = sight;
    let open = open_seconds.map_or(String::new(), |span| format!(" for {span:.1} s"));
    format!("the activation ended with {ending}, it is {state}{open} with {failures} failures")
}

pub fn duplicates(load: &Load, runs: &Runs) -> Judged {
    let mut problems: Vec<String> = load.problems.iter().chain(&runs.problems).cloned().collect();
    if load.accepted.is_empty() {
        problems.push("no probe came into the queue".to_owned());
    }
    if load.unanswered > 0 {
        problems.push(format!("{} probes came into no queue", load.unanswered));
    }
    let mut by_item: HashMap<&str, Vec<&RunOn>> = HashMap::new();
    for on in &runs.all {
        by_item.entry(&on.run.item).or_default().push(on);
    }
    let (mut lost, mut repeated, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for item in &load.accepted {
        match by_item.get(item.as_str()).map(Vec::as_slice) {
            None => lost.push(item.clone()),
            Some([once]) if once.run.ending == "ok" => {}
            Some([once]) => failed.push(format!("{item} ({})", once.run.ending)),
            Some(several) => {
                let hosts: Vec<&str> = several.iter().map(|on| on.host.as_str()).collect();
                repeated.push(format!("{item} (on {})", hosts.join(", ")));
            }
        }
    }
    problems.extend(named("never ran", &lost));
    problems.extend(named("ran more than once", &repeated));
    problems.extend(named("did not end well", &failed));
    problems.extend(named("ran while their agent ran already", &overlaps(runs)));
    match &load.left_over {
        None => problems.push("the scope's queue could not be looked at".to_owned()),
        Some(queue) if unfinished(queue) + queue.dead > 0 => {
            problems.push(format!(
                "{} items are unfinished and {} dead in the scope",
                unfinished(queue),
                queue.dead
            ));
        }
        Some(_) => {}
    }
    let words = shared_out(load, runs, &by_item);
    Judged::by(problems, words).measuring("load_seconds", Some(load.took.as_secs_f64()))
}

/// How many ran, and where.
fn shared_out(load: &Load, runs: &Runs, by_item: &HashMap<&str, Vec<&RunOn>>) -> String {
    let mut shares: BTreeMap<&str, usize> = BTreeMap::new();
    for on in load
        .accepted
        .iter()
        .filter_map(|item| by_item.get(item.as_str()))
        .flatten()
    {
        *shares.entry(&on.host).or_default() += 1;
    }
    let shares: Vec<String> = shares.iter().map(|(host, count)| format!("{host} {count}")).collect();
    format!(
        "{} accepted in {:.1} s on {} hosts, {} ran ({}); clocks agree within {:.1} ms",
        load.accepted.len(),
        load.took.as_secs_f64(),
        runs.hosts,
        load.accepted
            .iter()
            .filter(|item| by_item.contains_key(item.as_str()))
            .count(),
        shares.join(", "),
        tolerance(runs) as f64 / 1000.0,
    )
}

/// Some of them, and how many there are.
fn named(what: &str, items: &[String]) -> Option<String> {
    let first: Vec<&str> = items.iter().take(NAMED).map(String::as_str).collect();
    let more = if items.len() > NAMED { ", …" } else { "" };
    (!items.is_empty()).then(|| format!("{} {what}: {}{more}", items.len(), first.join(", ")))
}

/// By how much two hosts' times may differ at most.
fn tolerance(runs: &Runs) -> i64 {
    2 * runs.all.iter().map(|on| on.clock_error_micros).max().unwrap_or(0)
}

/// Items whose run began, as far as clocks can tell, before their agent's run before had ended.
fn overlaps(runs: &Runs) -> Vec<String> {
    let mut by_agent: BTreeMap<&str, Vec<&RunOn>> = BTreeMap::new();
    for on in &runs.all {
        by_agent.entry(&on.run.agent).or_default().push(on);
    }
    let mut found = Vec::new();
    for of_agent in by_agent.values_mut() {
        of_agent.sort_by_key(|on| on.run.began_micros);
        let mut longest: Option<&RunOn> = None;
        for on in of_agent {
            if let Some(before) = longest {
                // One host's clock agrees with itself.
                let unsure = match before.host == on.host {
                    true => 0,
                    false => before.clock_error_micros + on.clock_error_micros,
                };
                if on.run.began_micros + unsure < before.run.ended_micros {
                    found.push(format!("{} (on {}, beside {})", on.run.item, on.host, before.host));
                }
            }
            if longest.is_none_or(|before| before.run.ended_micros < on.run.ended_micros) {
                longest = Some(on);
            }
        }
    }
    found
}

pub fn cleaned(remains: &Remains, leadership: &Result<String, String>) -> Judged {
    let mut problems = Vec::new();
    match &remains.left {
        Ok(0) => {}
        Ok(left) => problems.push(format!(
            "{left} keys of scope {} are left: a host is in it still, and ends it by itself within two minutes",
            remains.scope
        )),
        Err(why) => problems.push(format!(
            "scope {} could not be destroyed ({why}): its hosts end it within two minutes; else delete {}",
            remains.scope, remains.kept_in
        )),
    }
    let leader = match leadership {
        Ok(leader) => format!("; {leader} leads, as before"),
        Err(why) => {
            problems.push(format!("the leadership is not where it was: {why}"));
            String::new()
        }
    };
    match remains.left {
        Ok(0) => Judged::by(problems, format!("nothing is left of scope {}{leader}", remains.scope)),
        _ => Judged::by(problems, leader.trim_start_matches("; ")),
    }
}

#[cfg(test)]
mod tests;
