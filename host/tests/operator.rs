//! What an operator touches: the API over real HTTP, and the `warren` binary that talks to it.
//!
//! The API is served in this process, on a store in a file and definitions in a folder of the test's own; the commands
//! run as processes. Only the plugins and workspaces are told rather than there (`told`).

#![allow(
    clippy::unwrap_used,
    reason = "a test's helpers fail by panicking, like the test itself"
)]

#[path = "operator/agents.rs"]
mod agents;
#[path = "operator/commands.rs"]
mod commands;
#[path = "operator/connections.rs"]
mod connections;
#[path = "operator/dead.rs"]
mod dead;
#[path = "operator/events.rs"]
mod events;
#[path = "operator/hosts.rs"]
mod hosts;
#[path = "operator/leader.rs"]
mod leader;
#[path = "operator/plugins.rs"]
mod plugins;
#[path = "operator/probes.rs"]
mod probes;
#[path = "operator/queue.rs"]
mod queue;
#[path = "operator/requests.rs"]
mod requests;
#[path = "operator/told.rs"]
mod told;
#[path = "operator/workspaces.rs"]
mod workspaces;

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Once},
    time::{Duration, Instant},
};

use reqwest::{Method, RequestBuilder};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use warren::{
    adapters::{
        boot_clock::BootClock,
        files::AgentFiles,
        sqlite::{SqliteConfig, SqliteStore},
    },
    app::{
        api::{
            self,
            access::Access,
            context::{ApiContext, HostFacts, HostState},
            forward::Forwarder,
        },
        metrics::Metrics,
    },
    domain::{
        ending::{Ending, Reason},
        ids::{AgentId, AgentName, ClaimToken, HostName, ItemId, Term},
        limits::Limits,
        preference::Score,
        secret::Secret,
        time::UnixMillis,
        work_item::{TaskType, WorkItem},
    },
    ports::{
        store::{Store, StorePolicy},
        work_queue::{ClaimRequest, Claimed, Completion},
    },
    services::election::{self, Office, Seat, Standing},
};

use self::told::{ToldPlugins, ToldWorkspaces, verification};

const TOKEN: &str = "a-token-of-the-test-s-own";

/// Longer than anything here takes on a busy machine; a test that reaches it has failed.
const DEADLINE: Duration = Duration::from_secs(20);

/// A host as far as operators see it.
struct Served {
    address: SocketAddr,
    state: Arc<HostState>,
    metrics: Arc<Metrics>,
    sqlite: SqliteStore,
    store: Store,
    stop: CancellationToken,
    server: JoinHandle<anyhow::Result<()>>,
    /// What the election would say and hear.
    seat: Seat,
    workspaces: Arc<ToldWorkspaces>,
    context: Arc<ApiContext>,
    folder: TempDir,
}

/// Everything, from the start.
fn serve(listener: TcpListener, context: &Arc<ApiContext>, stop: &CancellationToken) -> JoinHandle<anyhow::Result<()>> {
    let (_, answers) = watch::channel(api::whole(Arc::clone(context), stop.clone()));
    tokio::spawn(api::serve(listener, answers, stop.clone()))
}

impl Served {
    async fn start() -> Served {
        Served::with(StorePolicy::default()).await
    }

