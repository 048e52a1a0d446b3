//! What goes wrong around a host, and what it says about it: names, values, limits, next steps.

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

/// A name, what lies in the plugin's folder, and words about it.
fn broken_plugins() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let core = b"\0asm\x01\0\0\0".to_vec();
    let mut cut = guests::component("echo");
    cut.truncate(cut.len() / 2);
    vec![
        ("text", b"no component at all".to_vec(), "this is not WebAssembly"),
        ("empty", Vec::new(), "this is not WebAssembly"),
        ("core", core, "this is a core module, not a component"),
        ("cut", cut, "the file is cut off"),
        (
            "other-world",
            guests::component("guest-other-world"),
            "the component was built against",
        ),
        (
            "undeclared",
            guests::component("guest-undeclared"),
            "which its manifest does not declare",
        ),
        ("no-activate", guests::component("guest-no-activate"), "activate"),
    ]
}

fn manifest(name: &str, component: &str) -> String {
    format!(
        "name = \"{name}\"\nversion = \"1\"\nworld = \"warren:agent/agent@0.1.0\"\ncomponent = \"{component}\"\n\
         capabilities = []\n"
    )
}

#[test]
fn broken_plugins_are_listed_with_their_reasons_and_the_good_one_runs() {
    let hub = HubProcess::start(&["echo", "lame"]);
    let mut setup = HostSetup::new(&hub)
        .agent(&Agent::echo("echo"))
        .agent(&Agent::echo("lame").plugin("core"))
        .file("plugins/no-manifest-value/plugin.toml", "name = \"x\"\n")
        .file("plugins/absent/plugin.toml", manifest("absent", "absent.wasm"));
    for (name, component, _) in broken_plugins() {
        setup = setup
            .file(&format!("plugins/{name}/plugin.toml"), manifest(name, "plugin.wasm"))
            .file(&format!("plugins/{name}/plugin.wasm"), component);
    }
    let host = setup.start_ready();
    let post = hub.post("@echo hello");
    hub.wait_for_reply(&post, "echo");

    let list: Value = serde_json::from_str(host.cli(&["plugin", "list", "--json"]).expect(0)).unwrap();
    let plugins = list["plugins"].as_array().unwrap();
    let words_of = |name: &str| {
        let ends = |text: &Value| text.as_str().is_some_and(|text| text.ends_with(name));
        let plugin = plugins.iter().find(|plugin| ends(&plugin["name"]));
        let plugin = plugin.unwrap_or_else(|| panic!("{name} is not in {list:#}"));
        assert!(plugin["running"].is_null(), "{plugin}");
        plugin["error"].as_str().expect("words").to_owned()
    };
    for (name, _, expected) in broken_plugins() {
        let words = words_of(name);
        assert!(words.contains(expected), "{name}: {words}");
        let folder = host.setup().path(&format!("plugins/{name}"));
        let inspected = host.setup().cli(&["plugin", "inspect", folder.to_str().unwrap()]);
        assert_eq!(inspected.code, Some(1), "{inspected:?}");
        let said = format!("{}{}", inspected.stdout, inspected.stderr);
        assert!(said.contains(expected), "inspect {name}: {said}");
    }
    assert!(
        words_of("no-manifest-value/plugin.toml").contains("missing field"),
        "{list:#}"
    );
    assert!(words_of("absent").contains("absent.wasm"), "{list:#}");

    let table = host.cli(&["plugin", "list"]).expect(0).to_owned();
    assert!(
        table.contains("FAILED") && table.contains("core: this is a core module"),
        "{table}"
    );
    let why = host.why("lame");
    assert!(
        why.contains("It can't run on this host: plugin core could not be loaded: this is a core module"),
        "{why}"
    );
    let status = host.status();
    assert_eq!(
        (&status["plugins"]["ready"], &status["ready"]["ready"]),
        (&json!(1), &json!(true)),
        "{status}"
    );
}

