//! The checks that only read: who leads, who polls, what is exported, what is queued.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use tokio::time;

use super::{
    by_hand::Hands,
    cluster::{Cluster, Sample, Scrape, depths},
    metrics::Metrics,
    report::{Judged, Planned, Row},
};

const SAMPLES: usize = 5;
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// A long poll that finds nothing takes 30 s unless configured otherwise; then the leader's first one has ended.
const POLLS_WITHIN: Duration = Duration::from_secs(60);
/// The leader counts the queue every 5 s.
const CENSUS: Duration = Duration::from_secs(6);
const COUNTED_WITHIN: Duration = Duration::from_secs(30);

/// Requests to the Hub by which work is found: the leader's alone.
const POLLS: [&str; 3] = ["poll", "poll_plain", "stale"];
/// Every leader has them from its first census on, whatever has happened so far.
const ON_LEADER: [&str; 9] = [
    "botburrow_coordinator_is_leader",
    "botburrow_poll_duration_seconds",
    "botburrow_activations_in_progress",
    "botburrow_activation_duration_seconds",
    "botburrow_queue_wait_seconds",
    "botburrow_leader_term",
    "botburrow_queue_depth",
    "botburrow_queue_active_tasks",
    "botburrow_queue_agents_in_backoff",
];
/// They describe the cluster: from two hosts they would be counted twice.
const ONLY_ON_LEADER: [&str; 5] = [
    "botburrow_leader_term",
    "botburrow_queue_depth",
    "botburrow_queue_active_tasks",
    "botburrow_queue_agents_in_backoff",
    "botburrow_agent_backoff_seconds_remaining",
];

pub async fn rows(cluster: &Cluster, hands: &Hands, disruptive: bool) -> Vec<Row> {
    let samples = cluster.samples(SAMPLES, SAMPLE_EVERY).await;
    let (polled, _) = cluster.until(POLLS_WITHIN, leader_has_polled).await;
    let (exported, _) = cluster
        .until(COUNTED_WITHIN, |sample| missing(sample).is_empty().then_some(()))
        .await;
    let alone = cluster.members.len() < 2;
    vec![
        one_leader_plan(hands).row(one_leader(&samples)),
        followers_plan(hands).row(match (alone, disruptive) {
            (false, _) => followers(&samples, &polled),
            (true, true) => Judged::failed("there is only one live host: start a second one"),
            (true, false) => Judged::skipped("there is only one live host, so none that follows"),
        }),
        metrics_plan(hands).row(leader_metrics(&exported)),
        distribution_plan(hands).row(distribution(&observe_queue(cluster).await)),
    ]
}

fn one_leader_plan(hands: &Hands) -> Planned {
    let mut by_hand = hands.metric_of_all("botburrow_coordinator_is_leader");
    by_hand.extend(hands.redis("GET", "coordinator:leader"));
    by_hand.push(hands.warren("status"));
    Planned {
        check: "one leader only",
        expected: format!(
            "in each of {SAMPLES} samples exactly one live host says that it leads, the one that the store names, and the term \
             never falls"
        ),
        by_hand,
    }
}

/// Exactly one leads, the store's.
fn one_leader(samples: &[Sample]) -> Judged {
    let mut problems = Vec::new();
    let (mut leaders, mut terms) = (BTreeSet::new(), Vec::new());
    for sample in samples {
        problems.extend(unreachable(sample));
        let leading: Vec<&str> = sample
            .scrapes
            .iter()
            .filter(|scrape| scrape.leads())
            .map(|scrape| scrape.host.as_str())
            .collect();
        let named = match &sample.leader {
            Ok(leader) => leader.as_ref(),
            Err(error) => {
                problems.push(format!("the store can't be asked: {error}"));
                continue;
            }
        };
        match (&leading[..], named) {
            ([one], Some(leader)) if *one == leader.host => {}
            ([], None) => problems.push("nobody leads".to_owned()),
            ([], Some(leader)) => problems.push(format!(
                "the store names {}, but no live host says that it leads",
                leader.host
            )),
            ([one], Some(leader)) => {
                problems.push(format!("{one} says that it leads, the store names {}", leader.host))
            }
            ([one], None) => problems.push(format!("{one} says that it leads, the store names nobody")),
            (many, _) => problems.push(format!("{} say at once that they lead", many.join(" and "))),
        }
        if let Some(leader) = named {
            if let Some(last) = terms.last().filter(|last| **last > leader.term) {
                problems.push(format!("the term fell from {last} to {}", leader.term));
            }
            terms.push(leader.term);
            leaders.insert(leader.host.as_str());
        }
    }
    terms.dedup();
    let terms: Vec<String> = terms.iter().map(ToString::to_string).collect();
    let seen = match leaders.len() {
        0 => format!("{} samples", samples.len()),
        _ => {
            let names: Vec<&str> = leaders.into_iter().collect();
            format!(
                "{} led in term {} in {} samples",
                names.join(", "),
                terms.join(", "),
                samples.len()
            )
        }
    };
    Judged::by(problems, seen)
}

