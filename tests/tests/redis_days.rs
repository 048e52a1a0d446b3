//! Redis's bad days, as a cluster of real hosts lives through them.

use std::{net::SocketAddr, path::Path, process::Command, time::Duration};

use serde_json::Value;
use warren_tests::{
    SOON,
    checkers::{self, Rules},
    cluster::{self, Cluster, ClusterSetup},
    eventually,
    history::{Recorder, What},
    host::{Agent, HostSetup},
    hub::HubProcess,
    proxy::redis::Scripts,
    redis::{Keeps, RedisServer, free_address},
};

fn setup(hosts: usize) -> ClusterSetup {
    ClusterSetup::new(hosts).agent(Agent::hostile("echo", "answer"))
}

#[track_caller]
fn answered(hub: &HubProcess, post: &str, agent: &str) {
    hub.wait_for_reply(post, agent);
    hub.wait_until_read(agent);
    assert_eq!(hub.replies(post, agent), 1, "{:?}", hub.comments(post));
}

#[track_caller]
fn all_is_well(cluster: &Cluster, what: &str) {
    cluster.wait_ready();
    let post = cluster.mention("echo", "is all well?");
    answered(&cluster.hub, &post, "echo");
    eventually("an empty queue", SOON, || cluster.is_idle().then_some(()));
    cluster.take_stock();
    checkers::assert_kept(&cluster.recorder.history(), &Rules::of_the_harness(), what);
}

#[test]
fn a_restart_with_an_append_only_file_loses_nothing_that_was_acknowledged() {
    let mut cluster = setup(2).start();
    let items: Vec<String> = (0..20).map(|_| cluster.submit(0, "echo", "sleep 50")).collect();
    cluster.redis.restart();
    for item in items {
        eventually(format!("the end of {item}"), SOON, || {
            let view = cluster.members[1]
                .hasty()
                .try_send("GET", &format!("/api/v1/items/{item}"), None);
            view.is_ok_and(|view| view.status == 200 && view.json()["state"] == "done")
                .then_some(())
        });
    }
    all_is_well(&cluster, "Redis restarted with its data");
}

#[test]
fn a_redis_that_comes_back_empty_gets_new_leaders_and_the_hubs_unread_notifications() {
    let mut cluster = setup(2).start();
    let incarnation = |cluster: &Cluster| {
        let status = cluster.members[0]
            .hasty()
            .try_send("GET", "/api/v1/status", None)
            .ok()?;
        (status.status == 200).then(|| status.json()["store"]["incarnation"].clone())
    };
    let before: Option<Value> = incarnation(&cluster);
    // Nobody can take what the mention becomes, so that it is in the queue when that is lost.
    cluster.redis.pause(Duration::from_secs(30));
    let post = cluster.mention("echo", "are you still there?");
    cluster.lose_data();
    answered(&cluster.hub, &post, "echo");
    eventually("another incarnation", SOON, || {
        let now = incarnation(&cluster);
        (now.is_some() && now != before).then_some(())
    });
    all_is_well(&cluster, "Redis restarted without its data");
}

#[test]
fn a_full_redis_is_drained() {
    let cluster = setup(2).start();
    let running: Vec<String> = (0..3).map(|_| cluster.submit(0, "echo", "sleep 200")).collect();
    cluster.redis.fill_up();
    let answer = cluster.members[0].host.api().post(
        "/api/v1/items",
        &serde_json::json!({ "agent": "echo", "agent_id": "echo", "payload": "clock" }),
    );
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.body.contains("maxmemory"), "{}", answer.body);
    for item in running {
        cluster.members[1].host.wait_item(&item, "done");
    }
    cluster.redis.make_room();
    all_is_well(&cluster, "a full Redis");
}

#[test]
fn connections_that_are_cut_and_calls_that_hang_are_lived_through() {
    let cluster = setup(2).start();
    for round in 0..3 {
        cluster.redis.kill_clients();
        cluster.redis.pause(Duration::from_millis(1500));
        let post = cluster.mention("echo", &format!("round {round}"));
        answered(&cluster.hub, &post, "echo");
    }
    all_is_well(&cluster, "connections cut, calls paused");
}

