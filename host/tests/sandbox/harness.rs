//! Prepared guests, and a host for them that does as a test tells it.

use std::{
    collections::BTreeMap,
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
};

use async_trait::async_trait;
use tokio::sync::OnceCell;
use warren::{
    adapters::wasm::{SandboxConfig, WasmSandbox},
    domain::{
        capability::{Capability, CapabilitySet},
        ending::Reason,
        hub::{
            Author, Comment, DiscoverQuery, NewComment, NewPost, Notification, NotificationKind, Post, SearchQuery,
            Thread,
        },
        ids::{AgentId, AgentName, ItemId, PluginName},
        limits::Limits,
        plugin::{Manifest, WORLD},
        time::UnixMillis,
        work_item::{Priority, TaskType, WorkItem},
    },
    ports::{
        guest::{GuestHost, LogLevel, Measurement, Refusal},
        sandbox::{Activated, Activation, Prepared, Sandbox, Verdict},
    },
};
use warren_tests::guests;

pub fn all() -> CapabilitySet {
    Capability::ALL.into_iter().collect()
}

pub fn manifest(capabilities: CapabilitySet) -> Manifest {
    Manifest {
        name: PluginName::new("tested").unwrap(),
        version: "1.0.0".to_owned(),
        world: WORLD.to_owned(),
        description: String::new(),
        capabilities,
        limits: Default::default(),
    }
}

pub fn sandbox(config: SandboxConfig) -> WasmSandbox {
    WasmSandbox::new(config).unwrap()
}

/// A sandbox for a test that needs no particular one.
pub fn small() -> SandboxConfig {
    SandboxConfig {
        slots: 4,
        guest_threads: 2,
        ..SandboxConfig::default()
    }
}

pub async fn prepare(sandbox: &WasmSandbox, component: Vec<u8>) -> Arc<dyn Prepared> {
    sandbox.prepare(&manifest(all()), component).await.unwrap()
}

/// The hostile guest, prepared once for all tests.
pub async fn hostile() -> Arc<dyn Prepared> {
    static PREPARED: OnceCell<(WasmSandbox, Arc<dyn Prepared>)> = OnceCell::const_new();
    let (_, prepared) = PREPARED
        .get_or_init(|| async {
            let sandbox = sandbox(SandboxConfig { slots: 16, ..small() });
            let prepared = prepare(&sandbox, guests::component("guest-hostile")).await;
            (sandbox, prepared)
        })
        .await;
    Arc::clone(prepared)
}

/// A direct item with a payload; the hostile guest does what it says.
pub fn item(payload: &str) -> WorkItem {
    WorkItem {
        id: ItemId::fresh(),
        agent_id: AgentId::new("agent-1").unwrap(),
        agent_name: AgentName::new("tester").unwrap(),
        task_type: TaskType::Direct,
        priority: Priority::High,
        inbox_count: 0,
        created_at: UnixMillis(1_700_000_000_000),
        attempt: 1,
        payload: Some(payload.to_owned()),
        min_interval: Default::default(),
        trace_context: None,
    }
}

pub fn activation(host: &Arc<FakeHost>, payload: &str) -> Activation {
    Activation {
        item: item(payload),
        capabilities: all(),
        limits: Limits::default(),
        wipe_workspace: false,
        config: Arc::new(BTreeMap::new()),
        host: Arc::clone(host) as Arc<dyn GuestHost>,
    }
}

/// Let the hostile guest do something within the default limits.
pub async fn run(payload: &str) -> Activated {
    run_within(payload, Limits::default()).await
}

pub async fn run_within(payload: &str, limits: Limits) -> Activated {
    let host = FakeHost::new(Hub::Answers);
    hostile()
        .await
        .activate(Activation {
            limits,
            ..activation(&host, payload)
        })
        .await
}

/// The summary of an outcome; anything else fails the test.
pub fn summary(activated: &Activated) -> &str {
    match &activated.verdict {
        Verdict::Outcome { summary, .. } => summary,
        other => panic!("an outcome was expected, not {other:?}"),
    }
}

/// The reason and words of a stop; anything else fails the test.
pub fn stop(activated: &Activated) -> (Reason, &str) {
    match &activated.verdict {
        Verdict::Stopped { reason, detail } => (*reason, detail),
        other => panic!("a stop was expected, not {other:?}"),
    }
}

/// What the Hub does in a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hub {
    Answers,
    Fails,
    NeverAnswers,
    Panics,
    LosesTheClaim,
}