fn unreachable(sample: &Sample) -> Vec<String> {
    let failed = sample.scrapes.iter().filter_map(|scrape| {
        let error = scrape.metrics.as_ref().err()?;
        Some(format!("live host {} can't be asked: {error}", scrape.host))
    });
    failed.collect()
}

fn followers_plan(hands: &Hands) -> Planned {
    let mut by_hand = hands.metric_of_followers("botburrow_poll_duration_seconds_count");
    by_hand.extend(hands.metric_of_followers("botburrow_hub_requests_total.*poll"));
    by_hand.extend(hands.metric_of_leader("botburrow_poll_duration_seconds_count"));
    Planned {
        check: "a second replica that does not poll",
        expected: format!(
            "over {} s no follower asks the Hub for work; the leader has",
            (SAMPLES - 1) as u64 * SAMPLE_EVERY.as_secs()
        ),
        by_hand,
    }
}

/// How often a host has asked the Hub for work.
pub fn polls(metrics: &Metrics) -> f64 {
    let finished = metrics.value("botburrow_poll_duration_seconds_count");
    let requests = metrics.sum("botburrow_hub_requests_total", "endpoint", &POLLS);
    finished.unwrap_or(0.0).max(requests.unwrap_or(0.0))
}

fn leader_of(sample: &Sample) -> Option<(&Scrape, &Metrics)> {
    let leader = sample.scrapes.iter().find(|scrape| scrape.leads())?;
    Some((leader, leader.metrics.as_ref().ok()?))
}

fn leader_has_polled(sample: &Sample) -> Option<()> {
    leader_of(sample).filter(|(_, metrics)| polls(metrics) > 0.0).map(drop)
}

/// Nobody but the leader polls, and the leader does. `polled` is the last sample in which its polls were looked for.
fn followers(samples: &[Sample], polled: &Sample) -> Judged {
    let mut problems = Vec::new();
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
        return Judged::failed("no sample was taken");
    };
    let (mut quiet, mut led) = (Vec::new(), BTreeSet::new());
    for sample in samples {
        problems.extend(unreachable(sample));
        led.extend(
            sample
                .scrapes
                .iter()
                .filter(|scrape| scrape.leads())
                .map(|scrape| &scrape.host),
        );
    }
    for (before, after) in first.scrapes.iter().zip(&last.scrapes) {
        let (Ok(old), Ok(new)) = (&before.metrics, &after.metrics) else {
            continue;
        };
        let more = polls(new) - polls(old);
        match (led.contains(&after.host), more) {
            (true, _) => {}
            // Fewer: it has been started anew meanwhile.
            (false, more) if more > 0.0 => problems.push(format!("{} polled {more} times without leading", after.host)),
            (false, _) => quiet.push(after.host.as_str()),
        }
    }
    let leader = match leader_of(polled) {
        Some((leader, metrics)) if polls(metrics) > 0.0 => {
            format!("{}, the leader, has, {} times", leader.host, polls(metrics))
        }
        Some((leader, _)) => {
            problems.push(format!(
                "the leader {} has not finished a poll within {POLLS_WITHIN:?}",
                leader.host
            ));
            String::new()
        }
        None => {
            problems.push("nobody leads".to_owned());
            String::new()
        }
    };
    let seen = match quiet.is_empty() {
        true => leader,
        false => format!("{} did not poll; {leader}", quiet.join(", ")),
    };
    Judged::by(problems, seen.trim_end_matches("; "))
}

fn metrics_plan(hands: &Hands) -> Planned {
    let mut by_hand = hands.metric_of_leader("^botburrow_");
    by_hand.extend(hands.metric_of_followers("botburrow_queue_depth").into_iter().take(1));
    Planned {
        check: "leader metrics",
        expected: format!(
            "the leader exports {}; what describes the cluster is exported by no other host",
            ON_LEADER.map(|name| format!("`{name}`")).join(", ")
        ),
        by_hand,
    }
}

/// What is not exported as it should be, by hosts that can be asked.
fn missing(sample: &Sample) -> Vec<String> {
    let mut problems = Vec::new();
    match leader_of(sample) {
        None => problems.push("nobody leads".to_owned()),
        Some((leader, metrics)) => {
            let absent: Vec<&str> = ON_LEADER.into_iter().filter(|name| !metrics.has(name)).collect();
            if !absent.is_empty() {
                problems.push(format!("the leader {} lacks {}", leader.host, absent.join(", ")));
            }
        }
    }
    for scrape in sample.scrapes.iter().filter(|scrape| !scrape.leads()) {
        let Ok(metrics) = &scrape.metrics else { continue };
        let extra: Vec<&str> = ONLY_ON_LEADER.into_iter().filter(|name| metrics.has(name)).collect();
        if !extra.is_empty() {
            problems.push(format!(
                "{}, which does not lead, exports {}",
                scrape.host,
                extra.join(", ")
            ));
        }
    }
    problems
}

