//! A Redis that is replaced by its replica, or emptied, under a running cluster with work to do.
//!
//! What a failover may lose is what had not been copied, and nothing else: the checkers hold the store to what the replica
//! knew and to all that came later (`checkers/timelines.rs`).

use std::{thread, time::Duration};

use serde_json::Value;
use warren_tests::{
    SOON,
    checkers::{self, Rules},
    cluster::{Cluster, ClusterSetup},
    eventually,
    history::{Record, StoreCall, What},
    host::Agent,
    load::{self, Load},
    process::Process,
};

fn setup(hosts: usize) -> ClusterSetup {
    let setup = ClusterSetup::new(hosts).set("queue.max_attempts", "2");
    load::agents().into_iter().fold(setup, ClusterSetup::agent)
}

/// It works, comes to rest, and has kept its promises.
#[track_caller]
fn all_is_well(cluster: &Cluster, what: &str) {
    cluster.calm();
    cluster.wait_ready();
    let post = cluster.mention("ann", "is all well?");
    cluster.hub.wait_for_reply(&post, "ann");
    eventually("rest", SOON * 2, || {
        let unread: usize = load::regulars().iter().map(|agent| cluster.hub.unread(agent)).sum();
        (unread == 0 && cluster.is_idle()).then_some(())
    });
    cluster.take_stock();
    checkers::assert_kept(&cluster.recorder.history(), &Rules::of_the_harness(), what);
}

/// Work under way: items that have ended since.
#[track_caller]
fn wait_ended(cluster: &Cluster, more: usize) {
    let ended = |record: &Record| matches!(record.what, What::Store(StoreCall::Complete { .. }));
    let before = cluster.recorder.count(ended);
    eventually(format!("{more} more ends"), SOON, || {
        (cluster.recorder.count(ended) >= before + more).then_some(())
    });
}

fn incarnation(cluster: &Cluster) -> Option<Value> {
    let status = cluster.members[0]
        .hasty()
        .try_send("GET", "/api/v1/status", None)
        .ok()?;
    (status.status == 200).then(|| status.json()["store"]["incarnation"].clone())
}

#[test]
fn a_replica_that_takes_over_loses_what_it_was_not_told_and_nothing_else() {
    let mut cluster = setup(3).start();
    let load = Load::start(&cluster, 7);
    let before = incarnation(&cluster);
    for behind in [400, 0] {
        wait_ended(&cluster, 10);
        // For so long the primary goes on alone.
        cluster.fail_over(Duration::from_millis(behind));
        wait_ended(&cluster, 10);
    }
    load.stop();
    all_is_well(&cluster, "two failovers");
    assert_eq!(incarnation(&cluster), before, "it is the same store");
}

#[test]
fn a_primary_that_changes_parts_with_its_replica_loses_nothing() {
    let mut cluster = setup(3).start();
    let load = Load::start(&cluster, 8);
    wait_ended(&cluster, 10);
    cluster.switch_over();
    // Nobody cut the hosts' connections: what they are told on them makes them look for the primary.
    wait_ended(&cluster, 10);
    let words = "read-only replica";
    let told = cluster
        .members
        .iter()
        .any(|member| member.host.log_text().contains(words));
    assert!(told, "no host has said what was wrong");
    cluster.demoted = None;
    wait_ended(&cluster, 10);
    load.stop();
    all_is_well(&cluster, "a planned failover");
}

#[test]
fn a_redis_that_is_emptied_under_load_is_noticed_and_nothing_is_doubled() {
    let mut cluster = setup(2).start();
    let load = Load::start(&cluster, 9);
    wait_ended(&cluster, 10);
    let before = incarnation(&cluster);
    cluster.flush();
    eventually("another incarnation", SOON, || {
        let now = incarnation(&cluster);
        (now.is_some() && now != before).then_some(())
    });
    for member in &cluster.members {
        member.host.wait_logged("store_lost_data");
    }
    wait_ended(&cluster, 10);
    load.stop();
    all_is_well(&cluster, "FLUSHALL");
}

