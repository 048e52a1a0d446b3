//! Hostile guests in a real host: each is stopped with its reason, and disturbs nobody else.

use serde_json::{Value, json};
use warren_tests::{
    SOON, eventually,
    host::{Agent, HostProcess, HostSetup},
    hub::HubProcess,
};

/// A host where each deed has an agent of its own, so that no breaker comes between, and an honest one beside them.
fn host_with(hub: &HubProcess, agents: &[&str]) -> HostSetup {
    let mut setup = HostSetup::new(hub)
        .agent(&Agent::echo("echo"))
        .set("queue.max_attempts", "1")
        .set("queue.retry_base", "\"100ms\"");
    for agent in agents {
        setup = setup.agent(&Agent::hostile(agent, "trap").with("limits: {cpu: 300ms, deadline: 2s}"));
    }
    setup
}

fn view(host: &HostProcess, agent: &str, payload: &str) -> (Option<i32>, Value) {
    let done = host.cli(&[
        "submit",
        agent,
        "--agent-id",
        agent,
        "--payload",
        payload,
        "--wait=60",
        "--json",
    ]);
    let item = serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:#?}"));
    (done.code, item)
}

#[test]
fn every_way_to_misbehave_ends_with_its_reason() {
    const DEEDS: [(&str, &str, &str); 12] = [
        ("traps", "trap", "trap"),
        ("panics", "panic", "trap"),
        ("exits", "exit 3", "trap"),
        ("recurses", "recurse", "trap"),
        ("spins", "spin", "cpu_limit"),
        ("sleeps", "sleep 60000", "deadline"),
        ("grows", "grow", "memory_limit"),
        ("returns", "return-big 104857600", ""),
        ("copies", "copy 8388608", "copy_limit"),
        ("aliases", "return-aliased", ""),
        ("fails", "fail permanent it says", "guest_error"),
        ("lies", "fail upstream it was the Hub", "guest_error"),
    ];
    let hub = HubProcess::start(&["echo"]);
    let host = host_with(&hub, &DEEDS.map(|(agent, ..)| agent)).start_ready();
    for (agent, payload, reason) in DEEDS {
        let (code, item) = view(&host, agent, payload);
        assert_eq!((code, &item["state"]), (Some(1), &json!("dead")), "{agent}: {item}");
        let ended = item["reason"].as_str().expect("an ended item has a reason").to_owned();
        if reason.is_empty() {
            // A hundred megabytes run into one limit or another, whichever is met first.
            assert!(
                ["memory_limit", "output_limit", "copy_limit"].contains(&&*ended),
                "{agent}: {item}"
            );
        } else {
            assert_eq!(ended, reason, "{agent}: {item}");
        }
        let note = item["note"].as_str().expect("a note");
        assert!(
            note.len() > reason.len() + 5 && note.len() < 2_000,
            "{agent}: words are missing: {note}"
        );
        let series =
            format!("botburrow_activations_total{{agent_id=\"{agent}\",status=\"{ended}\",task_type=\"direct\"}}");
        assert_eq!(host.metric(&series), Some(1.0), "{series}");
    }
    assert_eq!(host.submit("echo", "still here").expect(0), "done: ok: still here");
    assert_eq!(host.ready().status, 200);
}

#[test]
fn what_is_too_much_but_not_fatal_is_cut_and_said() {
    let hub = HubProcess::start(&["echo", "calls"]);
    let host = host_with(&hub, &["logs", "prints", "calls", "counts"]).start_ready();
    host.submit("logs", "log 5000 100").expect(0);
    let lines = host.logged("xxxxxxxxxx").len();
    assert!((900..=1000).contains(&lines), "{lines} lines of 1000 allowed ones");
    let (_, item) = view(&host, "prints", "stdout 104857600");
    assert!(
        ["ok", "cpu_limit", "deadline"].contains(&item["reason"].as_str().unwrap()),
        "{item}"
    );
    assert!(
        host.log_text().len() < 4 << 20,
        "{} bytes of log",
        host.log_text().len()
    );
    let done = host.submit("calls", "hub-loop 250");
    assert_eq!(done.expect(0), "done: ok: ok=200 limit=50");
    host.submit("counts", "metrics 500").expect(0);
    let series = host
        .metrics()
        .lines()
        .filter(|line| line.contains("metric=\"hostile_series\""))
        .count();
    assert_eq!(series, 50);
}

