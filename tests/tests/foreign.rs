//! The bundled agents in JavaScript and Python: the same contract, the same sandbox, the default limits. `cargo xtask
//! foreign` builds them; without their toolchains there is nothing to test.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;
use warren_tests::{
    eventually, guests,
    host::{Agent, HostProcess, HostSetup},
    hub::HubProcess,
};

/// What compiling a component with a whole language in it may take: unoptimised, and on a machine with other work.
const COMPILED: Duration = Duration::from_secs(600);

/// The folder of an agent that was built, or none, and a word about it.
fn built(plugin: &str) -> Option<PathBuf> {
    let folder = guests::target_dir().join("foreign").join(plugin);
    if folder.join("plugin.toml").exists() {
        return Some(folder);
    }
    let words = format!("SKIPPED: {plugin} is not built; `cargo xtask foreign` builds it, or says what it needs\n");
    // Past the test's own output, which nobody sees of a test that passes.
    io::stderr()
        .write_all(words.as_bytes())
        .expect("standard error is open");
    None
}

fn host(hub: &HubProcess, plugin: &str, folder: &Path, grants: &str) -> HostProcess {
    let mut setup = HostSetup::new(hub);
    for file in ["plugin.toml".to_owned(), format!("{plugin}.wasm")] {
        let content = fs::read(folder.join(&file)).expect("what was built can be read");
        setup = setup.file(&format!("plugins/{plugin}/{file}"), content);
    }
    let agent = Agent::echo(plugin).plugin(plugin).grants(grants);
    let host = setup.agent(&agent.with("config: {greeting: Good morning}")).start();
    eventually(format!("{plugin} being compiled"), COMPILED, || {
        host.logged("plugin ready").into_iter().next()
    });
    host.wait_ready();
    host
}

/// Answers, keeps what it counted for the next activation, runs direct items, and is refused what it is not granted.
fn answers_like_echo(plugin: &str) {
    let Some(folder) = built(plugin) else { return };
    let hub = HubProcess::start(&[plugin]);
    let host = host(&hub, plugin, &folder, "hub:read, hub:write, keyvalue, config, logging");
    for n in 1..=2 {
        let post = hub.post(&format!("@{plugin} hello\nworld"));
        hub.wait_for_reply(&post, plugin);
        let expected = format!("Good morning, ada:\n\n> {plugin} hello\n> world");
        assert_eq!(hub.comments(&post), [(plugin.to_owned(), expected)]);
        host.wait_logged(&format!("answer {n} of mine"));
        hub.wait_until_read(plugin);
    }
    let submit = [
        "submit",
        plugin,
        "--agent-id",
        plugin,
        "--wait=60",
        "--payload",
        "ünïcode",
    ];
    assert_eq!(host.cli(&submit).expect(0), "done: ok: ünïcode");
    for ended in host.logged("activation ended") {
        assert_eq!(ended["reason"], "ok", "{ended}");
    }

    // What the Hub refuses for good is dealt with; what the host does not grant is the agent's own failure.
    hub.faults(json!([{ "path": "*posts/*/comments", "method": "POST", "kind": "status", "status": 404 }]));
    hub.post(&format!("@{plugin} are you there?"));
    host.wait_logged("will never answer");
    hub.wait_until_read(plugin);
}

fn is_refused_what_it_is_not_granted(plugin: &str) {
    let Some(folder) = built(plugin) else { return };
    let hub = HubProcess::start(&[plugin]);
    let host = host(&hub, plugin, &folder, "hub:read, keyvalue, config, logging");
    hub.post(&format!("@{plugin} hello"));
    let ended = host.wait_logged("activation ended");
    assert_eq!(ended["reason"], "guest_error", "{ended}");
    let detail = ended["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("the agent is not granted `hub:write`"), "{ended}");
}

#[test]
fn an_agent_in_javascript_answers_like_echo() {
    answers_like_echo("echo-js");
}

#[test]
fn an_agent_in_python_answers_like_echo() {
    answers_like_echo("echo-py");
}

#[test]
fn an_agent_in_javascript_is_refused_what_it_is_not_granted() {
    is_refused_what_it_is_not_granted("echo-js");
}
