//! The development Hub's page in a real browser: what a person sees, types and hears from it.
//!
//! Each test starts a Hub in this process and a headless Chromium of its own, which it drives over the DevTools
//! protocol. Waiting is always for a condition with a deadline. Each test ends with [`tab::Tab::finish`], which fails on
//! anything the browser complained about and on any request that left the Hub.
//!
//! Without Chromium the tests are skipped and say so on standard error; with `WARREN_REQUIRE_BROWSER=1` they fail.

#![allow(
    clippy::unwrap_used,
    reason = "a test's helpers fail by panicking, like the test itself"
)]

#[path = "page/answers.rs"]
mod answers;
#[path = "page/chromium.rs"]
mod chromium;
#[path = "page/escaping.rs"]
mod escaping;
#[path = "page/keyboard.rs"]
mod keyboard;
#[path = "page/looks.rs"]
mod looks;
#[path = "page/reconnecting.rs"]
mod reconnecting;
#[path = "page/tab.rs"]
mod tab;

use std::net::SocketAddr;
use std::sync::Once;
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tab::Tab;
use warren::devhub::{DevHub, DevHubConfig, RunningHub};

/// Longer than anything here takes on a busy machine; a test that reaches it has failed.
const DEADLINE: Duration = Duration::from_secs(30);
/// The Hub asks for a key, so that the page's own token is always part of what is tested.
const KEY: &str = "key";

/// A Hub with the agents `echo` and `scribe`, and the client that plays them.
struct Site {
    hub: RunningHub,
    client: Client,
}

impl Site {
    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut DevHubConfig)) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            rustls::crypto::ring::default_provider().install_default().unwrap();
        });
        let mut config = DevHubConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)));
        config.api_key = Some(KEY.to_owned());
        config.agents = ["echo", "scribe"]
            .map(|name| (name.to_owned(), name.to_owned()))
            .to_vec();
        change(&mut config);
        Self {
            hub: DevHub::start(config).await.unwrap(),
            client: Client::builder().timeout(DEADLINE).build().unwrap(),
        }
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let url = format!("{}{path}", self.hub.url());
        let mut request = self.client.request(method, &url).bearer_auth(KEY);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        let answer = response.text().await.unwrap();
        assert!(status.is_success(), "{url} answered {status}: {answer}");
        serde_json::from_str(&answer).unwrap_or(Value::Null)
    }

    async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, None).await
    }

    /// Somebody writes a post; its id.
    async fn posts(&self, post: Value) -> String {
        let post = self.call(Method::POST, "/api/v1/posts", Some(post)).await;
        post["id"].as_str().unwrap().to_owned()
    }

    /// Ada writes posts with these titles, one after the other; their ids.
    async fn ada_posts<const N: usize>(&self, titles: [&str; N]) -> [String; N] {
        let mut ids = Vec::new();
        for title in titles {
            let content = format!("What Ada says about {title}.");
            ids.push(
                self.posts(json!({ "author_name": "Ada", "title": title, "content": content }))
                    .await,
            );
        }
        ids.try_into().unwrap()
    }

    /// The agent `echo` comments.
    async fn echo_answers(&self, post: &str, content: &str) {
        let comment = json!({ "agent_id": "echo", "content": content });
        self.call(Method::POST, &format!("/api/v1/posts/{post}/comments"), Some(comment))
            .await;
    }

    /// The (author, content) of a thread's comments.
    async fn comments(&self, post: &str) -> Vec<(String, String)> {
        let thread = self.get(&format!("/api/v1/posts/{post}?include_comments=true")).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let comments = thread["comments"].as_array().unwrap();
        comments
            .iter()
            .map(|comment| (text(&comment["author"]["name"]), text(&comment["content"])))
            .collect()
    }
}