/// Somebody's key stands where the lists, the lease or the queue's own records are.
#[test]
fn hosts_name_a_key_of_the_wrong_type_and_go_on_once_it_is_deleted() {
    let cluster = setup(2).start();
    for name in ["work:queue:high", "coordinator:leader", "warren:data", "warren:leader"] {
        let key = format!("{{test}}:{name}");
        // In one step: hosts put back what is missing.
        let take = "redis.call('DEL', KEYS[1]) return redis.call('SADD', KEYS[1], 'somebody')";
        let _: i64 = cluster.redis.command(&["EVAL", take, "1", &key]);
        eventually(format!("a host that names {key}"), SOON, || {
            let named = |text: &str| text.contains(&key) && text.contains("rename or delete");
            let asked = cluster.members[0].hasty().try_send(
                "POST",
                "/api/v1/items",
                Some(&serde_json::json!({ "agent": "ann", "agent_id": "ann", "payload": "clock" })),
            );
            let refused = asked.is_ok_and(|answer| answer.status >= 500 && named(&answer.body));
            let logged = || cluster.members.iter().any(|member| named(&member.host.log_text()));
            (refused || logged()).then_some(())
        });
        let _: i64 = cluster.redis.command(&["DEL", &key]);
        cluster.wait_ready();
        let post = cluster.hub.post(&format!("@ann and now, without {name}?"));
        cluster.hub.wait_for_reply(&post, "ann");
        cluster.hub.wait_until_read("ann");
        assert_eq!(cluster.hub.replies(&post, "ann"), 1);
    }
}

/// Ten thousand entries that are no items, and that somebody puts back all at once, while others work.
#[test]
fn ten_thousand_dead_letters_are_put_back_under_a_running_cluster() {
    const DEAD: u64 = 10_000;
    let setup = ClusterSetup::new(2)
        .agent(Agent::hostile("ann", "answer"))
        .set("queue.max_length", "20000");
    let cluster = setup.start();
    let api = cluster.members[0].host.api();
    let count = |states: &[&str]| -> u64 {
        let queue = api.get("/api/v1/status").expect(200).json()["queue"].clone();
        let queued = queue["queued"].as_object().expect("counts").values();
        let others = states.iter().map(|state| &queue[*state]);
        let ready = queued.filter(|_| states.contains(&"queued"));
        ready.chain(others).filter_map(Value::as_u64).sum()
    };
    for part in 0..DEAD / 1000 {
        let mut push = vec!["LPUSH", "{test}:work:queue:normal"];
        let entries: Vec<String> = (0..1000).map(|n| format!("clock {}", part * 1000 + n)).collect();
        push.extend(entries.iter().map(String::as_str));
        let _: i64 = cluster.redis.command(&push);
    }
    eventually("that all are dead", SOON * 2, || {
        (count(&["dead"]) == DEAD).then_some(())
    });
    let requeue = thread::spawn({
        let mut command = cluster.members[1].host.command();
        command.args(["queue", "dead", "requeue", "--all"]);
        move || Process::run(&mut command)
    });
    // Others are answered meanwhile.
    let post = cluster.mention("ann", "do you still answer?");
    cluster.hub.wait_for_reply(&post, "ann");
    let done = requeue.join().expect("the command ends");
    assert!(done.expect(0).contains("10000 dead letters were put back"), "{done:?}");
    // Whoever puts back what is no item gets it back: each is looked at again, and there once.
    eventually("that all are dead again", SOON * 2, || {
        (count(&["dead"]) == DEAD && cluster.is_idle()).then_some(())
    });
    let everywhere = count(&["queued", "waiting", "delayed", "held", "active", "dead", "done"]);
    assert!((DEAD + 1..=DEAD + 2).contains(&everywhere), "{everywhere}");
}
