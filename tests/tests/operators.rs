//! What goes wrong around a host, and what it says about it: names, values, limits, next steps.

#![allow(
    clippy::unwrap_used,
    reason = "a test's helpers fail by panicking, like the test itself"
)]

#[path = "operators/plugins.rs"]
mod plugins;

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt};

use serde_json::{Value, json};
use warren_tests::{
    SOON, eventually, guests,
    host::{Agent, HostSetup},
    http::Client,
    hub::HubProcess,
};

#[test]
fn a_port_that_is_taken_is_named_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let hub = HubProcess::start(&[]);
    let setup = HostSetup::new(&hub).set("api.listen", &format!("{address:?}"));
    let words = setup.cli(&["run"]).refused(1).to_owned();
    assert!(
        words.contains(&format!("{address} is taken by another program")),
        "{words}"
    );
    assert!(
        words.contains("choose another port") && words.contains("WARREN_API_LISTEN"),
        "{words}"
    );
    let words = setup.cli(&["hub", "--listen", &address]).refused(1).to_owned();
    assert!(
        words.contains(&address) && words.contains("choose another address"),
        "{words}"
    );
}

#[test]
fn a_second_host_on_the_same_file_is_refused_and_the_first_goes_on() {
    let hub = HubProcess::start(&["echo"]);
    let host = HostSetup::new(&hub).agent(&Agent::echo("echo")).start_ready();
    let second = HostSetup::new(&hub)
        .set("host.name", "\"second\"")
        .set("store.path", &format!("{:?}", host.setup().path("data/warren.db")));
    let words = second.cli(&["run"]).refused(1).to_owned();
    for part in [
        "data/warren.db",
        "in use by host tested",
        &host.process_id().to_string(),
        "Redis",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
    let post = hub.post("@echo still there?");
    hub.wait_for_reply(&post, "echo");
}

#[test]
fn a_token_that_is_missing_or_wrong_is_refused_in_words() {
    let hub = HubProcess::start(&["echo"]);
    let host = HostSetup::new(&hub).agent(&Agent::echo("echo")).start_ready();
    let item = json!({ "agent": "echo", "agent_id": "echo", "payload": "x" });
    for (token, words) in [
        (None, "Authorization: Bearer TOKEN"),
        (Some("x".repeat(64)), "the token is not this host's"),
        (Some(String::new()), "token"),
    ] {
        let refused = Client::new(host.url(), token).post("/api/v1/items", &item).expect(401);
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
        let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(words) && message.contains("api.token"), "{message}");
    }
    let arguments = ["submit", "echo", "--agent-id", "echo", "--payload", "x", "--wait=60"];
    let wrong = warren_tests::process::Process::run(
        host.command()
            .env("WARREN_API_TOKEN", "another-token-0123456789")
            .args(arguments),
    );
    assert!(wrong.refused(1).contains("the token is not this host's"), "{wrong:?}");
    assert!(!wrong.stderr.contains("another-token"), "{wrong:?}");
    let file = host.data().join("api-token");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    host.cli(&arguments).expect(0);
    // Reading needs none on this machine.
    Client::new(host.url(), None).get("/api/v1/status").expect(200);
}

#[test]
fn a_host_that_is_not_there_is_said_with_its_address() {
    let setup = HostSetup::without_hub().set("api.listen", "\"127.0.0.1:1\"");
    for command in [
        &["status"][..],
        &["plugin", "list"],
        &["agent", "show", "echo"],
        &["submit", "echo", "--payload", "x"],
    ] {
        let words = setup.cli(command).refused(4).to_owned();
        assert!(words.contains("no host answers at http://127.0.0.1:1"), "{words}");
        assert!(words.contains("warren run") && words.contains("--host"), "{words}");
    }
}

