//! Every host of a cluster, one after the other.

use std::collections::HashSet;

use rustix::process::Signal;
use serde_json::Value;
use warren_tests::{cluster::ClusterSetup, guests, host::Agent, process::Process};

use super::{plugins, put};

#[test]
fn every_live_host_reloads_in_turn_and_one_that_fails_is_named_with_its_reason() {
    let agent = Agent::hostile("h", "answer");
    let mut cluster = ClusterSetup::new(3).agent(agent).start();
    let mut other = guests::component("guest-hostile");
    other.extend([0, 2, 1, b'x']);
    let component = |at: usize| {
        cluster.members[at]
            .host
            .setup()
            .path("plugins/hostile/guest_hostile.wasm")
    };
    put(&component(0), &other);
    put(&component(1), &other[..other.len() / 2]);
    put(&component(2), &other);
    let ask = |at: usize| {
        cluster.members[at]
            .host
            .cli(&["plugin", "reload", "hostile", "--all-hosts"])
    };

    let failed = ask(2);
    let words = failed.refused(1);
    assert!(
        words.contains("failed on 1 of 3 hosts") && words.contains("h2: hostile:"),
        "{words}"
    );
    assert!(
        words.contains("the file is cut off") && words.contains("generation 1 goes on"),
        "{words}"
    );
    let lines: Vec<&str> = failed.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{failed:?}");
    assert!(lines[0].starts_with("h1: hostile: generation 1 -> 2"), "{lines:?}");
    assert!(lines[1].starts_with("h2: FAILED: hostile: "), "{lines:?}");
    assert!(lines[2].starts_with("h3: hostile: generation 1 -> 2"), "{lines:?}");

    put(&component(1), &other);
    let done = ask(0);
    let lines: Vec<&str> = done.expect(0).lines().collect();
    assert_eq!(lines[0], "h1: hostile: unchanged, generation 2");
    assert!(lines[1].starts_with("h2: hostile: generation 1 -> 2"), "{lines:?}");
    // The store numbers: all say the same of the same bytes.
    let digests: HashSet<String> = (0..3)
        .map(|at| plugins(&cluster.members[at].host)["plugins"][0]["running"].clone())
        .map(|running| format!("{} {}", running["generation"], running["digest"]))
        .collect();
    assert_eq!(digests.len(), 1, "{digests:?}");
    let reread = cluster.members[0].host.cli(&["agent", "reload", "h", "--all-hosts"]);
    assert_eq!(reread.expect(0).lines().count(), 3, "{reread:?}");

    // One that does not answer, while the registry still holds it for live.
    cluster.members[1].host.signal(Signal::STOP);
    let stuck = Process::run(cluster.members[0].host.command().args([
        "plugin",
        "reload",
        "hostile",
        "--all-hosts",
        "--timeout",
        "1",
        "--json",
    ]));
    cluster.members[1].host.signal(Signal::CONT);
    let words = stuck.refused(1);
    assert!(words.contains("h2: ") && words.contains("no answer in time"), "{words}");
    let shown: Value = serde_json::from_str(&stuck.stdout).unwrap();
    assert_eq!(shown.as_array().unwrap().len(), 3, "{shown}");
    assert!(shown[1]["error"].is_string() && shown[0]["error"].is_null(), "{shown}");
}
