//! The `warren` binary as a process.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    process::{Command, Output, Stdio},
};

use warren::{domain::ids::HolderId, ports::leadership::Bid};

use super::*;

pub fn warren(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warren"));
    command.current_dir(folder).env_clear().env("RUST_BACKTRACE", "0");
    command
}

impl Served {
    /// A command that finds this host and its token by the configuration. Runs beside the server.
    pub async fn command(&self, args: &[&str], input: &str) -> Output {
        let mut command = warren(self.folder.path());
        command
            .args(args)
            .env("WARREN_API_LISTEN", self.address.to_string())
            .env("WARREN_API_TOKEN", TOKEN);
        let input = input.to_owned();
        let run = move || {
            let mut child = command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
            child.wait_with_output().unwrap()
        };
        tokio::task::spawn_blocking(run).await.unwrap()
    }
}

#[track_caller]
pub fn assert_ends(output: &Output, code: i32, parts: &[&str]) {
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(code), "{said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in:\n{said}");
    }
}

#[test]
fn config_check_tells_all_that_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let check = |file: &str| {
        fs::write(folder.path().join("warren.toml"), file).unwrap();
        warren(folder.path()).args(["config", "check"]).output().unwrap()
    };
    assert_ends(
        &check("[hub]\nurl = \"http://hub\"\n"),
        2,
        &[
            "host.plugin_dir: plugins: the folder of plugins can't be read",
            "host.agents_dir: agents: the folder of agents' definitions can't be read",
        ],
    );
    for path in ["plugins", "agents"] {
        fs::create_dir(folder.path().join(path)).unwrap();
    }
    assert_ends(
        &check("[hub]\nurl = \"http://hub\"\n"),
        0,
        &["the configuration is good", "1 of"],
    );
    assert_ends(&check(""), 2, &["hub.url", "HUB_URL"]);
    assert_ends(
        &check("[hub]\nurll = 1\npoll_batch = 0\n"),
        2,
        &["2 problems", "did you mean hub.url?", "outside 1 to"],
    );
    let json = warren(folder.path())
        .args(["config", "check", "--json"])
        .output()
        .unwrap();
    assert_ends(&json, 2, &["\"key\": \"hub.urll\"", "\"ok\": false"]);
    let missing = warren(folder.path())
        .args(["config", "show", "--config", "other.toml"])
        .output()
        .unwrap();
    assert_ends(&missing, 2, &["other.toml: there is no such file"]);
}

#[test]
fn config_show_tells_values_and_where_they_came_from_but_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let show = |args: &[&str]| {
        warren(folder.path())
            .args(args)
            .env("HUB_API_KEY", "hunter2")
            .env("WARREN_RUNNER_SLOTS", "4")
            .output()
            .unwrap()
    };
    let shown = show(&["config", "show"]);
    assert_ends(
        &shown,
        0,
        &["\"(set)\"", "HUB_API_KEY", "WARREN_RUNNER_SLOTS", "leader.ttl"],
    );
    let json = show(&["config", "show", "--json"]);
    let entries: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(
        entries
            .as_array()
            .unwrap()
            .iter()
            .any(|e| e["key"] == "runner.slots" && e["value"] == 4),
        "{entries}"
    );
    for output in [shown, json] {
        assert!(!String::from_utf8_lossy(&output.stdout).contains("hunter2"));
    }
}

#[test]
fn usage_and_unreachable_hosts_have_codes_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    assert_ends(
        &warren(folder.path()).arg("frobnicate").output().unwrap(),
        2,
        &["frobnicate"],
    );
    assert_ends(
        &warren(folder.path()).args(["submit", "echo"]).output().unwrap(),
        2,
        &["--payload"],
    );
    assert_ends(
        &warren(folder.path()).arg("--help").output().unwrap(),
        0,
        &["Exit codes"],
    );
    assert_ends(
        &warren(folder.path()).args(["completions", "bash"]).output().unwrap(),
        0,
        &["_warren"],
    );
    // Port 1 is nobody's.
    let unreachable = warren(folder.path())
        .args(["status", "--host", "http://127.0.0.1:1"])
        .output()
        .unwrap();
    assert_ends(
        &unreachable,
        4,
        &["no host answers at http://127.0.0.1:1", "warren dev"],
    );
    assert_ends(
        &warren(folder.path())
            .args(["status", "--host", "nonsense"])
            .output()
            .unwrap(),
        2,
        &["http://NAME:PORT"],
    );
}