#[test]
fn two_clusters_share_a_redis_and_know_nothing_of_each_other() {
    let first = setup(1).start();
    let hub = HubProcess::start(&["echo"]);
    let (recorder, scripts) = (Recorder::default(), Scripts::default());
    let other = setup(1).first_name(2).set("store.key_prefix", "\"{other}:\"");
    let second = other.members(first.redis.address(), &hub, &recorder, &scripts);
    // Each has a leader of its own.
    first.leader();
    cluster::leader(&second);
    let post = hub.post("@echo which one are you?");
    let item = second[0].host.enqueue("echo", "clock");
    answered(&hub, &post, "echo");
    second[0].host.wait_item(&item, "done");
    let unknown = first.members[0].host.api().get(&format!("/api/v1/items/{item}"));
    assert_eq!(unknown.status, 404, "{}", unknown.body);
    let claims = first.recorder.count(|record| {
        matches!(&record.what, What::Store(warren_tests::history::StoreCall::Claim { claims, .. }) if !claims.is_empty())
    });
    assert_eq!(claims, 0, "the first cluster has run what was the second's");
    let keys: Vec<String> = first.redis.command(&["KEYS", "*"]);
    assert!(
        keys.iter()
            .all(|key| key.starts_with("{test}:") || key.starts_with("{other}:")),
        "{keys:?}"
    );
    all_is_well(&first, "two clusters on one Redis");
}

/// One host on the Redis of this address, without a proxy.
fn lone(hub: &HubProcess, redis: SocketAddr, password: &str) -> HostSetup {
    HostSetup::new(hub)
        .agent(&Agent::hostile("echo", "answer"))
        .set("store.url", &format!("\"redis://{password}{redis}\""))
}

#[test]
fn a_redis_that_is_absent_at_the_start_is_waited_for() {
    let hub = HubProcess::start(&["echo"]);
    let address = free_address();
    let mut host = lone(&hub, address, "").start_at(free_address());
    let words = host.wait_logged("waiting for the store");
    assert!(words.to_string().contains(&address.to_string()), "{words}");
    let ready = host.ready();
    assert_eq!(ready.status, 503, "{}", ready.body);
    assert!(ready.body.contains(&address.to_string()), "{}", ready.body);
    assert_eq!(host.api().get("/health").status, 200);
    let _redis = RedisServer::start_at(address, Keeps::Nothing, &[]);
    host.wait_ready();
    let post = hub.post("@echo good morning");
    answered(&hub, &post, "echo");
    host.sigterm();
    assert_eq!(host.wait_exit(SOON).code(), Some(0));
}

#[test]
fn a_wrong_password_is_named_and_never_shown() {
    let hub = HubProcess::start(&["echo"]);
    let redis = RedisServer::start(Keeps::Nothing, &["--requirepass", "open-sesame"]);
    let host = lone(&hub, redis.address(), ":not-the-secret@").start_at(free_address());
    let words = host.wait_logged("waiting for the store").to_string();
    let ready = host.ready();
    assert_eq!(ready.status, 503);
    let body = ready.body;
    assert!(words.contains("check the user and the password"), "{words}");
    for text in [&words, &body] {
        assert!(!text.contains("not-the-secret"), "{text}");
    }
    let right = lone(&hub, redis.address(), ":open-sesame@").start_ready();
    assert!(!right.log_text().contains("open-sesame"));
}

/// Where Debian's package puts it.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

#[test]
fn a_host_whose_clock_is_an_hour_off_does_its_work_like_the_others() {
    if !Path::new(FAKETIME).exists() {
        println!("SKIPPED: {FAKETIME} is not there; `apt-get install libfaketime` changes that");
        return;
    }
    let date = Command::new("date")
        .env("LD_PRELOAD", FAKETIME)
        .env("FAKETIME", "+1h")
        .output();
    assert!(
        date.is_ok_and(|date| date.status.success()),
        "faketime does not work here"
    );
    let hub = HubProcess::start(&["echo"]);
    let redis = RedisServer::start(Keeps::Nothing, &[]);
    let with_clock = |name: &str, offset: &str| {
        lone(&hub, redis.address(), "")
            .set("host.name", &format!("{name:?}"))
            .set("queue.item_lease", "\"3s\"")
            .set("queue.lease_margin", "\"500ms\"")
            .env("LD_PRELOAD", FAKETIME)
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME", offset)
    };
    let late = with_clock("late", "-1h").start_ready();
    let early = with_clock("early", "+1h").start_ready();
    // Longer than a lease: neither takes the other's claim for one that has run out.
    let item = late.enqueue("echo", "sleep 5000");
    let view = late.wait_item(&item, "done");
    assert_eq!(view["attempt"], 1, "{view}");
    assert_eq!(
        late.logged("recovered an item").len() + early.logged("recovered an item").len(),
        0
    );
    let post = hub.post("@echo what time is it?");
    answered(&hub, &post, "echo");
}
