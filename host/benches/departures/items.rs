//! Hosts that go while they run items: killed, and told to end.

use std::time::{Duration, Instant};

use serde_json::Value;
use warren_tests::{SOON, eventually, http::Client};

use super::{
    load::{self, Load},
    member::Member,
    table::Column,
};

/// So many claims a host has before it goes.
const IN_FLIGHT: usize = 5;

/// What happened to the items of a host that went.
struct Fate {
    items: usize,
    /// Until the first and the last of them was with another host or done, and until the last one was done.
    first: Duration,
    all: Duration,
    done: Duration,
}

/// `times` times a host is killed under steady load.
pub fn killed(members: &mut [Member], times: usize, lease: Duration, sweep: Duration) {
    let mut fates = Vec::new();
    for n in 0..times {
        let victim = n % members.len();
        let load = Load::start(members);
        let api = members[(victim + 1) % members.len()].api();
        eventually("claims in flight on the host that is to die", SOON, || {
            (active(&api, &members[victim].name).len() >= IN_FLIGHT).then_some(())
        });
        let killed = Instant::now();
        members[victim].process.kill9();
        let items = active(&api, &members[victim].name);
        fates.push(fate(&api, &members[victim].name, &items, killed, lease));
        drop(load);
        members[victim].process.restart();
        members[victim].process.wait_ready();
    }
    let title = format!("{times} hosts killed, item lease {lease:?}, a sweep every {sweep:?}; items of 1 s");
    print(&title, &fates, "the kill", Some(lease + sweep));
}

/// `times` times a host is told to end, with more to do than its grace period allows.
pub fn left(members: &mut [Member], times: usize, grace: Duration) {
    let mut fates = Vec::new();
    let mut exits = Vec::new();
    for n in 0..times {
        let victim = n % members.len();
        let api = members[(victim + 1) % members.len()].api();
        let submitted = load::one_each(&api, grace * 6);
        let items = eventually("that every item runs", SOON, || {
            let running: usize = members.iter().map(|member| active(&api, &member.name).len()).sum();
            (running == submitted.len()).then(|| active(&api, &members[victim].name))
        });
        let told = Instant::now();
        members[victim].process.sigterm();
        fates.push(fate(&api, &members[victim].name, &items, told, Duration::ZERO));
        let status = members[victim].process.wait_exit(SOON);
        assert!(status.success(), "{} ended with {status}", members[victim].name);
        exits.push(fates[n].all.saturating_sub(grace));
        for id in &submitted {
            eventually(format!("the end of item {id}"), SOON, || {
                has_ended(&item(&api, id)).then_some(())
            });
        }
        members[victim].process.restart();
        members[victim].process.wait_ready();
    }
    let title = format!(
        "{times} hosts told to end (SIGTERM), grace period {grace:?}; items of {:?}",
        grace * 6
    );
    print(&title, &fates, "SIGTERM", None);
    Column::of("  after the grace period", &exits).print(None);
}

fn print(title: &str, fates: &[Fate], since: &str, goal: Option<Duration>) {
    let all: usize = fates.iter().map(|fate| fate.items).sum();
    Column::header(&format!("{title} (ms)"));
    let column = |what: &str, of: fn(&Fate) -> Duration| {
        let times: Vec<Duration> = fates.iter().map(of).collect();
        Column::of(&format!("from {since} until {what}"), &times)
    };
    column("the first item is with another host", |fate| fate.first).print(None);
    column("every item is with another host", |fate| fate.all).print(goal);
    column("every item is done", |fate| fate.done).print(None);
    println!("({all} items in all)");
}

/// Follows the items of a host until all have ended; `lease` is how long nothing may happen.
#[track_caller]
fn fate(api: &Client, host: &str, items: &[String], since: Instant, lease: Duration) -> Fate {
    assert!(!items.is_empty(), "{host} had no items");
    let mut moved = vec![None; items.len()];
    let mut ended = vec![None; items.len()];
    eventually(format!("the end of the items of {host}"), lease + SOON, || {
        for (n, id) in items
            .iter()
            .enumerate()
            .filter(|(n, _)| ended[*n].is_none())
            .collect::<Vec<_>>()
        {
            let item = item(api, id);
            let now = since.elapsed();
            let elsewhere = item["host"].as_str().is_some_and(|other| other != host);
            if moved[n].is_none() && (elsewhere || has_ended(&item)) {
                moved[n] = Some(now);
            }
            if has_ended(&item) {
                assert_eq!(item["reason"], "ok", "{item}");
                ended[n] = Some(now);
            }
        }
        ended.iter().all(Option::is_some).then_some(())
    });
    let times = |of: Vec<Option<Duration>>| of.into_iter().flatten().collect::<Vec<Duration>>();
    let (moved, ended) = (times(moved), times(ended));
    Fate {
        items: items.len(),
        first: moved.iter().min().copied().unwrap_or_default(),
        all: moved.iter().max().copied().unwrap_or_default(),
        done: ended.iter().max().copied().unwrap_or_default(),
    }
}

fn item(api: &Client, id: &str) -> Value {
    api.get(&format!("/api/v1/items/{id}")).expect(200).json()
}

fn has_ended(item: &Value) -> bool {
    item["state"] == "done" || item["state"] == "dead"
}

/// The ids of the items that a host runs.
fn active(api: &Client, host: &str) -> Vec<String> {
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let page = api
            .get(&format!("/api/v1/items?state=active&limit=500{after}"))
            .expect(200)
            .json();
        let items = page["items"].as_array().expect("a list of items");
        let of_host = items.iter().filter(|item| item["host"] == host);
        found.extend(of_host.filter_map(|item| item["id"].as_str().map(str::to_owned)));
        match page["next"].as_u64() {
            Some(next) => after = format!("&after={next}"),
            None => return found,
        }
    }
}
