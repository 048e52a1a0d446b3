//! What an operator touches: the API over real HTTP, and the `warren` binary that talks to it.
//!
//! The API is served in this process, on a store in a file and definitions in a folder of the test's own; the commands
//! run as processes. Only the plugins are told rather than compiled.

#![allow(
    clippy::unwrap_used,
    reason = "a test's helpers fail by panicking, like the test itself"
)]

#[path = "operator/commands.rs"]
mod commands;
#[path = "operator/connections.rs"]
mod connections;
#[path = "operator/requests.rs"]
mod requests;

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Once},
    time::{Duration, Instant},
};

use reqwest::{Method, RequestBuilder};
use tempfile::TempDir;
use tokio::sync::watch;
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
            context::{ApiContext, HostFacts, HostState, PluginDirectory},
            types::{PluginRef, PluginView, RunningPlugin},
        },
        metrics::Metrics,
    },
    domain::{
        agent::AgentDefinition,
        ending::{Ending, Reason},
        ids::{ClaimToken, HostName, Term},
        secret::Secret,
        time::UnixMillis,
    },
    ports::{
        store::{Store, StorePolicy},
        work_queue::{ClaimRequest, Completion},
    },
    services::election::Standing,
};

const TOKEN: &str = "a-token-of-the-test-s-own";

/// Longer than anything here takes on a busy machine; a test that reaches it has failed.
const DEADLINE: Duration = Duration::from_secs(20);

/// One that runs, one that can't be run.
struct ToldPlugins;

impl PluginDirectory for ToldPlugins {
    fn list(&self) -> Vec<PluginView> {
        let running = RunningPlugin {
            version: "0.1.0".into(),
            generation: 3,
            digest: "ab".repeat(32),
            capabilities: vec!["hub:read".into()],
            activations: 7,
        };
        let view = |name: &str, running, error| PluginView {
            name: name.into(),
            origin: format!("plugins/{name}"),
            running,
            error,
            agents: Vec::new(),
        };
        vec![
            view("broken", None, Some("not a component".into())),
            view("echo", Some(running), None),
        ]
    }

    fn of(&self, definition: &AgentDefinition) -> Result<PluginRef, String> {
        match definition.plugin.as_str() {
            "echo" => Ok(PluginRef {
                name: "echo".into(),
                version: "0.1.0".into(),
                generation: 3,
            }),
            other => Err(format!("this host has no plugin {other}")),
        }
    }
}

/// A host as far as operators see it.
struct Served {
    address: SocketAddr,
    state: Arc<HostState>,
    metrics: Arc<Metrics>,
    sqlite: SqliteStore,
    store: Store,
    stop: CancellationToken,
    server: tokio::task::JoinHandle<anyhow::Result<()>>,
    standing: watch::Sender<Standing>,
    folder: TempDir,
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
        let standing = watch::Sender::new(Standing::Leading(Term(1)));
        let context = Arc::new(ApiContext {
            host: HostFacts {
                name,
                roles: vec!["coordinator".into(), "runner".into()],
                slots: 32,
                started: Instant::now(),
            },
            state: state.clone(),
            store: store.clone(),
            store_timeout: Duration::from_secs(2),
            definitions: Arc::new(AgentFiles::new(&agents, clock)),
            plugins: Arc::new(ToldPlugins),
            metrics: metrics.clone(),
            access: Access::new(address, Vec::new(), &Secret::from(TOKEN.to_owned())).into(),
            standing: Some(standing.subscribe()),
        });
        let stop = CancellationToken::new();
        let server = tokio::spawn(api::serve(listener, context, stop.clone()));
        Served {
            address,
            state,
            metrics,
            sqlite,
            store,
            stop,
            server,
            standing,
            folder,
        }
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

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}
