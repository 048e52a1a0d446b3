//! `warren verify` on clusters that hold, and on such as don't: exit code and report are what an operator goes by.

use std::collections::BTreeSet;

use rustix::process::Signal;
use serde_json::Value;
use warren_tests::{SOON, cluster::ClusterSetup, eventually, host::Agent, process::Process};

fn hosts(count: usize) -> ClusterSetup {
    ClusterSetup::new(count).agent(Agent::echo("echo"))
}

/// The result of each check, by its name.
#[track_caller]
fn results(report: &Value) -> Vec<(&str, &str)> {
    let rows = report["rows"].as_array().expect("a report has rows");
    rows.iter()
        .map(|row| {
            (
                row["check"].as_str().expect("a row has a check"),
                row["result"].as_str().expect("a row has a result"),
            )
        })
        .collect()
}

#[test]
fn a_cluster_that_holds_is_told_so_and_left_as_it_was() {
    let cluster = hosts(3).start();
    let leader = cluster.leader();
    let before: BTreeSet<String> = cluster.redis.command(&["KEYS", "*"]);
    let report = cluster.members[0]
        .host
        .cli(&["verify", "--disruptive"])
        .expect(0)
        .to_owned();
    println!("{report}");
    for check in [
        "one leader only",
        "a second replica that does not poll",
        "leader metrics",
        "queue distribution",
        "recovery when the leader goes",
        "the breaker",
        "no duplicate processing",
        "cleaned up",
    ] {
        let row = report
            .lines()
            .find(|line| line.starts_with("| ") && line.contains(check));
        assert!(row.is_some_and(|row| row.ends_with("| **PASS** |")), "{check}: {row:?}");
    }
    assert!(report.contains("**PASS**: 8 of 8 checks hold."));
    for command in [
        "LLEN '{test}:work:queue:high'",
        "HGETALL '{test}:work:backoff'",
        "/metrics | grep botburrow_coordinator_is_leader",
    ] {
        assert!(report.contains(command), "{command} is not among the commands");
    }
    // The leadership is back, and nothing is left of the probes.
    assert_eq!(cluster.leader(), leader);
    let after: BTreeSet<String> = cluster.redis.command(&["KEYS", "*"]);
    let probes: Vec<&String> = after.iter().filter(|key| key.contains("verify")).collect();
    assert!(probes.is_empty(), "{probes:?}");
    assert!(before.is_subset(&after));
    let status = cluster.members[0].host.status();
    assert_eq!(
        (&status["queue"]["done"], &status["queue"]["dead"]),
        (&0.into(), &0.into())
    );
}

#[test]
fn reading_alone_disturbs_nothing_and_says_what_it_did_not_look_at() {
    let cluster = hosts(2).start();
    let term = cluster.members[0].host.status()["leader"]["term"].clone();
    let done = cluster.members[1].host.cli(&["verify", "--json"]);
    let report: Value = serde_json::from_str(done.expect(0)).expect("JSON");
    let skipped = results(&report)
        .iter()
        .filter(|(_, result)| *result == "SKIPPED")
        .count();
    let passed = results(&report).iter().filter(|(_, result)| *result == "PASS").count();
    assert_eq!((passed, skipped), (4, 4), "{report:#}");
    assert_eq!(cluster.members[0].host.status()["leader"]["term"], term);
}

#[test]
fn a_live_host_that_does_not_answer_is_no_cluster_that_holds() {
    // It counts as live for long after its last beat.
    let mut cluster = hosts(2).set("host.heartbeat", "\"30s\"").start();
    let stopped = cluster.follower();
    let other = 1 - stopped;
    cluster.members[stopped].host.signal(Signal::STOP);
    let done = cluster.members[other].host.cli(&["verify"]);
    cluster.members[stopped].host.signal(Signal::CONT);
    let report = done.expect(1);
    let name = &cluster.members[stopped].name;
    assert!(report.contains(&format!("live host {name} can't be asked")), "{report}");
    assert!(report.contains("**FAIL**: "), "{report}");
}

#[test]
fn a_host_that_dies_meanwhile_is_told_and_nothing_stays_behind() {
    let mut cluster = hosts(3).start();
    let leader = cluster.leader();
    // Asks of what is left; not the one that watches the handover.
    let (asked, dies) = (leader, if leader == 2 { 1 } else { 2 });
    let verify = Process::spawn(
        "verify",
        cluster.members[asked].host.command().args(["verify", "--disruptive"]),
    );
    eventually("probes in the store", SOON, || {
        let keys: Vec<String> = cluster.redis.command(&["KEYS", "*warren:verify:*"]);
        (!keys.is_empty()).then_some(())
    });
    cluster.kill9(dies);
    let mut verify = verify;
    assert_eq!(verify.wait_exit(2 * SOON).code(), Some(1), "{}", verify.stderr());
    let keys: Vec<String> = cluster.redis.command(&["KEYS", "*verify*"]);
    assert!(keys.is_empty(), "{keys:?}");
}

#[test]
fn one_host_can_t_recover_and_is_told_what_is_missing() {
    let cluster = hosts(1).start();
    let done = cluster.members[0].host.cli(&["verify", "--disruptive", "--json"]);
    let report: Value = serde_json::from_str(done.expect(1)).expect("JSON");
    assert_eq!(report["holds"], false);
    let failed: Vec<&str> = results(&report)
        .into_iter()
        .filter(|(_, result)| *result == "FAIL")
        .map(|(check, _)| check)
        .collect();
    assert_eq!(
        failed,
        ["a second replica that does not poll", "recovery when the leader goes"],
        "{report:#}"
    );
    let rows = report["rows"].as_array().expect("a report has rows");
    let recovery = rows
        .iter()
        .find(|row| row["check"] == failed[1])
        .expect("the row is there");
    let seen = recovery["seen"].as_str().expect("a row says what was seen");
    assert!(seen.contains("start a second one"), "{seen}");
}