    async fn with(policy: StorePolicy) -> Served {
        let folder = tempfile::tempdir().unwrap();
        let agents = folder.path().join("agents");
        write(
            &agents.join("echo/config.yaml"),
            "name: echo\nplugin: echo\nbehavior:\n  limits:\n    min_interval_seconds: 0\n",
        );
        write(&agents.join("lost/config.yaml"), "name: lost\nplugin: nowhere\n");
        write(&agents.join("wrong/config.yaml"), "name: wrong\nplugin: [\n");
        let name = HostName::new("host-1").unwrap();
        let clock = Arc::new(BootClock);
        let sqlite = SqliteStore::open(SqliteConfig {
            path: folder.path().join("warren.db"),
            owner: name.clone(),
            policy,
            clock: clock.clone(),
            wall: UnixMillis(1_800_000_000_000),
        })
        .unwrap();
        let listener = api::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, metrics) = (Arc::new(HostState::default()), Arc::new(Metrics::new(&name).unwrap()));
        let store = sqlite.store();
        let (office, seat) = election::open(Arc::new(Score::default));
        seat.standing.send_replace(Standing::Leading(Term(1)));
        let files = Arc::new(AgentFiles::new(&agents, clock));
        let workspaces = Arc::new(ToldWorkspaces::default());
        let context = Arc::new(ApiContext {
            host: HostFacts {
                name: name.clone(),
                roles: vec!["coordinator".into(), "runner".into()],
                slots: 32,
                started: Instant::now(),
            },
            state: state.clone(),
            store: store.clone(),
            store_timeout: Duration::from_secs(2),
            definitions: files.clone(),
            definition_files: files,
            plugins: Arc::new(ToldPlugins),
            workspaces: workspaces.clone(),
            default_limits: Limits::default(),
            max_limits: Limits::default(),
            metrics: metrics.clone(),
            access: Access::new(address, Vec::new(), &Secret::from(TOKEN.to_owned())).into(),
            verification: verification(name.clone(), folder.path()),
            office: Some(office),
            forwarder: Forwarder::new(Secret::from(TOKEN.to_owned())).unwrap(),
        });
        let stop = CancellationToken::new();
        let server = serve(listener, &context, &stop);
        Served {
            address,
            state,
            metrics,
            sqlite,
            store,
            stop,
            server,
            seat,
            workspaces,
            context,
            folder,
        }
    }

    /// What another host of the same store, with files like this one's, answers its API from.
    fn neighbour(&self, name: &str, address: SocketAddr, token: &str, office: Office) -> Arc<ApiContext> {
        let name = HostName::new(name).unwrap();
        Arc::new(ApiContext {
            state: Arc::default(),
            store: self.store.clone(),
            store_timeout: Duration::from_secs(2),
            definitions: Arc::new(AgentFiles::new(self.folder.path().join("agents"), Arc::new(BootClock))),
            definition_files: Arc::new(AgentFiles::new(self.folder.path().join("agents"), Arc::new(BootClock))),
            plugins: Arc::new(ToldPlugins),
            workspaces: self.workspaces.clone(),
            default_limits: Limits::default(),
            max_limits: Limits::default(),
            metrics: Arc::new(Metrics::new(&name).unwrap()),
            access: Access::new(address, Vec::new(), &Secret::from(token.to_owned())).into(),
            verification: verification(name.clone(), self.folder.path()),
            office: Some(office),
            forwarder: Forwarder::new(Secret::from(token.to_owned())).unwrap(),
            host: HostFacts {
                name,
                roles: vec!["coordinator".into()],
                slots: 32,
                started: Instant::now(),
            },
        })
    }

    /// The API goes away and comes back where it was, as when a host is restarted on the same store.
    async fn restart(&mut self, between: impl AsyncFnOnce()) {
        self.stop.cancel();
        (&mut self.server).await.unwrap().unwrap();
        between().await;
        self.stop = CancellationToken::new();
        let listener = api::listen(self.address).await.unwrap();
        self.server = serve(listener, &self.context, &self.stop);
    }

    /// A change, with the token.
    async fn post(&self, path: &str, body: serde_json::Value) -> (u16, serde_json::Value) {
        let request = self.request(Method::POST, path).bearer_auth(TOKEN).json(&body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// Items of agents `a0`, `a1`, … that were given up on.
    async fn kill(&self, count: usize) -> Vec<ItemId> {
        let mut dead = Vec::new();
        while dead.len() < count {
            let part = (count - dead.len()).min(500);
            let items: Vec<WorkItem> = (dead.len()..dead.len() + part).map(direct).collect();
            dead.extend(items.iter().map(|item| item.id));
            self.store.queue.enqueue(None, items).await.unwrap();
            let request = ClaimRequest {
                host: HostName::new("host-1").unwrap(),
                tokens: (0..part).map(|_| ClaimToken::fresh()).collect(),
                lease: Duration::from_secs(30),
                avoid: Vec::new(),
            };
            let claims = self.store.queue.claim(&request).await.unwrap();
            assert_eq!(claims.len(), part);
            let ends = claims
                .into_iter()
                .map(|claimed| self.end(claimed, Reason::GuestError, "no"));
            futures_util::future::join_all(ends).await;
        }
        dead
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            rustls::crypto::ring::default_provider().install_default().unwrap();
        });
        let client = reqwest::Client::builder().timeout(DEADLINE).build().unwrap();
        client.request(method, format!("http://{}{path}", self.address))
    }

    async fn get(&self, path: &str) -> (u16, serde_json::Value) {
        let response = self.request(Method::GET, path).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn submit(&self, body: serde_json::Value) -> (u16, serde_json::Value) {
        let request = self
            .request(Method::POST, "/api/v1/items")
            .bearer_auth(TOKEN)
            .json(&body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// Claim one item and end it so, as a runner would.
    async fn run_one(&self, reason: Reason, detail: &str) {
        let request = ClaimRequest {
            host: HostName::new("host-1").unwrap(),
            tokens: vec![ClaimToken::fresh()],
            lease: Duration::from_secs(30),
            avoid: Vec::new(),
        };
        let claimed = self.store.queue.claim(&request).await.unwrap().remove(0);
        self.end(claimed, reason, detail).await;
    }

    async fn end(&self, claimed: Claimed, reason: Reason, detail: &str) {
        let completion = Completion {
            item: claimed.item.id,
            token: claimed.token,
            ending: Ending {
                permanent: true,
                ..Ending::new(reason, detail)
            },
            generation: Some("echo@3".into()),
        };
        self.store.queue.complete(&completion).await.unwrap();
    }
}

/// A direct item of the agent `a<n>`, whose id is `id-a<n>`.
fn direct(n: usize) -> WorkItem {
    WorkItem {
        id: ItemId::fresh(),
        agent_id: AgentId::new(format!("id-a{n}")).unwrap(),
        agent_name: AgentName::new(format!("a{n}")).unwrap(),
        task_type: TaskType::Direct,
        priority: TaskType::Direct.default_priority(),
        inbox_count: 0,
        created_at: UnixMillis(1_800_000_000_000),
        attempt: 1,
        payload: Some(format!("payload {n}")),
        min_interval: Duration::ZERO,
        trace_context: None,
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}
