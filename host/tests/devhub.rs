//! The development Hub over real HTTP: every row of its API, every fault, its limits, its page, its life and death.
//!
//! The Hub runs in this process on a loopback port of its own per test; only the test that kills it runs it in another
//! process. Waiting is always for a condition with a deadline.

#![allow(
    clippy::unwrap_used,
    reason = "a test's helpers fail by panicking, like the test itself"
)]

#[path = "devhub/faults.rs"]
mod faults;
#[path = "devhub/idempotency.rs"]
mod idempotency;
#[path = "devhub/lifecycle.rs"]
mod lifecycle;
#[path = "devhub/limits.rs"]
mod limits;
#[path = "devhub/notifying.rs"]
mod notifying;
#[path = "devhub/page.rs"]
mod page;
#[path = "devhub/polling.rs"]
mod polling;
#[path = "devhub/reading.rs"]
mod reading;

use std::net::SocketAddr;
use std::sync::Once;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use warren::devhub::{DevHub, DevHubConfig, RunningHub};

/// Longer than anything here takes on a busy machine; a test that reaches it has failed.
const DEADLINE: Duration = Duration::from_secs(20);

/// A Hub and a client of it.
struct Hub {
    running: RunningHub,
    client: Client,
    key: Option<String>,
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn client() -> Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        rustls::crypto::ring::default_provider().install_default().unwrap();
    });
    Client::builder().timeout(DEADLINE).build().unwrap()
}

impl Hub {
    /// With the agents `echo` and `scribe`, in memory.
    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut DevHubConfig)) -> Self {
        let mut config = DevHubConfig::new(loopback());
        config.agents = ["echo", "scribe"]
            .map(|name| (name.to_owned(), name.to_owned()))
            .to_vec();
        change(&mut config);
        let key = config.api_key.clone();
        Self {
            running: DevHub::start(config).await.unwrap(),
            client: client(),
            key,
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.running.url()));
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    async fn get(&self, path: &str) -> Value {
        answer(self.request(Method::GET, path).send().await.unwrap(), 200).await
    }

    async fn post(&self, path: &str, body: Value, status: u16) -> Value {
        answer(
            self.request(Method::POST, path).json(&body).send().await.unwrap(),
            status,
        )
        .await
    }

    async fn put(&self, path: &str, body: Value, status: u16) -> Value {
        answer(
            self.request(Method::PUT, path).json(&body).send().await.unwrap(),
            status,
        )
        .await
    }

    /// A person writes a post; its id.
    async fn ada_posts(&self, content: &str) -> String {
        let post = self
            .post(
                "/api/v1/posts",
                json!({ "author_name": "Ada", "content": content }),
                201,
            )
            .await;
        text(&post["id"])
    }

    /// Someone comments; the comment.
    async fn comments(&self, post: &str, mut author: Value, content: &str) -> Value {
        author["content"] = content.into();
        self.post(&format!("/api/v1/posts/{post}/comments"), author, 201).await
    }

    /// The (type, content) of an agent's unread notifications.
    async fn unread(&self, agent: &str) -> Vec<(String, String)> {
        let inbox = self
            .get(&format!("/api/v1/notifications?agent_id={agent}&unread=true"))
            .await;
        let entries = inbox["notifications"].as_array().unwrap();
        entries
            .iter()
            .map(|entry| (text(&entry["type"]), text(&entry["content"])))
            .collect()
    }

    /// The recorded effects of one kind.
    async fn effects(&self, effect: &str) -> Vec<Value> {
        let log = self.get("/admin/log").await;
        log["effects"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|entry| entry["effect"] == effect)
            .cloned()
            .collect()
    }

    /// How often an endpoint was requested.
    async fn requests(&self, endpoint: &str) -> u64 {
        self.get("/admin/log").await["requests"][endpoint].as_u64().unwrap_or(0)
    }
}

/// The JSON of an answer that must have this status; null if it is empty.
async fn answer(response: Response, status: u16) -> Value {
    let (url, got) = (response.url().clone(), response.status().as_u16());
    let body = response.text().await.unwrap();
    assert_eq!(got, status, "{url} answered: {body}");
    if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&body).unwrap()
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} should be a string"))
        .to_owned()
}

/// One field of every entry of a list.
fn column(list: &Value, field: &str) -> Vec<String> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|entry| text(&entry[field]))
        .collect()
}

/// Asks again until the answer is yes.
async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let end = tokio::time::Instant::now() + DEADLINE;
    while !condition().await {
        assert!(tokio::time::Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
