//! A Hub on its bad days: the host says what is wrong, blames no agent, and goes on by itself.

use std::time::Duration;

use serde_json::json;
use warren_tests::{
    SOON, eventually,
    host::{Agent, HostProcess, HostSetup},
    hub::{HubProcess, HubSetup},
};

const KEY: &str = "sesame-open-0123456789";
/// What is due after backoffs of several tries.
const LATER: Duration = Duration::from_secs(120);

fn echo_host(hub: &HubProcess) -> HostSetup {
    HostSetup::new(hub)
        .agent(&Agent::echo("echo"))
        .set("hub.idempotency", "\"yes\"")
        .set("queue.cool_down_base", "\"500ms\"")
        .set("queue.cool_down_max", "\"2s\"")
}

#[track_caller]
fn blames_nobody(host: &HostProcess) {
    let status = host.status();
    assert_eq!(status["breakers"], json!([]), "{status}");
    let agent = host.api().get("/api/v1/agents/echo").expect(200).json();
    assert_eq!(agent["breaker"]["failures"], 0, "{agent}");
}

/// A mention is answered exactly once although these faults strike, `struck` times at least, before they are lifted.
#[track_caller]
fn answers_once_despite(rules: serde_json::Value, struck: u64) {
    let hub = HubProcess::start(&["echo"]);
    let host = echo_host(&hub).start_ready();
    hub.faults(rules);
    let post = hub_post_despite_faults(&hub);
    eventually("the fault", LATER, || (hub.struck(0) >= struck).then_some(()));
    hub.clear_faults();
    eventually("a reply", LATER, || (hub.replies(&post, "echo") > 0).then_some(()));
    hub.wait_until_read_within("echo", LATER);
    assert_eq!(hub.replies(&post, "echo"), 1, "{:?}", hub.comments(&post));
    blames_nobody(&host);
}

/// The rules of these tests leave alone how people post.
#[track_caller]
fn hub_post_despite_faults(hub: &HubProcess) -> String {
    hub.post("@echo hello")
}

#[test]
fn down_at_start_and_up_later() {
    let mut hub = HubProcess::start(&["echo"]);
    hub.stop();
    let host = echo_host(&hub).start();
    let ready = eventually("the Hub's failure in /ready", SOON, || {
        let ready = host.ready();
        (ready.status == 503 && ready.body.contains("has not answered yet")).then_some(ready.body)
    });
    assert!(ready.contains(&hub.url()) && ready.contains("no connection"), "{ready}");
    let words = host.cli(&["status"]).expect(6).to_owned();
    assert!(
        words.contains("NO: hub has not answered yet") && words.contains("UNREACHABLE"),
        "{words}"
    );
    let submitted = host.submit("echo", "needs no Hub but for the budget");
    assert!(submitted.expect(0).contains("needs no Hub"), "{submitted:?}");

    hub.start_again();
    host.wait_ready();
    let post = hub.post("@echo welcome back");
    hub.wait_for_reply(&post, "echo");
    assert_eq!(host.logged("polling the Hub failed").len(), 1, "an outage is one line");
    assert_eq!(host.logged("polling the Hub works again").len(), 1);
}

#[test]
fn away_for_a_while_with_mentions_waiting() {
    let mut hub = HubProcess::start(&["echo"]);
    let host = echo_host(&hub).start_ready();
    hub.stop();
    let status = eventually("the Hub's failure in the status", SOON, || {
        let status = host.status();
        (status["hub"]["reachable"] == false).then_some(status)
    });
    assert_eq!(
        status["ready"]["ready"], true,
        "a Hub that goes away later is the status's to tell: {status}"
    );
    hub.start_again();
    let post = hub.post("@echo hello");
    hub.wait_for_reply(&post, "echo");
    hub.wait_until_read("echo");
    blames_nobody(&host);
}

