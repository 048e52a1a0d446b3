//! Scopes of a verification on real hosts in this process, over their APIs: on a file, and on a Redis that two share.

#![allow(
    clippy::unwrap_used,
    reason = "a test's helpers fail by panicking, like the test itself"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;
use warren::app::{config::Config, host::Host, verify::IDLE};

const TOKEN: &str = "shared-by-the-hosts-of-the-test";
/// Longer than anything takes on a busy machine; a test that reaches it has failed.
const DEADLINE: Duration = Duration::from_secs(60);
const PREFIX: &str = "{test}:";

/// A host of a test, with a Hub that is never there: nothing of a scope may need it.
struct Tested {
    host: Host,
    folder: TempDir,
    http: reqwest::Client,
}

impl Tested {
    async fn start(name: &str, redis: Option<&Redis>) -> Tested {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        for (path, name) in [
            (&mut config.host.plugin_dir, "plugins"),
            (&mut config.host.agents_dir, "agents"),
            (&mut config.host.data_dir, "data"),
        ] {
            *path = folder.path().join(name);
            fs::create_dir(&*path).unwrap();
        }
        config.host.name = Some(name.to_owned());
        config.api.listen = "127.0.0.1:0".parse().unwrap();
        config.api.token = Some(TOKEN.to_owned().into());
        config.hub.url = Some("http://127.0.0.1:9".to_owned());
        config.store.url = redis.map(|redis| redis.url().into());
        config.store.key_prefix = PREFIX.to_owned();
        Tested {
            host: Host::start(&config).await.unwrap(),
            folder,
            http: reqwest::Client::builder().timeout(DEADLINE).build().unwrap(),
        }
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let url = format!("http://{}/api/v1/{path}", self.host.address);
        let mut request = self.http.request(method, url).bearer_auth(TOKEN);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    async fn verify(&self, what: &str, body: Value) -> Value {
        let (status, answer) = self.call(Method::POST, &format!("verify/{what}"), Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{what}: {answer}");
        answer
    }

    async fn refuses(&self, what: &str, body: Value, status: u16, words: &str) {
        let (answered, answer) = self.call(Method::POST, &format!("verify/{what}"), Some(body)).await;
        assert_eq!(answered.as_u16(), status, "{what}: {answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{words:?} is not in: {message}");
    }

    async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, None).await.1
    }

