//! Mentions are answered, and direct items are run: the ways in.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use warren_tests::{
    SOON, eventually,
    host::{Agent, HostProcess, HostSetup},
    hub::HubProcess,
};

/// Larger than an item may carry.
const TOO_LARGE: usize = (1 << 20) + 1;

fn echo_host(hub: &HubProcess) -> HostProcess {
    HostSetup::new(hub).agent(&Agent::echo("echo")).start_ready()
}

#[test]
fn a_mention_is_answered_once_read_and_reported() {
    let hub = HubProcess::start(&["echo"]);
    let host = echo_host(&hub);
    let post = hub.post("@echo good morning");
    hub.wait_for_reply(&post, "echo");
    hub.wait_until_read("echo");
    let comments = hub.comments(&post);
    assert_eq!(comments.len(), 1, "{comments:?}");
    assert_eq!(comments[0].1, "I heard you, ada:\n\n> echo good morning");
    eventually("the report of the activation", SOON, || {
        (hub.calls("POST /api/v1/agents/{id}/activated") == 1).then_some(())
    });
    let why = host.why("echo");
    assert!(why.contains("Nothing stands in its way"), "{why}");
    assert!(
        why.contains("It last ran until") && why.contains("ended with ok"),
        "{why}"
    );
}

#[test]
fn a_mention_in_a_comment_and_one_from_before_the_host_are_answered_too() {
    let hub = HubProcess::start(&["echo"]);
    let before = hub.post("@echo are you there?");
    let _host = echo_host(&hub);
    hub.wait_for_reply(&before, "echo");
    let post = hub.post("nobody is meant");
    let comment = json!({ "author_name": "bob", "content": "but @echo is" });
    hub.client
        .post(&format!("/api/v1/posts/{post}/comments"), &comment)
        .expect(201);
    hub.wait_for_reply(&post, "echo");
}

#[test]
fn a_host_of_a_quiet_hub_is_ready_long_before_a_long_poll_ends() {
    let hub = HubProcess::start(&["echo"]);
    let mut host = echo_host(&hub);
    host.sigterm();
    host.wait_exit(SOON);
    // The second start finds the last staleness sweep in the store, and has only the poll to see the Hub by.
    host.restart();
    let listening = Instant::now();
    host.wait_ready();
    assert!(
        listening.elapsed() < Duration::from_secs(20),
        "{:?}",
        listening.elapsed()
    );
}

