//! `warren hub` as a process, and what people and tests do with it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process,
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{SOON, binary::warren, eventually, http::Client, process::Process};

/// How a Hub is to be started.
#[derive(Clone, Debug, Default)]
pub struct HubSetup {
    agents: Vec<String>,
    api_key: Option<String>,
}

impl HubSetup {
    /// A Hub that knows these agents; their ids are their names.
    pub fn new(agents: &[&str]) -> HubSetup {
        HubSetup {
            agents: agents.iter().map(ToString::to_string).collect(),
            api_key: None,
        }
    }

    pub fn api_key(mut self, key: &str) -> HubSetup {
        self.api_key = Some(key.to_owned());
        self
    }

    #[track_caller]
    pub fn start(self) -> HubProcess {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let listen = SocketAddr::from((own_address(), 0));
        let data = folder.path().join("hub.db");
        let (process, address) = start(&self, &data, listen);
        HubProcess {
            client: Client::new(format!("http://{address}"), self.api_key.clone()),
            setup: self,
            _folder: folder,
            data,
            address,
            process,
        }
    }
}

/// An address of this machine that nobody else listens on, so that a Hub that was stopped finds its port free again.
pub(crate) fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    if !cfg!(target_os = "linux") {
        return Ipv4Addr::LOCALHOST;
    }
    let [.., high, low] = process::id().to_be_bytes();
    Ipv4Addr::new(127, high | 1, low, NEXT.fetch_add(1, Ordering::Relaxed))
}

#[track_caller]
fn start(setup: &HubSetup, data: &PathBuf, listen: SocketAddr) -> (Process, SocketAddr) {
    let mut command = warren();
    command.arg("hub").arg("--listen").arg(listen.to_string());
    command.arg("--data").arg(data);
    for agent in &setup.agents {
        command.arg("--agent").arg(agent);
    }
    if let Some(key) = &setup.api_key {
        command.env("HUB_API_KEY", key);
    }
    let mut process = Process::spawn("hub", &mut command);
    let address = eventually("the Hub's address", SOON, || {
        let ended = process.exited();
        assert!(ended.is_none(), "the Hub ended: {ended:?}");
        let lines = process.stdout_lines();
        let url = lines
            .iter()
            .find_map(|line| line.strip_prefix("The Hub's page: http://"))?;
        url.trim_end_matches('/').parse().ok()
    });
    (process, address)
}

/// A development Hub that runs.
pub struct HubProcess {
    setup: HubSetup,
    _folder: TempDir,
    data: PathBuf,
    address: SocketAddr,
    process: Process,
    pub client: Client,
}

impl HubProcess {
    #[track_caller]
    pub fn start(agents: &[&str]) -> HubProcess {
        HubSetup::new(agents).start()
    }

    /// Without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn api_key(&self) -> Option<&str> {
        self.setup.api_key.as_deref()
    }

    pub fn exited(&mut self) -> bool {
        self.process.exited().is_some()
    }

    #[track_caller]
    pub fn stop(&mut self) {
        self.process.signal(Signal::TERM);
        let status = self.process.wait_exit(SOON);
        assert!(status.success(), "the Hub ended with {status}");
    }

    /// Starts it anew on the same port and data.
    #[track_caller]
    pub fn start_again(&mut self) {
        (self.process, _) = start(&self.setup, &self.data, self.address);
    }

    #[track_caller]
    pub fn register(&self, agent: &str) {
        let answer = self.client.post("/api/v1/agents", &json!({ "name": agent }));
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    }

    /// A person writes a post; its id.
    #[track_caller]
    pub fn post(&self, text: &str) -> String {
        let post = json!({ "author_name": "ada", "content": text });
        let created = self.client.post("/api/v1/posts", &post).expect(201).json();
        created["id"].as_str().expect("a post has an id").to_owned()
    }

    /// Who commented on a post, and what.
    #[track_caller]
    pub fn comments(&self, post: &str) -> Vec<(String, String)> {
        let thread = self.client.get(&format!("/api/v1/posts/{post}?include_comments=true"));
        let thread = thread.expect(200).json();
        let comments = thread["comments"].as_array().expect("a thread has comments");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        comments
            .iter()
            .map(|comment| (text(&comment["author"]["name"]), text(&comment["content"])))
            .collect()
    }

    /// How often an agent commented on a post.
    #[track_caller]
    pub fn replies(&self, post: &str, agent: &str) -> usize {
        self.comments(post).iter().filter(|(author, _)| author == agent).count()
    }

    #[track_caller]
    pub fn wait_for_reply(&self, post: &str, agent: &str) {
        eventually(format!("a reply of {agent} to {post}"), SOON, || {
            (self.replies(post, agent) > 0).then_some(())
        });
    }

    /// How many notifications of an agent are unread.
    #[track_caller]
    pub fn unread(&self, agent: &str) -> usize {
        let path = format!("/api/v1/notifications?agent_id={agent}&unread=true");
        let answer = self.client.get(&path).expect(200).json();
        answer["notifications"].as_array().expect("notifications").len()
    }

    #[track_caller]
    pub fn wait_until_read(&self, agent: &str) {
        self.wait_until_read_within(agent, SOON);
    }

    #[track_caller]
    pub fn wait_until_read_within(&self, agent: &str, within: Duration) {
        let what = format!("that {agent} has read all its notifications");
        eventually(what, within, || (self.unread(agent) == 0).then_some(()));
    }

    /// Sets the fault switches: a list of rules, or an object of switches.
    #[track_caller]
    pub fn faults(&self, rules: Value) {
        self.client.put("/admin/faults", &rules).expect(200);
    }

    #[track_caller]
    pub fn clear_faults(&self) {
        self.client.send("DELETE", "/admin/faults", None).expect(204);
    }

    /// How many requests each rule has struck.
    #[track_caller]
    pub fn struck(&self, rule: usize) -> u64 {
        let report = self.client.get("/admin/faults").expect(200).json();
        report["counts"][rule]["struck"].as_u64().expect("a count")
    }

    /// How often an endpoint was called, such as `POST /api/v1/notifications/read`.
    #[track_caller]
    pub fn calls(&self, endpoint: &str) -> u64 {
        let log = self.client.get("/admin/log?limit=1").expect(200).json();
        log["requests"][endpoint].as_u64().unwrap_or(0)
    }

    /// Many agents with notifications; the id of the post that the notifications are about.
    #[track_caller]
    pub fn seed(&self, prefix: &str, agents: u32, each: u32) -> Option<String> {
        let seed = json!({ "prefix": prefix, "agents": agents, "notifications_each": each });
        let seeded = self.client.post("/admin/seed", &seed).expect(200).json();
        seeded["post_id"].as_str().map(str::to_owned)
    }

    /// What the agent may still spend, as the Hub answers it.
    #[track_caller]
    pub fn budget(&self, agent: &str, budget: Value) {
        self.client.put(&format!("/admin/budget/{agent}"), &budget).expect(200);
    }
}
