//! `/metrics`, `/health` and what must not be in them.

use warren_tests::{
    SOON, eventually,
    host::{Agent, HostSetup, files},
    hub::{HubProcess, HubSetup},
};

#[test]
fn the_known_names_are_there_with_right_values() {
    let hub = HubProcess::start(&["echo"]);
    let host = HostSetup::new(&hub).agent(&Agent::echo("echo")).start_ready();
    let post = hub.post("@echo hello");
    hub.wait_for_reply(&post, "echo");
    let series = "botburrow_activations_total{agent_id=\"echo\",status=\"ok\",task_type=\"inbox\"}";
    eventually("the activation in the metrics", SOON, || {
        (host.metric(series) == Some(1.0)).then_some(())
    });
    assert_eq!(
        host.metric("botburrow_coordinator_is_leader{instance_id=\"tested\"}"),
        Some(1.0)
    );
    for (series, value) in [
        ("botburrow_activations_in_progress", 0.0),
        ("botburrow_activation_duration_seconds_count", 1.0),
        ("botburrow_queue_wait_seconds_count", 1.0),
    ] {
        assert_eq!(host.metric(series), Some(value), "{series}");
    }
    assert!(host.metric("botburrow_poll_duration_seconds_count") >= Some(1.0));
    // The leader counts these every few seconds.
    eventually("the queue's gauges", SOON, || {
        host.metric("botburrow_queue_active_tasks")
    });
    for priority in ["high", "normal", "low"] {
        assert_eq!(
            host.metric(&format!("botburrow_queue_depth{{priority=\"{priority}\"}}")),
            Some(0.0)
        );
    }
    assert_eq!(host.metric("botburrow_queue_agents_in_backoff"), Some(0.0));
    assert_eq!(host.metric("botburrow_leader_term"), Some(1.0));
    let answer = host.api().get("/metrics");
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("text/plain; version=0.0.4"),
        "{answer:?}"
    );
}

#[test]
fn the_queue_s_gauges_show_what_waits() {
    let hub = HubProcess::start(&["busy"]);
    let host = HostSetup::new(&hub)
        .agent(&Agent::hostile("busy", "trap"))
        .agent(&Agent::hostile("other", "trap"))
        .set("runner.slots", "1")
        .start_ready();
    host.enqueue("busy", "sleep 60000");
    host.wait_activating("busy");
    host.enqueue("busy", "clock");
    host.enqueue("other", "clock");
    eventually("what waits in the gauges", SOON, || {
        (host.metric("botburrow_queue_active_tasks") == Some(1.0)
            && host.metric("botburrow_queue_items{state=\"waiting\"}") == Some(1.0)
            && host.metric("botburrow_queue_depth{priority=\"high\"}") == Some(1.0)
            && host.metric("botburrow_queue_oldest_seconds") > Some(0.0)
            && host.metric("botburrow_activations_in_progress") == Some(1.0))
        .then_some(())
    });
}

#[test]
fn health_is_an_answer_and_an_unknown_path_is_json() {
    let hub = HubProcess::start(&[]);
    let host = HostSetup::new(&hub).agent(&Agent::echo("echo")).start();
    assert_eq!(host.api().get("/health").expect(200).json()["status"], "ok");
    let missing = host.api().get("/api/v1/nothing").expect(404).json();
    assert_eq!(missing["error"]["code"], "not_found", "{missing}");
    assert_eq!(host.api().send("DELETE", "/api/v1/items", None).status, 405);
}

#[test]
fn secrets_are_nowhere() {
    const KEY: &str = "hub-key-5up3r-s3cr3t";
    const TOKEN: &str = "api-token-5up3r-s3cr3t";
    let hub = HubSetup::new(&["echo"]).api_key(KEY).start();
    let mut host = HostSetup::new(&hub)
        .agent(&Agent::echo("echo"))
        .set("api.token", &format!("{TOKEN:?}"))
        // Everything but the compiler, which says much and knows no secret.
        .set(
            "log.level",
            "\"trace,cranelift_codegen=info,regalloc2=info,wasmtime=info\"",
        )
        .start_ready();
    let post = hub.post("@echo hello");
    hub.wait_for_reply(&post, "echo");
    let submitted = host.submit("echo", "hello");
    let mut shown = vec![
        ("submit", format!("{submitted:?}")),
        ("metrics", host.metrics()),
        ("status", host.status().to_string()),
        ("agent", host.why("echo")),
        ("events", host.api().get("/api/v1/events").body),
        ("config show", format!("{:?}", host.cli(&["config", "show"]))),
        (
            "config show --json",
            format!("{:?}", host.cli(&["config", "show", "--json"])),
        ),
        ("plugin list", format!("{:?}", host.cli(&["plugin", "list", "--json"]))),
    ];
    let wrong = warren_tests::http::Client::new(host.url(), Some(KEY.to_owned()));
    let refused = wrong.post("/api/v1/items", &serde_json::json!({ "agent": "echo", "payload": "" }));
    shown.push(("refusal", refused.expect(401).body));
    host.sigterm();
    assert_eq!(host.wait_exit(SOON).code(), Some(0));
    shown.push(("log", host.log_text()));
    for (place, text) in &shown {
        assert!(
            !text.is_empty() && !text.contains("5up3r"),
            "a secret is in {place}: {text}"
        );
    }
    for file in files(&host.data()) {
        let bytes = std::fs::read(&file).expect("a file can be read");
        let found = String::from_utf8_lossy(&bytes).contains("5up3r");
        assert!(!found, "a secret is in {}", file.display());
    }
}