fn leader_metrics(sample: &Sample) -> Judged {
    let seen = match leader_of(sample) {
        Some((leader, _)) => format!(
            "{} exports all {}, no other host those of the cluster",
            leader.host,
            ON_LEADER.len()
        ),
        None => String::new(),
    };
    let problems = [unreachable(sample), missing(sample)].concat();
    let seen = if problems.is_empty() { seen } else { String::new() };
    Judged::by(problems, seen)
}

fn distribution_plan(hands: &Hands) -> Planned {
    let mut by_hand = hands.metric_of_leader("botburrow_queue_depth");
    for queue in ["work:queue:high", "work:queue:normal", "work:queue:low"] {
        by_hand.extend(hands.redis("LLEN", queue));
    }
    by_hand.push(hands.warren("queue stats"));
    Planned {
        check: "queue distribution",
        expected: format!(
            "per priority the leader exports as many ready items as the store had within the last {} s (its lists in Redis hold \
             the inbox and discovery items of these)",
            CENSUS.as_secs()
        ),
        by_hand,
    }
}

/// What the store said over some time, and what the leader exported at its end.
struct QueueSeen {
    /// Per priority the fewest, the most, and the last.
    store: BTreeMap<String, (u64, u64, u64)>,
    exported: BTreeMap<String, Option<f64>>,
    error: Option<String>,
}

impl QueueSeen {
    fn agrees(&self) -> bool {
        self.error.is_none()
            && self.store.iter().all(|(priority, (least, most, _))| {
                let exported = self.exported.get(priority).copied().flatten();
                exported.is_some_and(|count| count >= *least as f64 && count <= *most as f64)
            })
    }
}

/// Look until the numbers agree, or for long enough that they should.
async fn observe_queue(cluster: &Cluster) -> QueueSeen {
    let deadline = Instant::now() + COUNTED_WITHIN;
    let mut counted: Vec<(Instant, Vec<(String, u64)>)> = Vec::new();
    loop {
        let depths = depths(&cluster.asked).await;
        let sample = cluster.sample().await;
        let error = match depths {
            Ok(depths) => {
                counted.push((Instant::now(), depths));
                None
            }
            Err(failure) => Some(failure.message),
        };
        counted.retain(|(at, _)| at.elapsed() <= CENSUS);
        let seen = summed(&counted, &sample, error);
        if seen.agrees() || Instant::now() > deadline {
            return seen;
        }
        time::sleep(SAMPLE_EVERY / 4).await;
    }
}

fn summed(counted: &[(Instant, Vec<(String, u64)>)], sample: &Sample, error: Option<String>) -> QueueSeen {
    let mut store: BTreeMap<String, (u64, u64, u64)> = BTreeMap::new();
    for (priority, ready) in counted.iter().flat_map(|(_, depths)| depths) {
        let known = store.entry(priority.clone()).or_insert((*ready, *ready, *ready));
        *known = (known.0.min(*ready), known.1.max(*ready), *ready);
    }
    let leader = leader_of(sample).map(|(_, metrics)| metrics);
    let exported = |priority: &String| {
        let depth = leader.and_then(|metrics| metrics.sum("botburrow_queue_depth", "priority", &[priority]));
        (priority.clone(), depth)
    };
    QueueSeen {
        exported: store.keys().map(exported).collect(),
        store,
        error,
    }
}

fn distribution(seen: &QueueSeen) -> Judged {
    let mut problems: Vec<String> = seen
        .error
        .iter()
        .map(|error| format!("the store can't be asked: {error}"))
        .collect();
    if seen.store.is_empty() && problems.is_empty() {
        problems.push("the store was not counted".to_owned());
    }
    let mut words = Vec::new();
    for priority in ["high", "normal", "low"] {
        let Some((least, most, last)) = seen.store.get(priority) else {
            continue;
        };
        match seen.exported.get(priority).copied().flatten() {
            None => problems.push(format!("the leader exports no depth of {priority}")),
            Some(exported) if exported < *least as f64 || exported > *most as f64 => {
                problems.push(format!(
                    "the leader exports {exported} {priority}, the store had {least} to {most}"
                ));
            }
            Some(exported) if exported == *last as f64 => words.push(format!("{exported} {priority}")),
            Some(exported) => words.push(format!("{exported} {priority} ({least} to {most} in the store)")),
        }
    }
    Judged::by(problems, format!("ready: {}", words.join(", ")))
}

#[cfg(test)]
mod tests;