#[test]
fn a_guest_finds_nothing_of_the_machine() {
    let hub = HubProcess::start(&["echo"]);
    let host = host_with(&hub, &["looks"])
        .env("WARREN_API_TOKEN", "secret-of-the-host-0001")
        .start_ready();
    let done = host.submit("looks", "env");
    let environment = done.expect(0);
    assert!(environment.contains("env=[]"), "{environment}");
    assert!(!environment.contains("secret"), "{environment}");
    for path in ["/etc/passwd", "warren.toml", "../warren.toml", "."] {
        let done = host.submit("looks", &format!("read-file {path}"));
        assert!(done.expect(0).contains("refused"), "{path}: {done:?}");
    }
    let hub_address = hub.url().replace("http://", "");
    for address in [hub_address, host.address().to_string()] {
        let done = host.submit("looks", &format!("connect {address}"));
        assert!(done.expect(0).contains("refused"), "{address}: {done:?}");
    }
}

#[test]
fn five_failures_open_the_breaker_and_agent_show_says_so() {
    let hub = HubProcess::start(&["echo", "bad"]);
    let host = host_with(&hub, &["bad"]).start_ready();
    for failure in 1..=5 {
        let (_, item) = view(&host, "bad", "trap");
        assert_eq!(item["reason"], "trap", "failure {failure}: {item}");
    }
    let why = host.why("bad");
    assert!(
        why.contains("Its breaker is open after 5 failures in a row; it last ended with trap"),
        "{why}"
    );
    assert!(why.contains("One probe may run in "), "{why}");
    // What the Hub has for it stays there; what is submitted waits.
    hub.post("@bad hello");
    let id = host.enqueue("bad", "clock");
    let item = host.wait_item(&id, "delayed");
    assert!(item["note"].as_str().unwrap().contains("breaker"), "{item}");
    let post = hub.post("@echo and you?");
    hub.wait_for_reply(&post, "echo");
    assert_eq!(hub.unread("bad"), 1);
    assert_eq!(
        host.logged("activating")
            .iter()
            .filter(|line| line["agent"] == "bad")
            .count(),
        5
    );
    let status = host.cli(&["status"]).expect(0).to_owned();
    assert!(
        status.contains("1 agent in backoff") && status.contains("trap"),
        "{status}"
    );
    eventually("the breaker in the metrics", SOON, || {
        let left = host.metric("botburrow_agent_backoff_seconds_remaining{agent_id=\"bad\"}")?;
        (left > 0.0 && left <= 66.0 && host.metric("botburrow_queue_agents_in_backoff") == Some(1.0)).then_some(())
    });
}

#[test]
fn a_breaker_lets_a_probe_run_and_closes_when_it_succeeds() {
    let hub = HubProcess::start(&["bad"]);
    let host = host_with(&hub, &["bad"])
        .set("breaker.threshold", "2")
        .set("breaker.base", "\"1s\"")
        .set("breaker.max", "\"2s\"")
        .start_ready();
    view(&host, "bad", "trap");
    view(&host, "bad", "trap");
    // Delayed until the breaker's time, then the probe.
    assert!(host.submit("bad", "clock").expect(0).starts_with("done: ok"));
    assert!(
        host.why("bad").contains("Nothing stands in its way"),
        "{}",
        host.why("bad")
    );
}

