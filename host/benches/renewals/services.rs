//! The services that must not be delayed: an election on a SQLite store, and the API.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use warren::{
    adapters::{
        boot_clock::BootClock,
        files::{AgentFiles, PluginFolder},
        wasm::WasmSandbox,
    },
    app::{
        api::{
            self,
            access::Access,
            context::{ApiContext, HostFacts, HostState},
            forward::Forwarder,
        },
        config::Config,
        metrics::Metrics,
        verify::{Place, Verification, Wiring},
    },
    domain::{
        ids::{HolderId, HostName},
        preference::Score,
        secret::Secret,
    },
    ports::{
        leadership::{Acquired, Bid, Candidate, Inherited, Leader, Leadership},
        sandbox::Sandbox,
        store::{Store, StoreError, StorePolicy},
        telemetry::Telemetry,
        work_queue::Fence,
    },
    services::{
        election::{self, Election, ElectionConfig},
        plugins::Plugins,
    },
};

use super::{RENEW_EVERY, store};

pub struct Services {
    pub address: SocketAddr,
    pub renewals: Arc<Renewals>,
    stop: CancellationToken,
    tasks: [JoinHandle<anyhow::Result<()>>; 2],
    _folder: TempDir,
}

impl Services {
    pub async fn start(sandbox: &Arc<WasmSandbox>) -> Services {
        let config = Config::default();
        let folder = store::folder();
        let store = store::open(&folder, StorePolicy::default()).store();
        let metrics = Arc::new(Metrics::new(&store::host()).unwrap());
        let listener = api::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let renewals = Arc::new(Renewals {
            leadership: Arc::clone(&store.leadership),
            answered: Mutex::new(None),
            delays: Mutex::default(),
        });
        let election = Election {
            leadership: Arc::clone(&renewals) as Arc<_>,
            events: Arc::clone(&store.events),
            telemetry: Arc::clone(&metrics) as Arc<dyn Telemetry>,
            clock: Arc::new(BootClock),
            config: ElectionConfig {
                lease: config.leader.terms(),
                renew_every: RENEW_EVERY,
                bid_every: Duration::from_secs(1),
                look_every: Duration::from_secs(5),
                call_timeout: config.leader.store_timeout,
                stop_within: Duration::from_secs(10),
            },
            holder: HolderId::fresh(store::host()),
            address: format!("http://{address}"),
            tasks: Vec::new(),
            seat: election::open(Arc::new(Score::default)).1,
        };
        let context = Arc::new(context(&folder, store, &config, metrics, sandbox, address));
        let stop = CancellationToken::new();
        let (_, answers) = watch::channel(api::whole(context, stop.clone()));
        Services {
            address,
            renewals,
            tasks: [
                tokio::spawn(election.run(stop.clone())),
                tokio::spawn(api::serve(listener, answers, stop.clone())),
            ],
            stop,
            _folder: folder,
        }
    }

    pub async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap().unwrap();
        }
    }
}

fn context(
    folder: &TempDir,
    store: Store,
    config: &Config,
    metrics: Arc<Metrics>,
    sandbox: &Arc<WasmSandbox>,
    address: SocketAddr,
) -> ApiContext {
    let workspaces = sandbox.workspaces();
    let sandbox: Arc<dyn Sandbox> = Arc::clone(sandbox) as Arc<_>;
    let plugins = PluginFolder::new(folder.path().join("plugins"));
    ApiContext {
        host: HostFacts {
            name: store::host(),
            roles: Vec::new(),
            slots: config.runner.slots,
            started: Instant::now(),
        },
        state: Arc::new(HostState::default()),
        store_timeout: config.leader.store_timeout,
        definitions: Arc::new(AgentFiles::new(folder.path().join("agents"), Arc::new(BootClock))),
        definition_files: Arc::new(AgentFiles::new(folder.path().join("agents"), Arc::new(BootClock))),
        verification: Arc::new(Verification::new(Wiring {
            host: store::host(),
            runner: false,
            place: Place::Files(folder.path().to_owned()),
            sandbox: Arc::clone(&sandbox),
            clock: Arc::new(BootClock),
            lease: config.queue.item_lease(),
            call_timeout: config.leader.store_timeout,
            limits: config.limits.limits(),
            max_limits: config.limits.maxima(),
        })),
        plugins: Arc::new(Plugins::new(sandbox, Arc::clone(&store.plugins), Arc::new(plugins))),
        workspaces,
        default_limits: config.limits.limits(),
        max_limits: config.limits.maxima(),
        store,
        metrics,
        access: Access::new(
            address,
            Vec::new(),
            &Secret::from("a token that nobody uses".to_owned()),
        )
        .into(),
        office: None,
        forwarder: Forwarder::new(Secret::from("a token that nobody uses".to_owned())).unwrap(),
    }
}

/// The store's leadership, with the delay of each renewal: from when it was due until it was answered.
pub struct Renewals {
    leadership: Arc<dyn Leadership>,
    /// When the renewal before was answered: the election waits its interval from then on.
    answered: Mutex<Option<Instant>>,
    delays: Mutex<Vec<Duration>>,
}

impl Renewals {
    /// The delays since the last call.
    pub fn take(&self) -> Vec<Duration> {
        std::mem::take(&mut self.delays.lock().unwrap())
    }
}

#[async_trait]
impl Leadership for Renewals {
    async fn renew(&self, fence: &Fence, ttl: Duration) -> Result<(), StoreError> {
        self.leadership.renew(fence, ttl).await.unwrap();
        let now = Instant::now();
        if let Some(before) = self.answered.lock().unwrap().replace(now) {
            self.delays.lock().unwrap().push(now - (before + RENEW_EVERY));
        }
        Ok(())
    }

    async fn acquire(&self, bid: &Bid) -> Result<Acquired, StoreError> {
        self.leadership.acquire(bid).await
    }
    async fn release(&self, fence: &Fence) -> Result<(), StoreError> {
        self.leadership.release(fence).await
    }
    async fn leader(&self) -> Result<Option<Leader>, StoreError> {
        self.leadership.leader().await
    }
    fn vacancies(&self) -> watch::Receiver<()> {
        self.leadership.vacancies()
    }
    async fn candidates(&self) -> Result<Vec<Candidate>, StoreError> {
        self.leadership.candidates().await
    }
    async fn withdraw(&self, holder: &HolderId) -> Result<(), StoreError> {
        self.leadership.withdraw(holder).await
    }
    async fn reserve(&self, fence: &Fence, host: &HostName, span: Duration) -> Result<(), StoreError> {
        self.leadership.reserve(fence, host, span).await
    }
    async fn save_state(&self, fence: &Fence, body: &str) -> Result<(), StoreError> {
        self.leadership.save_state(fence, body).await
    }
    async fn load_state(&self) -> Result<Inherited, StoreError> {
        self.leadership.load_state().await
    }
}