#[test]
fn a_wrong_api_key_is_said_without_the_key_and_blames_nobody() {
    let hub = HubSetup::new(&["echo"]).api_key(KEY).start();
    let wrong = "wrong-key-9876543210";
    let host = echo_host(&hub).set("hub.api_key", &format!("{wrong:?}")).start();
    let words = eventually("words about the key in the status", SOON, || {
        let words = host.cli(&["status"]).expect(6).to_owned();
        words.contains("401").then_some(words)
    });
    assert!(words.contains("check the Hub's API key"), "{words}");
    assert_eq!(host.ready().status, 503);
    // An activation that needs the Hub ends with nobody to blame.
    let done = host.cli(&[
        "submit",
        "echo",
        "--agent-id",
        "echo",
        "--payload",
        "hello",
        "--wait=60",
    ]);
    assert!(done.expect(0).contains("hello"), "{done:?}");
    blames_nobody(&host);
    for place in [
        words,
        host.log_text(),
        host.metrics(),
        host.ready().body,
        host.status().to_string(),
    ] {
        assert!(!place.contains(wrong), "the key is in {place}");
    }
}

#[test]
fn the_right_api_key_works() {
    let hub = HubSetup::new(&["echo"]).api_key(KEY).start();
    let host = echo_host(&hub).start_ready();
    let post = hub.post("@echo hello");
    hub.wait_for_reply(&post, "echo");
    assert!(!host.log_text().contains(KEY));
}

#[test]
fn too_many_requests_with_a_time_to_wait() {
    answers_once_despite(
        json!([{ "path": "/api/v1/notifications", "kind": "status", "status": 429, "retry_after": 1, "times": 3 }]),
        3,
    );
}

#[test]
fn too_many_requests_is_honoured() {
    let hub = HubProcess::start(&["echo"]);
    let host = echo_host(&hub).start_ready();
    hub.faults(
        json!([{ "path": "*posts/*/comments", "method": "POST", "kind": "status", "status": 429,
                        "retry_after": 3, "times": 1 }]),
    );
    let post = hub.post("@echo hello");
    eventually("the refusal", SOON, || (hub.struck(0) == 1).then_some(()));
    let refused = std::time::Instant::now();
    hub.wait_for_reply(&post, "echo");
    // The refusal is noticed here a little later than it happened.
    assert!(
        refused.elapsed() > Duration::from_millis(2500),
        "{:?}",
        refused.elapsed()
    );
    assert_eq!(host.logged("activating").len(), 1, "the wait is within the activation");
}

#[test]
fn errors_at_a_rate_on_everything_that_hosts_ask() {
    answers_once_despite(
        json!([
            { "path": "/api/v1/notifications", "kind": "status", "rate": 0.5, "seed": 1 },
            { "path": "*/comments", "kind": "status", "after": true, "rate": 0.5, "seed": 2 },
            { "path": "/api/v1/agents/", "kind": "status", "rate": 0.5, "seed": 3 },
            { "path": "/api/v1/system", "kind": "status", "rate": 0.5, "seed": 4 },
        ]),
        3,
    );
}

#[test]
fn pages_of_html_instead_of_json() {
    answers_once_despite(json!([{ "path": "/api/v1/notifications", "kind": "html" }]), 2);
}

#[test]
fn half_an_answer() {
    answers_once_despite(
        json!([{ "path": "/api/v1/notifications", "kind": "truncate", "rate": 0.7 },
               { "path": "*/comments", "kind": "cut", "times": 1 }]),
        2,
    );
}

#[test]
fn connections_that_are_cut_before_and_after_the_effect() {
    answers_once_despite(
        json!([{ "path": "*/comments", "kind": "drop_after", "times": 2 },
               { "path": "/api/v1/notifications", "kind": "drop", "rate": 0.5 }]),
        2,
    );
}