#[test]
fn inspect_tells_what_is_not_a_component() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("text.wasm"), "hello").unwrap();
    fs::write(folder.path().join("core.wasm"), b"\0asm\x01\0\0\0").unwrap();
    let inspect = |path: &str| {
        warren(folder.path())
            .args(["plugin", "inspect", path])
            .output()
            .unwrap()
    };
    assert_ends(&inspect("text.wasm"), 1, &["text.wasm", "not WebAssembly"]);
    assert_ends(&inspect("core.wasm"), 1, &["core.wasm", "component"]);
    assert_ends(&inspect("nowhere.wasm"), 3, &["nowhere.wasm can't be read"]);
    assert_ends(&inspect("."), 1, &["plugin.toml"]);
}

#[tokio::test]
async fn status_agents_and_plugins_are_shown() {
    let served = Served::start().await;
    for _ in 0..5 {
        served
            .submit(serde_json::json!({ "agent": "echo", "payload": "", "agent_id": "a1" }))
            .await;
        served.run_one(Reason::Trap, "wasm `unreachable`").await;
    }
    let status = served.command(&["status"], "").await;
    assert_ends(
        &status,
        6,
        &[
            "host-1 (coordinator + runner)",
            "NO: plugins",
            "0 of 32 slots",
            "1 agent in backoff",
            "trap: wasm",
            "5, the first for ",
            "s (see `warren queue dead list`)",
        ],
    );
    let json = served.command(&["status", "--json"], "").await;
    assert_ends(&json, 6, &["\"ready\": false"]);
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&json.stdout).unwrap()["queue"]["dead"],
        5
    );
    let agent = served.command(&["agent", "show", "echo"], "").await;
    assert_ends(
        &agent,
        0,
        &["breaker is open after 5 failures in a row", "echo@3", "5 trap", "dead"],
    );
    assert_ends(
        &served.command(&["agent", "show", "nobody"], "").await,
        3,
        &["there is no agent nobody"],
    );
    let plugins = served.command(&["plugin", "list"], "").await;
    assert_ends(
        &plugins,
        0,
        &["FAILED", "broken: not a component", "abababababab", "ready"],
    );
}

#[tokio::test]
async fn status_ends_well_once_the_host_is_ready_and_somebody_leads() {
    let served = Served::start().await;
    served.state.plugins_loaded();
    served.state.hub_answered(Ok(()));
    assert_ends(
        &served.command(&["status"], "").await,
        6,
        &["ready    yes", "leader   nobody"],
    );
    let bid = Bid {
        holder: HolderId::fresh(HostName::new("host-1").unwrap()),
        address: "http://127.0.0.1:9090".into(),
        ttl: Duration::from_secs(60),
        score: Score(0),
        known: Term(0),
        waits: Duration::from_secs(10),
    };
    served.store.leadership.acquire(&bid).await.unwrap();
    let status = served.command(&["status"], "").await;
    assert_ends(
        &status,
        0,
        &["leader   host-1, term 1, since", "breakers all closed", "dead     0"],
    );
}