#[test]
fn failures_of_the_hub_open_no_breaker() {
    let hub = HubProcess::start(&["echo", "asks"]);
    let host = host_with(&hub, &["asks"]).set("hub.retries", "0").start_ready();
    hub.faults(json!([{ "path": "/api/v1/notifications", "method": "GET", "kind": "status", "status": 500 }]));
    for _ in 0..7 {
        let (_, item) = view(&host, "asks", "inbox");
        assert_eq!(item["reason"], "upstream", "{item}");
    }
    let agent = host.api().get("/api/v1/agents/asks").expect(200).json();
    assert_eq!(
        (&agent["breaker"]["state"], &agent["breaker"]["failures"]),
        (&json!("closed"), &json!(0)),
        "{agent}"
    );
    hub.clear_faults();
    assert!(host.submit("asks", "inbox").expect(0).starts_with("done: ok"));
}

#[test]
fn a_deadline_that_falls_into_a_call_to_the_hub_is_the_hub_s_fault() {
    let hub = HubProcess::start(&["asks"]);
    let host = host_with(&hub, &["asks"]).start_ready();
    hub.faults(json!([{ "path": "/api/v1/notifications", "method": "GET", "kind": "hang" }]));
    let (_, item) = view(&host, "asks", "inbox");
    assert_eq!(item["reason"], "upstream", "{item}");
    let agent = host.api().get("/api/v1/agents/asks").expect(200).json();
    assert_eq!(agent["breaker"]["failures"], 0, "{agent}");
}

#[test]
fn a_plugin_that_traps_while_it_is_instantiated_fails_its_agents_only() {
    let hub = HubProcess::start(&["echo"]);
    let host = host_with(&hub, &[])
        .agent(&Agent::echo("stillborn").plugin("start-trap"))
        .start_ready();
    let (code, item) = view(&host, "stillborn", "hello");
    assert_eq!((code, &item["reason"]), (Some(1), &json!("trap")), "{item}");
    assert_eq!(host.submit("echo", "and you?").expect(0), "done: ok: and you?");
}

#[test]
fn spinning_guests_do_not_keep_others_from_answering() {
    let hub = HubProcess::start(&["echo"]);
    let names: Vec<String> = (0..8).map(|n| format!("spinner-{n}")).collect();
    let mut setup = HostSetup::new(&hub).agent(&Agent::echo("echo"));
    for name in &names {
        setup = setup.agent(&Agent::hostile(name, "trap").with("limits: {cpu: 60s}"));
    }
    let mut host = setup.start_ready();
    for name in &names {
        host.enqueue(name, "spin");
    }
    for name in &names {
        host.wait_activating(name);
    }
    let post = hub.post("@echo is there room?");
    hub.wait_for_reply(&post, "echo");
    hub.wait_until_read("echo");
    // The Hub has the answer a moment before the activation has ended.
    let running = eventually("the end of the answer's activation", SOON, || {
        host.metric("botburrow_activations_in_progress").filter(|n| *n < 9.0)
    });
    assert!(
        running > 7.0,
        "{running}: the spinners were over before the answer came"
    );
    assert_eq!(host.cli(&["status"]).code, Some(0));
    // Nor do they hold up a stop longer than the grace period.
    host.signal(rustix::process::Signal::TERM);
    host.signal(rustix::process::Signal::INT);
    host.wait_exit(SOON);
}

#[test]
fn a_notification_that_was_not_handed_over_is_not_marked_read() {
    let hub = HubProcess::start(&["liar", "echo"]);
    let host = host_with(&hub, &[])
        .agent(&Agent::hostile("liar", "inbox"))
        .start_ready();
    hub.post("@liar hello");
    let ended = host.wait_logged("activation ended");
    assert_eq!(ended["reason"], "ok", "{ended}");
    let id = ended["detail"].as_str().unwrap().to_owned();
    // A direct item was handed nothing; its word on what it handled counts for nothing.
    host.submit("liar", &format!("handled-unknown {id}")).expect(0);
    host.wait_logged("notifications that it was not handed");
    assert_eq!(hub.unread("liar"), 1);
}
