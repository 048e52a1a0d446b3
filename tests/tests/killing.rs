//! `kill -9` of the only host, and a restart on the same file: nothing is lost, and nothing happens twice.

use std::time::{Duration, Instant};

use serde_json::json;
use warren_tests::{
    SOON, eventually,
    host::{Agent, HostProcess, HostSetup},
    hub::HubProcess,
};

const ACTIVATED: &str = "POST /api/v1/agents/{id}/activated";

fn setup(hub: &HubProcess, agent: &Agent) -> HostSetup {
    // The Hub of these tests honours keys: what has no known outcome may be repeated.
    HostSetup::new(hub).agent(agent).set("hub.idempotency", "\"yes\"")
}

/// The item ran again, and everything about it happened once.
#[track_caller]
fn answered_once(hub: &HubProcess, host: &HostProcess, post: &str, agent: &str) {
    host.wait_logged("items were running when the store was last in use");
    hub.wait_until_read(agent);
    assert_eq!(hub.replies(post, agent), 1, "{:?}", hub.comments(post));
    let again = host.logged("activating");
    assert_eq!(
        again.first().map(|line| line["attempt"].clone()),
        Some(json!(1)),
        "{again:?}"
    );
}

#[test]
fn killed_after_the_reply_and_before_the_end() {
    let hub = HubProcess::start(&["slow"]);
    let mut host = setup(&hub, &Agent::hostile("slow", "answer-slow 1500")).start_ready();
    let post = hub.post("@slow hello");
    hub.wait_for_reply(&post, "slow");
    host.kill9();
    assert_eq!(
        (hub.unread("slow"), hub.calls(ACTIVATED)),
        (1, 0),
        "the activation was over already"
    );
    host.restart();
    answered_once(&hub, &host, &post, "slow");
    eventually("the report", SOON, || (hub.calls(ACTIVATED) == 1).then_some(()));
}

#[test]
fn killed_before_the_reply() {
    let hub = HubProcess::start(&["echo"]);
    // Hangs before the Hub looks at it.
    hub.faults(json!([{ "path": "*posts/*/comments", "method": "POST", "kind": "hang" }]));
    let mut host = setup(&hub, &Agent::echo("echo")).start_ready();
    let post = hub.post("@echo hello");
    eventually("the comment under way", SOON, || (hub.struck(0) > 0).then_some(()));
    host.kill9();
    assert_eq!(hub.replies(&post, "echo"), 0);
    hub.clear_faults();
    host.restart();
    answered_once(&hub, &host, &post, "echo");
}

#[test]
fn killed_when_the_hub_has_the_reply_and_the_host_does_not_know() {
    let hub = HubProcess::start(&["echo"]);
    hub.faults(json!([{ "path": "*posts/*/comments", "method": "POST", "kind": "hang", "after": true }]));
    let mut host = setup(&hub, &Agent::echo("echo")).start_ready();
    let post = hub.post("@echo hello");
    hub.wait_for_reply(&post, "echo");
    host.kill9();
    hub.clear_faults();
    host.restart();
    answered_once(&hub, &host, &post, "echo");
}

#[test]
fn killed_with_direct_items_queued_running_and_done() {
    let hub = HubProcess::start(&["busy", "idle"]);
    let mut host = HostSetup::new(&hub)
        .agent(&Agent::hostile("busy", "trap"))
        .agent(&Agent::hostile("idle", "trap"))
        .start_ready();
    assert_eq!(host.submit("idle", "kv-set key kept").expect(0), "done: ok: set");
    let done = host.enqueue("idle", "kv-get key");
    host.wait_item(&done, "done");
    let running = host.enqueue("busy", "sleep 2000");
    host.wait_activating("busy");
    let waiting: Vec<String> = (0..5).map(|_| host.enqueue("busy", "clock")).collect();
    host.kill9();
    host.restart();
    for id in waiting.iter().chain([&running]) {
        let item = host.wait_item(id, "done");
        assert_eq!(item["reason"], "ok", "{item}");
    }
    let item = host.item(&done);
    assert_eq!(
        (&item["state"], &item["note"]),
        (&json!("done"), &json!("ok: some=kept")),
        "{item}"
    );
    assert_eq!(host.submit("idle", "kv-get key").expect(0), "done: ok: some=kept");
}

/// Three losses in a row would open a breaker; this many kills need a threshold out of reach.
const ROUNDS: u32 = 8;
const AGENTS: [&str; 3] = ["ann", "bob", "cat"];

#[test]
fn killed_again_and_again_under_a_stream_of_mentions() {
    let hub = HubProcess::start(&AGENTS);
    let mut setup = HostSetup::new(&hub)
        .set("hub.idempotency", "\"yes\"")
        .set("breaker.lease_losses", "1000")
        // So that a kill finds an activation at any of its steps.
        .set("hub.poll_timeout", "\"2s\"");
    for agent in AGENTS {
        setup = setup.agent(&Agent::echo(agent));
    }
    // Half of the replies take effect without the host learning of it at once: the longest moment to be killed in.
    hub.faults(json!([
        { "path": "/api/v1/posts", "kind": "latency", "ms": 30 },
        { "path": "/api/v1/notifications", "kind": "latency", "ms": 15 },
        { "path": "*/comments", "method": "POST", "kind": "hang", "after": true, "ms": 150, "rate": 0.5, "seed": 17 },
    ]));
    let mut host = setup.start_ready();
    let mut dice = Dice(20260117);
    let mut posts = Vec::new();
    for round in 0..ROUNDS {
        for n in 0..4 {
            let agent = AGENTS[dice.roll(AGENTS.len() as u64) as usize];
            posts.push((agent, hub.post(&format!("@{agent} round {round}, post {n}"))));
        }
        // The moment of the kill is what is random here; there is no condition to wait for.
        let until = Instant::now() + Duration::from_millis(dice.roll(400));
        eventually("the moment of the kill", SOON, || {
            (Instant::now() >= until).then_some(())
        });
        host.kill9();
        host.restart();
    }
    hub.clear_faults();
    for agent in AGENTS {
        hub.wait_until_read(agent);
    }
    for (agent, post) in &posts {
        assert_eq!(
            hub.replies(post, agent),
            1,
            "@{agent} on {post}: {:?}",
            hub.comments(post)
        );
        assert_eq!(hub.comments(post).len(), 1);
    }
}

/// A seeded generator (SplitMix64), so that a failure can be seen again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}
