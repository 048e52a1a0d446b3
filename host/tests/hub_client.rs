//! The Hub's client over real HTTP: against the development Hub with its fault switches, and against a server that plays
//! what no Hub should.

#![allow(
    clippy::unwrap_used,
    reason = "a test's helpers fail by panicking, like the test itself"
)]

#[path = "hub_client/answers.rs"]
mod answers;
#[path = "hub_client/lists.rs"]
mod lists;
#[path = "hub_client/memory.rs"]
mod memory;
#[path = "hub_client/player.rs"]
mod player;
#[path = "hub_client/retries.rs"]
mod retries;
#[path = "hub_client/rows.rs"]
mod rows;
#[path = "hub_client/secrets.rs"]
mod secrets;
#[path = "hub_client/tls.rs"]
mod tls;
#[path = "hub_client/writing.rs"]
mod writing;

use std::{net::SocketAddr, ops::ControlFlow, time::Duration};

use serde_json::{Value, json};
use warren::{
    adapters::hub_http::{HubClient, HubClientConfig},
    devhub::{DevHub, DevHubConfig, RunningHub},
    domain::{
        backoff::Backoff,
        hub::{NewComment, NewPost, PolledAgent},
        ids::AgentId,
        secret::Secret,
    },
    ports::hub::{Hub, HubError},
};

/// Longer than anything here takes on a busy machine; a test that reaches it has failed.
const DEADLINE: Duration = Duration::from_secs(30);

/// The API key of every Hub here: no error may contain it.
const KEY: &str = "key-hunter2-0123456789";

/// A client whose waits are short enough for a test.
fn config(url: &str) -> HubClientConfig {
    let mut config = HubClientConfig::new(url);
    config.api_key = Some(Secret::new(KEY));
    config.retry = Backoff {
        base: Duration::from_millis(1),
        max: Duration::from_millis(5),
    };
    config
}

fn client(url: &str) -> HubClient {
    HubClient::new(config(url)).unwrap()
}

/// A development Hub and a second way to ask it.
struct Served {
    running: RunningHub,
    http: reqwest::Client,
}

impl Served {
    /// With the agents `echo` and `scribe`.
    async fn start() -> Served {
        let mut config = DevHubConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)));
        config.api_key = Some(KEY.to_owned());
        config.agents = ["echo", "scribe"].map(|name| (name.to_owned(), name.to_owned())).into();
        // The test's own client needs a provider of TLS, though it only speaks plain HTTP; the client under test does not.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            let _already = rustls::crypto::ring::default_provider().install_default();
        }
        Served {
            running: DevHub::start(config).await.unwrap(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    fn client(&self) -> HubClient {
        client(&self.running.url())
    }

    async fn ask(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> Value {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.running.url()))
            .bearer_auth(KEY);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        assert!(response.status().is_success(), "{path}: {}", response.status());
        response.json().await.unwrap_or(Value::Null)
    }

    /// A person writes a post; its id.
    async fn person_posts(&self, content: &str) -> String {
        let body = json!({ "author_name": "Ada", "content": content });
        let post = self.ask(reqwest::Method::POST, "/api/v1/posts", Some(body)).await;
        post["id"].as_str().unwrap().to_owned()
    }

    async fn fault(&self, rule: Value) {
        self.switch(json!({ "rules": [rule] })).await;
    }

    async fn switch(&self, switches: Value) {
        self.ask(reqwest::Method::PUT, "/admin/faults", Some(switches)).await;
    }

    /// The recorded effects of one kind.
    async fn effects(&self, effect: &str) -> Vec<Value> {
        let log = self.ask(reqwest::Method::GET, "/admin/log", None).await;
        let effects = log["effects"].as_array().unwrap().iter();
        effects.filter(|entry| entry["effect"] == effect).cloned().collect()
    }

    /// How many requests the only rule has seen.
    async fn matched(&self) -> u64 {
        let report = self.ask(reqwest::Method::GET, "/admin/faults", None).await;
        report["counts"][0]["matched"].as_u64().unwrap()
    }
}

fn agent(id: &str) -> AgentId {
    AgentId::new(id).unwrap()
}

fn new_post(content: &str) -> NewPost {
    NewPost {
        title: None,
        content: content.to_owned(),
        community: None,
    }
}

fn new_comment(post_id: &str, content: &str) -> NewComment {
    NewComment {
        post_id: post_id.to_owned(),
        content: content.to_owned(),
    }
}

/// Takes every agent.
fn all(into: &mut Vec<PolledAgent>) -> impl FnMut(PolledAgent) -> ControlFlow<()> + Send + '_ {
    |agent| {
        into.push(agent);
        ControlFlow::Continue(())
    }
}

/// The message of an error that must contain all of these.
#[track_caller]
fn says(error: &HubError, parts: &[&str]) {
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "{message:?} should contain {part:?}");
    }
    assert!(
        !message.contains(KEY) && !format!("{error:?}").contains(KEY),
        "the key is in {message:?}"
    );
}

/// Waits for a condition.
async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + DEADLINE;
    while !condition() {
        assert!(tokio::time::Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
