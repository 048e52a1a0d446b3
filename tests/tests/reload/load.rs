//! Reloads under load: every item is run once, by one generation, and nothing is left behind.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use serde_json::{Value, json};
use warren_tests::{
    SOON,
    components::saying,
    eventually, guests,
    host::{Agent, HostProcess, HostSetup},
    hub::HubProcess,
};

use super::{host, plugins, put, reload};

/// Resident memory of a process, in bytes.
fn memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kib * 1024
}

/// Submits items one after the other until it is told to stop; their ids.
fn submit_until(stop: &AtomicBool, host: &HostProcess, agents: &[&str]) -> Vec<String> {
    let mut ids = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        ids.push(host.enqueue(agents[ids.len() % agents.len()], "x"));
    }
    ids
}

/// Every item that is done, by id.
fn done(host: &HostProcess) -> BTreeMap<String, Value> {
    let (mut done, mut after) = (BTreeMap::new(), String::new());
    loop {
        let page = host
            .api()
            .get(&format!("/api/v1/items?state=done&limit=500{after}"))
            .expect(200)
            .json();
        for item in page["items"].as_array().unwrap() {
            done.insert(item["id"].as_str().unwrap().to_owned(), item.clone());
        }
        match page["next"].as_u64() {
            Some(next) => after = format!("&after={next}"),
            None => return done,
        }
    }
}

/// I10, and the proof: 200 reloads in a row under steady load.
#[test]
fn two_hundred_reloads_under_load_drop_nothing_mix_nothing_and_leak_nothing() {
    const AGENTS: [&str; 4] = ["a", "b", "c", "d"];
    const RELOADS: u32 = 200;
    let hub = HubProcess::start(&AGENTS);
    let host = host(&hub, &AGENTS).start_ready();
    let file = host.setup().path("plugins/p/plugin.wasm");
    let versions = [saying("two"), saying("one")];
    let stop = AtomicBool::new(false);
    let (ids, grown) = thread::scope(|scope| {
        let submitting = [0, 1].map(|_| scope.spawn(|| submit_until(&stop, &host, &AGENTS)));
        let mut settled = 0;
        for n in 0..RELOADS {
            put(&file, &versions[n as usize % 2]);
            let reloaded = reload(&host, "p");
            let now = 2 - n % 2;
            assert_eq!(
                (&reloaded["result"], &reloaded["generation"], &reloaded["was"]),
                (&json!("replaced"), &json!(now), &json!(3 - now)),
                "reload {n}: {reloaded}"
            );
            if n == RELOADS / 4 {
                settled = memory(host.process_id());
            }
        }
        let grown = memory(host.process_id()).saturating_sub(settled);
        stop.store(true, Ordering::Relaxed);
        let ids = submitting.map(|submitting| submitting.join().unwrap());
        (ids.concat(), grown)
    });
    assert!(ids.len() > 100, "hardly any load: {} items", ids.len());
    eventually("that all is done", SOON, || {
        (host.status()["queue"]["done"].as_u64() == Some(ids.len() as u64)).then_some(())
    });

    let done = done(&host);
    let mut by_generation = BTreeMap::new();
    for id in &ids {
        let item = &done[id];
        let said = match item["generation"].as_str() {
            Some("p@1") => "ok: one",
            Some("p@2") => "ok: two",
            other => panic!("generation {other:?}: {item}"),
        };
        assert_eq!(
            (&item["reason"], &item["attempt"], &item["note"]),
            (&json!("ok"), &json!(1), &json!(said)),
            "{item}"
        );
        *by_generation.entry(said).or_insert(0) += 1;
    }
    assert_eq!(by_generation.len(), 2, "both ran: {by_generation:?}");
    let started: Vec<String> = host
        .logged("activating")
        .iter()
        .map(|line| line["item"].as_str().unwrap().to_owned())
        .collect();
    let different: HashSet<&String> = started.iter().collect();
    assert_eq!(
        (started.len(), different.len()),
        (ids.len(), ids.len()),
        "each was activated once"
    );
    // 150 generations came and went since; a leaked one has some 100 KB of code alone, and what the load itself keeps in
    // memory is far less.
    assert!(grown < 12 * 1024 * 1024, "the host has grown by {grown} bytes");
    eventually("that nothing drains", SOON, || {
        plugins(&host)["draining"].as_array().unwrap().is_empty().then_some(())
    });
}

#[test]
fn what_runs_goes_on_with_what_it_started_with_and_is_shown_as_draining() {
    let hub = HubProcess::start(&["h"]);
    let host = HostSetup::new(&hub).agent(&Agent::hostile("h", "answer")).start_ready();
    let file = host.setup().path("plugins/hostile/guest_hostile.wasm");
    let one = guests::component("guest-hostile");
    // An empty custom section, called "x": another component that does the same.
    let two = [&one[..], &[0, 2, 1, b'x']].concat();
    // Both have been compiled when it matters how long a reload takes.
    for (component, now) in [(&two, 2), (&one, 1)] {
        put(&file, component);
        assert_eq!(reload(&host, "hostile")["generation"], now);
    }
    let item = host.enqueue("h", "sleep 8000");
    host.wait_activating("h");
    put(&file, &two);
    let reloaded = host.cli(&["plugin", "reload", "hostile"]);
    assert!(
        reloaded
            .expect(0)
            .starts_with("hostile: generation 1 -> 2 (compiled before"),
        "{reloaded:?}"
    );
    let listed = plugins(&host);
    assert_eq!(
        (&listed["draining"][0]["generation"], &listed["draining"][0]["running"]),
        (&json!(1), &json!(1)),
        "{listed}"
    );
    let table = host.cli(&["plugin", "list"]).expect(0).to_owned();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((rows[1][2], rows[1][4]), ("2", "ready"), "{table}");
    assert_eq!((rows[2][2], rows[2][4]), ("1", "draining"), "{table}");

    assert_eq!(host.wait_item(&item, "done")["generation"], "hostile@1");
    host.enqueue("h", "trap");
    let listed = eventually("that nothing drains, and the failure", SOON, || {
        let listed = plugins(&host);
        let running = &listed["plugins"][0]["running"];
        let over = listed["draining"].as_array().unwrap().is_empty() && running["failures"]["trap"].as_u64() > Some(0);
        over.then_some(listed)
    });
    assert_eq!(listed["plugins"][0]["agents"], json!(["h"]));
    assert!(
        listed["plugins"][0]["running"]["activations"].as_u64() > Some(0),
        "{listed}"
    );
}