/// Answers guests from memory and keeps what they did.
pub struct FakeHost {
    hub: Hub,
    pub calls: AtomicU32,
    pub logs: Mutex<Vec<(LogLevel, String, String)>>,
    pub measurements: Mutex<Vec<Measurement>>,
    pub state: Mutex<BTreeMap<String, Vec<u8>>>,
    pub denials: Mutex<Vec<Capability>>,
}

impl FakeHost {
    pub fn new(hub: Hub) -> Arc<FakeHost> {
        Arc::new(FakeHost {
            hub,
            calls: AtomicU32::new(0),
            logs: Mutex::default(),
            measurements: Mutex::default(),
            state: Mutex::default(),
            denials: Mutex::default(),
        })
    }

    pub fn lines(&self) -> Vec<String> {
        self.logs
            .lock()
            .unwrap()
            .iter()
            .map(|(_, _, line)| line.clone())
            .collect()
    }

    async fn hub<T>(&self, answer: T) -> Result<T, Refusal> {
        self.calls.fetch_add(1, SeqCst);
        match self.hub {
            Hub::Answers => Ok(answer),
            Hub::Fails => Err(Refusal::Upstream("the Hub is down".to_owned())),
            Hub::NeverAnswers => pending().await,
            Hub::Panics => panic!("a bug in the host"),
            Hub::LosesTheClaim => Err(Refusal::ClaimLost("the claim is somebody else's now".to_owned())),
        }
    }
}

pub fn post(id: &str) -> Post {
    Post {
        id: id.to_owned(),
        author: author(),
        title: None,
        content: "text".to_owned(),
        community: None,
        parent_id: None,
        created_at: String::new(),
        updated_at: None,
    }
}

fn author() -> Author {
    Author {
        id: "author-1".to_owned(),
        name: "somebody".to_owned(),
    }
}

#[async_trait]
impl GuestHost for FakeHost {
    async fn inbox(&self) -> Result<Vec<Notification>, Refusal> {
        self.hub(vec![Notification {
            id: "notification-1".to_owned(),
            kind: NotificationKind::Mention,
            post_id: Some("post-1".to_owned()),
            sender: author(),
            content: "@tester".to_owned(),
            created_at: String::new(),
        }])
        .await
    }

    async fn post(&self, id: String) -> Result<Post, Refusal> {
        self.hub(post(&id)).await
    }

    async fn thread(&self, id: String) -> Result<Thread, Refusal> {
        let root = post(&id);
        self.hub(Thread {
            root,
            comments: Vec::new(),
        })
        .await
    }

    async fn search(&self, _: SearchQuery) -> Result<Vec<Post>, Refusal> {
        self.hub(Vec::new()).await
    }

    async fn discover(&self, _: DiscoverQuery) -> Result<Vec<Post>, Refusal> {
        self.hub(Vec::new()).await
    }

    async fn create_post(&self, _: NewPost, _: Option<String>) -> Result<Post, Refusal> {
        self.hub(post("made")).await
    }

    async fn create_comment(&self, comment: NewComment, about: Option<String>) -> Result<Comment, Refusal> {
        self.hub(Comment {
            id: format!("comment on {} about {about:?}", comment.post_id),
            author: author(),
            content: comment.content,
            parent_id: None,
            created_at: String::new(),
        })
        .await
    }

    async fn state_get(&self, key: String) -> Result<Option<Vec<u8>>, Refusal> {
        Ok(self.state.lock().unwrap().get(&key).cloned())
    }

    async fn state_set(&self, key: String, value: Vec<u8>) -> Result<(), Refusal> {
        self.state.lock().unwrap().insert(key, value);
        Ok(())
    }

    async fn state_delete(&self, key: String) -> Result<(), Refusal> {
        self.state.lock().unwrap().remove(&key);
        Ok(())
    }

    async fn state_keys(&self, after: Option<String>, limit: u32) -> Result<Vec<String>, Refusal> {
        let state = self.state.lock().unwrap();
        let later = state
            .keys()
            .filter(|key| after.as_ref().is_none_or(|after| *key > after));
        Ok(later.take(limit as usize).cloned().collect())
    }

    fn log(&self, level: LogLevel, context: &str, message: &str) {
        self.logs
            .lock()
            .unwrap()
            .push((level, context.to_owned(), message.to_owned()));
    }

    fn measure(&self, measurement: Measurement) {
        assert!(self.hub != Hub::Panics, "a bug in the host");
        self.measurements.lock().unwrap().push(measurement);
    }

    fn denied(&self, capability: Capability) {
        self.denials.lock().unwrap().push(capability);
    }
}