#[test]
fn a_payload_comes_from_the_command_line_a_file_or_standard_input() {
    let hub = HubProcess::start(&["echo"]);
    let host = echo_host(&hub);
    let common = ["submit", "echo", "--agent-id", "echo", "--wait=60"];
    let with = |more: &[&'static str]| [&common, more].concat();

    assert_eq!(
        host.cli(&with(&["--payload", "from the line"])).expect(0),
        "done: ok: from the line"
    );
    let file = host.setup().path("request.txt");
    fs::write(&file, "from the file").unwrap();
    assert_eq!(
        host.cli(&[&common[..], &["--file", file.to_str().unwrap()]].concat())
            .expect(0),
        "done: ok: from the file"
    );
    let piped = host.cli_with_input(&with(&["--file", "-"]), b"from the pipe");
    assert_eq!(piped.expect(0), "done: ok: from the pipe");

    let item: Value = serde_json::from_str(host.cli(&with(&["--payload", "x", "--json"])).expect(0)).unwrap();
    assert_eq!(
        (
            &item["state"],
            &item["reason"],
            &item["note"],
            &item["task_type"],
            &item["attempt"]
        ),
        (
            &json!("done"),
            &json!("ok"),
            &json!("ok: x"),
            &json!("direct"),
            &json!(1)
        ),
        "{item}"
    );
    let submitted = host.cli(&["submit", "echo", "--payload", "no waiting", "--json"]);
    let submitted: Value = serde_json::from_str(submitted.expect(0)).unwrap();
    host.wait_item(submitted["id"].as_str().unwrap(), "done");
}

#[test]
fn what_can_t_be_submitted_is_refused_in_words() {
    let hub = HubProcess::start(&["echo"]);
    let host = echo_host(&hub);
    let words = host.cli(&["submit", "parrot", "--payload", "x"]).refused(3).to_owned();
    assert!(
        words.contains("agent parrot") && words.contains("agents/parrot/config.yaml"),
        "{words}"
    );
    let words = host.cli(&["submit", "No Name", "--payload", "x"]).refused(2).to_owned();
    assert!(words.contains("No Name") && words.contains("a-z 0-9 - _ ."), "{words}");
    let words = host.cli(&["submit", "echo", "--payload", "x"]).refused(2).to_owned();
    assert!(
        words.contains("the Hub has not named agent echo") && words.contains("--agent-id"),
        "{words}"
    );
    let words = host.cli(&["submit", "echo"]).refused(2).to_owned();
    assert!(words.contains("--payload") && words.contains("--file"), "{words}");
    let words = host
        .cli(&["submit", "echo", "--file", "not/there"])
        .refused(2)
        .to_owned();
    assert!(words.contains("not/there can't be read"), "{words}");
    let piped = host.cli_with_input(&["submit", "echo", "--file", "-"], b"not \xff text");
    assert!(
        piped.refused(2).contains("standard input is not UTF-8 text"),
        "{piped:?}"
    );

    let large = "x".repeat(TOO_LARGE);
    let piped = host.cli_with_input(
        &["submit", "echo", "--agent-id", "echo", "--file", "-"],
        large.as_bytes(),
    );
    assert!(piped.refused(2).contains("more than the 1048576 bytes"), "{piped:?}");
    let request = json!({ "agent": "echo", "agent_id": "echo", "payload": large });
    let answer = host.api().post("/api/v1/items", &request).expect(413).json();
    assert_eq!(answer["error"]["code"], "too_large", "{answer}");
    let request = json!({ "agent": "echo", "agent_id": "echo", "payload": "\u{1}".repeat(TOO_LARGE - 1) });
    host.api().post("/api/v1/items", &request).expect(201);
}

#[test]
fn a_full_queue_answers_429_with_how_long_to_wait_and_the_command_says_so() {
    let hub = HubProcess::start(&["slow"]);
    let host = HostSetup::new(&hub)
        .agent(&Agent::hostile("slow", "trap"))
        .set("queue.max_length", "2")
        .start_ready();
    // One runs, two wait behind it: that is the limit.
    host.enqueue("slow", "sleep 100000");
    host.wait_activating("slow");
    host.enqueue("slow", "clock");
    host.enqueue("slow", "clock");
    let request = json!({ "agent": "slow", "agent_id": "slow", "payload": "clock" });
    let refused = host.api().post("/api/v1/items", &request).expect(429);
    assert_eq!(refused.json()["error"]["code"], "queue_full", "{refused:?}");
    let wait: u64 = refused.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    let words = host
        .cli(&["submit", "slow", "--payload", "clock"])
        .refused(1)
        .to_owned();
    assert!(words.contains("the queue holds 2 items of this priority"), "{words}");
    // Other priorities have their own limits.
    let request = json!({ "agent": "slow", "agent_id": "slow", "payload": "clock", "priority": "low" });
    host.api().post("/api/v1/items", &request).expect(201);
}

#[test]
fn a_wait_that_is_over_before_the_item_says_where_to_ask_again() {
    let hub = HubProcess::start(&["slow"]);
    let host = HostSetup::new(&hub)
        .agent(&Agent::hostile("slow", "trap"))
        .start_ready();
    let done = host.cli(&[
        "submit",
        "slow",
        "--agent-id",
        "slow",
        "--payload",
        "sleep 100000",
        "--wait=1",
    ]);
    let words = done.expect(5);
    assert!(
        words.contains("is still active") && words.contains("warren agent show slow"),
        "{words}"
    );
}

#[test]
fn the_same_id_again_makes_no_second_item() {
    let hub = HubProcess::start(&["echo"]);
    let host = echo_host(&hub);
    let request = json!({
        "agent": "echo", "agent_id": "echo", "payload": "once", "id": "0190a000-0000-7000-8000-000000000001",
    });
    let first = host.api().post("/api/v1/items", &request).expect(201).json();
    host.wait_item("0190a000-0000-7000-8000-000000000001", "done");
    let second = host.api().post("/api/v1/items", &request).expect(201).json();
    assert_eq!(first["id"], second["id"]);
    let after = host.submit("echo", "later");
    assert_eq!(after.expect(0), "done: ok: later");
    assert_eq!(
        host.metric("botburrow_activations_total{agent_id=\"echo\",status=\"ok\",task_type=\"direct\"}"),
        Some(2.0)
    );
}