#[tokio::test]
async fn submit_waits_and_ends_with_the_item_s_reason() {
    let served = Served::start().await;
    let plain = ["submit", "echo", "--payload", "hi", "--agent-id", "a1"];
    assert_ends(&served.command(&plain, "").await, 0, &["is queued"]);
    served.run_one(Reason::Ok, "fine").await;

    let wait = ["submit", "echo", "--file", "-", "--wait=15"];
    // Whoever submits waits for the end that a runner brings meanwhile.
    let runner = async {
        wait_until(|| async { served.store.queue.stats().await.unwrap().queued.values().sum::<u64>() == 1 }).await;
        served.run_one(Reason::Ok, "said hello").await;
    };
    let (output, ()) = tokio::join!(served.command(&wait, "hello"), runner);
    assert_ends(&output, 0, &["done: ok: said hello"]);

    let runner = async {
        wait_until(|| async { served.store.queue.stats().await.unwrap().queued.values().sum::<u64>() == 1 }).await;
        served.run_one(Reason::GuestError, "can't").await;
    };
    let (output, ()) = tokio::join!(served.command(&wait, "hello"), runner);
    assert_ends(&output, 1, &["dead: guest_error: can't"]);

    let late = served
        .command(&["submit", "echo", "--payload", "x", "--wait=1"], "")
        .await;
    assert_ends(&late, 5, &["is still queued"]);
    assert_ends(
        &served.command(&["submit", "nobody", "--payload", "x"], "").await,
        3,
        &["no definition"],
    );
    let missing = served.command(&["submit", "echo", "--file", "nowhere.txt"], "").await;
    assert_ends(&missing, 2, &["nowhere.txt can't be read"]);
}

#[tokio::test]
async fn a_wrong_token_is_told() {
    let served = Served::start().await;
    let mut command = warren(served.folder.path());
    let args = ["submit", "echo", "--payload", "x", "--agent-id", "a1"];
    command
        .args(args)
        .env("WARREN_API_LISTEN", served.address.to_string())
        .env("WARREN_API_TOKEN", "0123456789abcdef");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    assert_ends(&output, 1, &["the token is not this host's"]);
    let mut command = warren(served.folder.path());
    command.args(args).env("WARREN_API_LISTEN", served.address.to_string());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    assert_ends(&output, 1, &["Authorization: Bearer"]);
}

#[test]
fn the_hub_tells_its_page_and_stops_on_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = warren(folder.path());
    let mut hub = command
        .args(["hub", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(hub.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("The Hub's page: http://127.0.0.1:"), "{line}");
    let process = rustix::process::Pid::from_child(&hub);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    assert_eq!(hub.wait().unwrap().code(), Some(0));
}

/// What a newcomer does in a fresh clone: no data folder, and a folder among the agents that is none.
#[tokio::test]
async fn dev_starts_where_nothing_is_there_yet() {
    let folder = tempfile::tempdir().unwrap();
    for path in ["plugins", "agents/Not A Name"] {
        fs::create_dir_all(folder.path().join(path)).unwrap();
    }
    write(
        &folder.path().join("agents/echo/config.yaml"),
        "name: echo\nplugin: echo\n",
    );
    let mut dev = warren(folder.path())
        .args(["dev", "--listen", "127.0.0.1:0", "--hub-listen", "127.0.0.1:0"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let data = folder.path().join("warren-data");
    wait_until(|| async { data.join("api-token").exists() && data.join("hub.db").exists() }).await;
    let mode = fs::metadata(&data).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "what agents keep is nobody else's to read");
    let process = rustix::process::Pid::from_child(&dev);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    assert_eq!(dev.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn who_may_not_read_the_token_may_still_ask() {
    let served = Served::start().await;
    let ask = |args: &'static [&'static str]| {
        let mut command = warren(served.folder.path());
        command
            .args(args)
            .env("WARREN_API_LISTEN", served.address.to_string())
            .env("WARREN_API_TOKEN_FILE", served.folder.path());
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    assert_ends(&ask(&["status"]).await.unwrap(), 6, &["host-1"]);
    let submit = ask(&["submit", "echo", "--payload", "x", "--agent-id", "a1"])
        .await
        .unwrap();
    assert_ends(&submit, 1, &["this command has no token", "can't be read"]);
    assert_ends(&ask(&["agent", "show", ".."]).await.unwrap(), 3, &["\"..\" is no name"]);
}

pub async fn wait_until<F: Future<Output = bool>>(holds: impl Fn() -> F) {
    let deadline = Instant::now() + DEADLINE;
    while !holds().await {
        assert!(Instant::now() < deadline, "it did not happen in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