#[test]
fn a_folder_of_plugins_that_is_not_there_is_named() {
    let hub = HubProcess::start(&[]);
    let setup = HostSetup::new(&hub).set("host.plugin_dir", "\"nowhere/plugins\"");
    let words = setup.cli(&["run"]).refused(1).to_owned();
    assert!(
        words.contains("nowhere/plugins: the folder of plugins can't be read"),
        "{words}"
    );
}

#[test]
fn a_component_on_its_own_can_be_inspected() {
    let setup = HostSetup::without_hub()
        .file("core.wasm", b"\0asm\x01\0\0\0")
        .file("text.wasm", "text");
    let inspect = |file: &std::path::Path| setup.cli(&["plugin", "inspect", file.to_str().unwrap()]);
    let words = inspect(&setup.path("core.wasm")).refused(1).to_owned();
    assert!(words.contains("core.wasm: this is a core module"), "{words}");
    assert!(inspect(&setup.path("text.wasm")).refused(1).contains("not WebAssembly"));
    assert!(
        inspect(&setup.path("none.wasm"))
            .refused(3)
            .contains("none.wasm can't be read")
    );
    let good = inspect(&guests::path("echo"));
    let shown = good.expect(0);
    assert!(
        shown.contains("needs      hub:read") && shown.contains("warren:agent/hub@0.1.0"),
        "{shown}"
    );
}

#[test]
fn an_agent_that_is_not_granted_what_its_plugin_imports_is_told_so() {
    let hub = HubProcess::start(&["echo"]);
    let host = HostSetup::new(&hub)
        .agent(&Agent::echo("echo").grants("hub:read, config"))
        .start_ready();
    hub.post("@echo hello");
    host.wait_logged("can't run this agent here");
    let why = host.why("echo");
    assert!(
        why.contains("plugin echo imports what agent echo is not granted: "),
        "{why}"
    );
    assert!(
        why.contains("metrics") && why.contains("`capabilities.grants` in the agent's config.yaml"),
        "{why}"
    );
    let item = host.cli(&["submit", "echo", "--payload", "x", "--wait=1"]);
    assert!(
        item.expect(5).contains("ask again with `warren agent show echo`"),
        "{item:?}"
    );
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

#[test]
fn inspect_shows_what_a_component_imports_beside_what_its_manifest_declares() {
    let hub = HubProcess::start(&[]);
    let setup = HostSetup::new(&hub).plugin("echo").plugin("undeclared");
    let setup = setup.set("limits.hub_calls", "7");
    let folder = |name: &str| setup.path(&format!("plugins/{name}")).display().to_string();
    let good = setup.cli(&["plugin", "inspect", &folder("echo")]).expect(0).to_owned();
    for part in [
        "world      0.1.0; declares warren:agent/agent@0.1.0",
        "declares   hub:read, hub:write, config, logging, metrics",
        "imports    ",
        "warren:agent/hub@0.1.0",
        "exports    activate",
        "memory 64.0 MiB, cpu 5s",
        "hub_calls 7",
        "difference none",
        "verdict    a host runs it",
    ] {
        assert!(good.contains(part), "{part:?}: {good}");
    }
    let manifest = setup.path("plugins/echo/plugin.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(
        &manifest,
        text.replace("\"metrics\"", "\"keyvalue\"") + "[limits]\nhub_calls = 8\n",
    )
    .unwrap();
    let wrong = setup.cli(&["plugin", "inspect", &folder("echo")]);
    wrong.expect(1);
    for part in [
        "difference imports what needs `metrics`, and does not declare it",
        "declares `keyvalue`, and imports nothing that needs it",
        "REFUSED    the component imports `warren:agent/metrics@0.1.0`",
    ] {
        assert!(wrong.stdout.contains(part), "{part:?}: {}", wrong.stdout);
    }
    let refused = setup.cli(&["plugin", "inspect", &folder("undeclared"), "--json"]);
    let shown: Value = serde_json::from_str(refused.expect(1)).unwrap();
    assert_eq!(shown["differences"].as_array().unwrap().len(), 1, "{shown}");
    assert_eq!(shown["limits"]["hub_calls"], 7, "{shown}");
}