#[test]
fn a_reply_of_unknown_outcome_is_not_repeated_to_a_hub_that_would_show_it_twice() {
    let hub = HubProcess::start(&["echo"]);
    let host = echo_host(&hub).set("hub.idempotency", "\"no\"").start_ready();
    hub.faults(json!({
        "idempotency": false,
        "rules": [{ "path": "*/comments", "method": "POST", "kind": "drop_after", "times": 1 }],
    }));
    let post = hub.post("@echo hello");
    eventually("the second end of the item", SOON, || {
        (host.logged("activation ended").len() >= 2).then_some(())
    });
    for ended in host.logged("activation ended") {
        assert_eq!(ended["reason"], "upstream", "{ended}");
    }
    assert_eq!(hub.replies(&post, "echo"), 1);
    let why = host.why("echo");
    assert!(why.contains("It cools down") && why.contains("upstream"), "{why}");
    blames_nobody(&host);
}

#[test]
fn slow_answers() {
    let hub = HubProcess::start(&["echo"]);
    let host = echo_host(&hub).start_ready();
    hub.faults(json!([{ "path": "/api", "kind": "latency", "ms": 700 }]));
    let post = hub.post("@echo take your time");
    hub.wait_for_reply(&post, "echo");
    hub.wait_until_read("echo");
    assert_eq!(hub.replies(&post, "echo"), 1);
    blames_nobody(&host);
}

#[test]
fn without_a_long_poll_the_plain_one_is_used_and_that_is_said_once() {
    let hub = HubProcess::start(&["echo"]);
    hub.faults(json!({ "no_long_poll": true }));
    let post = hub.post("@echo hello");
    let host = echo_host(&hub).start_ready();
    hub.wait_for_reply(&post, "echo");
    // The next plain poll comes after the end of this activation, and must not complain again.
    hub.wait_until_read("echo");
    eventually("another plain poll", SOON, || {
        (hub.calls("GET /api/v1/agents") >= 2).then_some(())
    });
    assert_eq!(host.logged("the Hub has no long poll").len(), 1);
}

#[test]
fn a_hundred_thousand_agents_and_one_of_them_ours() {
    let hub = HubProcess::start(&["echo"]);
    let mention = hub.post("@echo among many");
    hub.seed("crowd", 100_000, 1);
    let host = echo_host(&hub).start();
    eventually("a reply", LATER, || (hub.replies(&mention, "echo") > 0).then_some(()));
    let counted = host.metric("botburrow_agents_without_definition_total").unwrap();
    assert!(counted > 1_000.0, "{counted}");
    host.cli(&["status"]).expect(0);
}

#[test]
fn an_agent_without_a_definition_is_said_once_counted_and_not_enqueued() {
    let hub = HubProcess::start(&["echo", "parrot"]);
    let host = echo_host(&hub).start_ready();
    hub.post("@parrot hello");
    let post = hub.post("@echo hello");
    hub.wait_for_reply(&post, "echo");
    eventually("several polls", SOON, || {
        let counted = host.metric("botburrow_agents_without_definition_total")?;
        (counted >= 3.0).then_some(())
    });
    let said = host.logged("the Hub names an agent that this cluster can't run");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0]["why"].as_str().unwrap().contains("agents/parrot/config.yaml"),
        "{said:?}"
    );
    assert!(
        host.logged("enqueued")
            .iter()
            .all(|line| line["agent"] == "echo" || line["message"] != "enqueued")
    );
    let words = host.cli(&["agent", "show", "parrot"]).refused(3).to_owned();
    assert!(words.contains("agents/parrot/config.yaml"), "{words}");
}

#[test]
fn a_budget_that_is_used_up_denies_and_blames_nobody() {
    let hub = HubProcess::start(&["echo"]);
    hub.budget(
        "echo",
        json!({ "daily_limit": 1.0, "daily_used": 2.0, "healthy": false }),
    );
    let host = echo_host(&hub).set("hub.budget_ttl", "\"1s\"").start_ready();
    let post = hub.post("@echo hello");
    let ended = host.wait_logged("activation ended");
    assert_eq!(ended["reason"], "denied_by_budget", "{ended}");
    blames_nobody(&host);
    let why = host.why("echo");
    assert!(
        why.contains("denied_by_budget") && why.contains("budget is used up"),
        "{why}"
    );
    hub.budget(
        "echo",
        json!({ "daily_limit": 3.0, "daily_used": 2.0, "healthy": true }),
    );
    hub.wait_for_reply(&post, "echo");
}