    /// Wait until nothing in the scope has more to do.
    async fn run_dry(&self, scope: &Value) {
        let began = Instant::now();
        loop {
            let state = self.verify("state", scope.clone()).await;
            let queued: u64 = state["queued"]
                .as_object()
                .unwrap()
                .values()
                .filter_map(Value::as_u64)
                .sum();
            let others = ["waiting", "delayed", "held", "active"].map(|name| state[name].as_u64().unwrap());
            if queued + others.iter().sum::<u64>() == 0 {
                return;
            }
            assert!(began.elapsed() < DEADLINE, "still to do: {state}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Files of scopes in the data folder.
    fn scope_files(&self) -> Vec<String> {
        let files = fs::read_dir(self.folder.path().join("data")).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("verify-")).collect()
    }
}

/// A Redis of a test's own, killed when it is dropped.
struct Redis {
    server: Child,
    folder: TempDir,
}

impl Redis {
    fn start() -> Redis {
        let folder = tempfile::tempdir().unwrap();
        let server = warren_tests::redis::server()
            .args(["--port", "0", "--unixsocket", "redis.sock", "--save", ""])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed (Debian: redis-server)");
        Redis { server, folder }
    }

    fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    fn socket(&self) -> std::path::PathBuf {
        Path::new(self.folder.path()).join("redis.sock")
    }

    fn keys(&self) -> BTreeSet<String> {
        let mut connection = redis::Client::open(self.url()).unwrap().get_connection().unwrap();
        redis::cmd("KEYS").arg("*").query(&mut connection).unwrap()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.server.kill().and_then(|()| self.server.wait()).unwrap();
    }
}

fn scope() -> Value {
    json!({"scope": Uuid::new_v4().to_string()})
}

/// A load of the scope: so many items for so many agents.
fn load(scope: &Value, items: u32, agents: u32) -> Value {
    let items = (0..items).map(|n| json!({"id": Uuid::now_v7().to_string(), "agent": n % agents}));
    json!({"scope": scope["scope"], "items": items.collect::<Vec<_>>()})
}

/// How often each item ran, in what the hosts told when they left.
fn counted(left: &[Value]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for run in left.iter().flat_map(|left| left["runs"].as_array().unwrap()) {
        assert!(run["began_micros"].as_i64() <= run["ended_micros"].as_i64(), "{run}");
        *counts.entry(run["item"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    counts
}

#[track_caller]
fn assert_each_ran_once(load: &Value, counts: &BTreeMap<String, usize>) {
    for item in load["items"].as_array().unwrap() {
        assert_eq!(counts.get(item["id"].as_str().unwrap()), Some(&1), "{item}");
    }
}

#[track_caller]
fn assert_breaker_was_right(seen: &Value) {
    let failing = seen["failing"].as_array().unwrap();
    let states: Vec<_> = failing
        .iter()
        .map(|sight| (&sight["state"], &sight["failures"], &sight["ending"]))
        .collect();
    assert_eq!(
        json!(states),
        json!([["closed", 1, "trap"], ["closed", 2, "trap"], ["open", 3, "trap"]])
    );
    assert_eq!(seen["while_open"], "skipped");
    assert_eq!(seen["at_half_open"], json!(["added", "added"]));
    let probe = &seen["failed_probe"];
    assert_eq!(
        (&probe["state"], &probe["ending"]),
        (&json!("open"), &json!("trap")),
        "{seen}"
    );
    assert!(probe["open_seconds"].as_f64() > seen["open_seconds"].as_f64(), "{seen}");
    assert!(
        ["delayed", "waiting", "queued"].contains(&seen["beside_failed_probe"].as_str().unwrap()),
        "{seen}"
    );
    let good = &seen["good_probe"];
    assert_eq!(
        (&good["state"], &good["failures"]),
        (&json!("closed"), &json!(0)),
        "{seen}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_on_a_file_runs_what_it_is_given_and_leaves_nothing() {
    let tested = Tested::start("h1", None).await;
    let scope = scope();
    tested.verify("join", scope.clone()).await;
    assert!(!tested.scope_files().is_empty());
    assert_eq!(tested.get("verify").await["scope"], scope["scope"]);
    let load = load(&scope, 20, 4);
    let answer = tested.verify("load", load.clone()).await;
    assert_eq!(answer["accepted"].as_array().unwrap().len(), 20);
    // A repeat is answered the same, and adds nothing.
    assert_eq!(tested.verify("load", load.clone()).await, answer);
    tested.run_dry(&scope).await;
    assert_breaker_was_right(&tested.verify("breaker", scope.clone()).await);
    let left = tested.verify("leave", scope.clone()).await;
    let counts = counted(&[left]);
    assert_each_ran_once(&load, &counts);
    assert_eq!(counts.len(), 20 + 5, "the breaker's probes run five times");
    assert_eq!(tested.verify("destroy", scope.clone()).await["left"], 0);
    assert_eq!(tested.scope_files(), Vec::<String>::new());
    let queue = tested.get("queue").await;
    assert_eq!(
        (&queue["queue"]["done"], &queue["queue"]["dead"]),
        (&json!(0), &json!(0)),
        "{queue}"
    );
    tested.host.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_share_a_scope_on_redis_and_nothing_outside_it_is_touched() {
    let redis = Redis::start();
    let (one, other) = (
        Tested::start("h1", Some(&redis)).await,
        Tested::start("h2", Some(&redis)).await,
    );
    let before = redis.keys();
    assert!(!before.is_empty() && before.iter().all(|key| key.starts_with(PREFIX)));
    let scope = scope();
    for host in [&one, &other] {
        let joined = host.verify("join", scope.clone()).await;
        let prefix = format!("{PREFIX}warren:verify:{}:*", scope["scope"].as_str().unwrap());
        assert_eq!(joined["kept_in"], json!(prefix));
    }
    let first = load(&scope, 100, 10);
    let second = load(&scope, 100, 10);
    one.verify("load", first.clone()).await;
    other.verify("load", second.clone()).await;
    one.run_dry(&scope).await;
    assert_breaker_was_right(&other.verify("breaker", scope.clone()).await);
    let left = [
        one.verify("leave", scope.clone()).await,
        other.verify("leave", scope.clone()).await,
    ];
    let counts = counted(&left);
    assert_each_ran_once(&first, &counts);
    assert_each_ran_once(&second, &counts);
    assert!(redis.keys().iter().any(|key| key.contains("warren:verify:")));
    // Any host destroys it, also one that is in no scope any more.
    assert_eq!(other.verify("destroy", scope.clone()).await["left"], 0);
    let after = redis.keys();
    assert!(after.iter().all(|key| !key.contains("warren:verify:")), "{after:?}");
    assert!(before.is_subset(&after), "{before:?} {after:?}");
    for tested in [one, other] {
        tested.host.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_is_one_at_a_time_for_whoever_has_the_token_and_bounded() {
    let tested = Tested::start("h1", None).await;
    let (mine, other) = (scope(), scope());
    tested.refuses("state", mine.clone(), 404, "is not in scope").await;
    tested
        .refuses("join", json!({"scope": "mine"}), 422, "not a UUID")
        .await;
    tested.verify("join", mine.clone()).await;
    tested.verify("join", mine.clone()).await;
    tested.refuses("join", other.clone(), 409, "another verification").await;
    tested.refuses("leave", other.clone(), 404, "is not in scope").await;
    tested
        .refuses("load", load(&mine, 201, 1), 422, "200 are allowed")
        .await;
    let stranger = json!({"scope": mine["scope"], "items": [{"id": Uuid::now_v7().to_string(), "agent": 1000}]});
    tested.refuses("load", stranger, 422, "agent 1000").await;
    // Destroying another one does not touch this one.
    tested.verify("destroy", other).await;
    tested.verify("state", mine.clone()).await;
    let url = format!("http://{}/api/v1/verify/state", tested.host.address);
    let without = tested.http.post(url).json(&mine).send().await.unwrap();
    assert_eq!(without.status(), StatusCode::UNAUTHORIZED);
    // A host that stops leaves nothing of its scope.
    let (data, host) = (tested.folder, tested.host);
    host.stop().await.unwrap();
    let files = fs::read_dir(data.path().join("data")).unwrap();
    let names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    assert!(
        names.iter().all(|name| !name.to_string_lossy().starts_with("verify-")),
        "{names:?}"
    );
}

#[tokio::test]
async fn a_scope_that_is_forgotten_ends_by_itself() {
    let tested = Tested::start("h1", None).await;
    let scope = scope();
    tested.verify("join", scope.clone()).await;
    tokio::time::pause();
    tokio::time::advance(IDLE).await;
    tokio::time::resume();
    let began = Instant::now();
    while tested.get("verify").await["scope"] != Value::Null {
        assert!(began.elapsed() < DEADLINE, "the scope is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(tested.scope_files(), Vec::<String>::new());
    tested.refuses("state", scope, 404, "is not in scope").await;
    tested.host.stop().await.unwrap();
}