#[test]
fn broken_definitions_are_told_by_file_and_field_and_the_good_one_runs() {
    let hub = HubProcess::start(&["echo", "typo", "twin"]);
    let host = HostSetup::new(&hub)
        .agent(&Agent::echo("echo"))
        .file("agents/typo/config.yaml", "name: typo\nplugin: echo\nbehaviour: {}\n")
        .file("agents/twin/config.yaml", "name: other\nplugin: echo\n")
        .file("agents/noise/config.yaml", "\u{1}: [")
        .start_ready();
    for agent in ["typo", "twin"] {
        hub.post(&format!("@{agent} hello"));
    }
    let post = hub.post("@echo hello");
    hub.wait_for_reply(&post, "echo");
    for (agent, part) in [
        ("typo", "behaviour"),
        ("twin", "is not the name of the file's folder"),
        ("noise", "config.yaml"),
    ] {
        let why = host.why(agent);
        assert!(why.contains("It can't run: ") && why.contains(part), "{why}");
        assert!(why.contains(&format!("agents/{agent}/config.yaml")), "{why}");
    }
    let words = host
        .cli(&["submit", "typo", "--agent-id", "typo", "--payload", "x"])
        .refused(2)
        .to_owned();
    assert!(
        words.contains("agents/typo/config.yaml") && words.contains("behaviour"),
        "{words}"
    );
    // Repaired, it runs; no restart is needed.
    host.write(
        "agents/typo/config.yaml",
        "name: typo\nplugin: echo\ncapabilities: {grants: [hub:read, hub:write, config, logging, metrics]}\n",
    );
    eventually("the repaired agent's reply", SOON, || {
        (hub.unread("typo") == 0).then_some(())
    });
}

#[test]
fn everything_wrong_with_a_configuration_is_said_at_once() {
    let setup = HostSetup::without_hub()
        .set("queue.max_lenght", "3")
        .set("runner.slots", "0")
        .set("leader.ttl", "\"soon\"")
        .env("WARREN_HUB_POLL_TIME", "3s")
        .env("WARREN_QUEUE_FAIRNESS", "many");
    let file = setup.path("warren.toml");
    for command in [&["run"][..], &["config", "check"], &["config", "show"], &["status"]] {
        let words = setup.cli(command).refused(2).to_owned();
        for part in [
            file.to_str().unwrap(),
            "max_lenght",
            "max_length",
            "runner.slots",
            "leader.ttl",
            "soon",
            "WARREN_HUB_POLL_TIME",
            "WARREN_QUEUE_FAIRNESS",
            "many",
        ] {
            assert!(words.contains(part), "{command:?} does not say {part}: {words}");
        }
    }
    let checked = setup.cli(&["config", "check", "--json"]);
    let report: Value = serde_json::from_str(checked.expect(2)).unwrap();
    assert_eq!(report["ok"], false, "{report}");
    assert!(report["problems"].as_array().unwrap().len() >= 5, "{report:#}");
}

#[test]
fn a_configuration_that_is_missing_or_has_no_hub_says_what_to_write() {
    let setup = HostSetup::without_hub();
    let words = setup.cli(&["run"]).refused(2).to_owned();
    assert!(words.contains("hub.url") && words.contains("HUB_URL"), "{words}");
    let words = setup.cli(&["run", "--config", "not/there.toml"]).refused(2).to_owned();
    assert!(words.contains("not/there.toml"), "{words}");
    let setup = setup.set("hub.url", "\"ftp://hub\"");
    let words = setup.cli(&["run"]).refused(2).to_owned();
    assert!(words.contains("hub.url") && words.contains("ftp://hub"), "{words}");
}

#[test]
fn config_show_tells_every_value_and_where_it_came_from() {
    let hub = HubProcess::start(&[]);
    let setup = HostSetup::new(&hub)
        .set("runner.slots", "3")
        .env("WARREN_QUEUE_FAIRNESS", "7")
        .env("HUB_API_KEY", "key-1234567890");
    let shown = setup.cli(&["config", "show", "--json"]);
    let entries: Vec<Value> = serde_json::from_str(shown.expect(0)).unwrap();
    let entry = |key: &str| {
        entries
            .iter()
            .find(|entry| entry["key"] == key)
            .unwrap_or_else(|| panic!("no {key}"))
    };
    assert_eq!(entry("runner.slots")["value"], 3);
    assert!(
        entry("runner.slots")["source"]
            .as_str()
            .unwrap()
            .contains("warren.toml")
    );
    assert_eq!(entry("queue.fairness")["value"], 7);
    assert!(
        entry("queue.fairness")["source"]
            .as_str()
            .unwrap()
            .contains("WARREN_QUEUE_FAIRNESS")
    );
    assert_eq!(entry("queue.max_attempts")["source"], "default");
    assert!(!shown.stdout.contains("key-1234567890"), "{}", shown.stdout);
    let checked = setup.cli(&["config", "check"]);
    assert!(checked.expect(0).contains("the configuration is good"), "{checked:?}");
}
