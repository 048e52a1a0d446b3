//! A host's parts on Redis, put together as the host does, and the seams where the bench looks: an item's end, and the
//! first word of a guest.

use std::{
    fs,
    path::Path,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tempfile::TempDir;
use tokio::{
    runtime::Handle,
    sync::{Notify, mpsc},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use warren::{
    adapters::{
        boot_clock::BootClock,
        files::AgentFiles,
        redis::{RedisConfig, RedisStore, StoreClock},
        wasm::{SandboxConfig, WasmSandbox},
    },
    app::{config::Config, metrics::Metrics},
    domain::{
        capability::{Capability, CapabilitySet},
        ids::{AgentId, HostName, PluginName},
        limits::Limits,
        plugin::{Manifest, WORLD},
        work_item::TaskType,
    },
    ports::{
        clock::Clock,
        guest::Measurement,
        hub::{Hub, HubError},
        plugin_source::{Place, PluginSource},
        store::StorePolicy,
        telemetry::{ClusterSnapshot, EndedActivation, LeadershipEvent, PluginReload, PollOutcome, Telemetry},
        work_queue::{Claimed, Enqueued},
    },
    services::{
        budget::Budget,
        claims::{Claims, Holding},
        dispatch::{Dispatch, DispatchConfig, RunItem, Slot},
        guest_host::GuestServices,
        plugins::Plugins,
        runner::Runner,
    },
};
use warren_tests::guests;

use super::{hub::MemoryHub, items::agent};

/// How long an idle host waits before it looks by itself, as in operation.
const IDLE_POLL: Duration = Duration::from_secs(1);

/// A store of the bench's Redis, as each host has its own.
pub async fn connect(url: &str) -> RedisStore {
    let config = Config::default();
    RedisStore::connect(RedisConfig {
        ca_file: None,
        url: url.to_owned().into(),
        key_prefix: String::new(),
        policy: StorePolicy {
            max_queue: 1_000_000,
            ..StorePolicy::default()
        },
        call_timeout: config.leader.store_timeout,
        clock: StoreClock::Redis,
    })
    .await
    .unwrap()
}

pub struct Wired {
    config: Config,
    store: RedisStore,
    claims: Arc<Claims>,
    counted: Arc<Counted>,
}

/// Dispatch and the renewal of claims, until they are stopped.
pub struct Running {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<anyhow::Result<()>>>,
}

impl Running {
    pub async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap().unwrap();
        }
    }
}

impl Wired {
    /// With defaults for everything but the slots. What its guests say first is told to `first`.
    pub async fn new(
        url: &str,
        guest: &str,
        agents: &Path,
        slots: u32,
        first: mpsc::UnboundedSender<Instant>,
    ) -> Wired {
        let config = Config::default();
        let store = connect(url).await;
        let clock: Arc<dyn Clock> = Arc::new(BootClock);
        let definitions = AgentFiles::new(agents, Arc::clone(&clock));
        let parts = store.store();
        let telemetry: Arc<dyn Telemetry> = Arc::new(Watched {
            metrics: Metrics::new(&host()).unwrap(),
            first,
        });
        let sandbox = WasmSandbox::new(SandboxConfig {
            slots,
            maxima: config.limits.maxima(),
            guest_threads: config.runner.threads(),
            ..SandboxConfig::default()
        })
        .unwrap();
        let source = OnePlugin(guest.to_owned());
        let plugins = Plugins::new(Arc::new(sandbox), Arc::clone(&parts.plugins), Arc::new(source));
        plugins.load_all().await.unwrap();
        let hub: Arc<dyn Hub> = Arc::new(MemoryHub);
        let runner = Runner {
            queue: Arc::clone(&parts.queue),
            hub: Arc::clone(&hub),
            definitions: Arc::new(definitions),
            plugins: Arc::new(plugins),
            budget: Budget::new(Arc::clone(&hub), Arc::clone(&telemetry), config.hub.budget_ttl),
            guest_services: GuestServices {
                hub,
                effects: parts.effects,
                agent_state: parts.agent_state,
                telemetry: Arc::clone(&telemetry),
                runtime: Handle::current(),
                under_way: TaskTracker::new(),
            },
            telemetry,
            default_limits: config.limits.limits(),
            max_limits: config.limits.maxima(),
            ended: Arc::new(Notify::new()),
            store_timeout: config.leader.store_timeout,
            left: Default::default(),
        };
        let lease = config.queue.item_lease();
        let claims = Claims::new(parts.queue, clock, lease, config.leader.store_timeout);
        Wired {
            config,
            store,
            claims: Arc::new(claims),
            counted: Arc::new(Counted {
                runner: Arc::new(runner),
                ended: AtomicUsize::new(0),
                awaited: AtomicUsize::new(usize::MAX),
                all: Notify::new(),
            }),
        }
    }

    /// What this host enqueues by.
    pub fn store(&self) -> &RedisStore {
        &self.store
    }

    /// Claim and run items, so many at a time.
    pub fn run(&self, slots: u32) -> Running {
        let stop = CancellationToken::new();
        let dispatch = Dispatch {
            queue: self.store.store().queue,
            claims: Arc::clone(&self.claims),
            clock: Arc::new(BootClock),
            runner: Arc::clone(&self.counted),
            host: host(),
            config: DispatchConfig {
                slots: slots as usize,
                idle_poll: IDLE_POLL,
                grace: self.config.host.grace_period,
                call_timeout: self.config.leader.store_timeout,
            },
        };
        let (claims, keeping) = (Arc::clone(&self.claims), stop.clone());
        Running {
            tasks: vec![
                tokio::spawn(dispatch.run(stop.clone())),
                tokio::spawn(async move { claims.keep(keeping).await }),
            ],
            stop,
        }
    }

    /// Wait until so many items have ended since the last call.
    pub async fn ended(&self, items: usize) {
        self.counted.awaited.store(items, SeqCst);
        while self.counted.ended.load(SeqCst) < items {
            self.counted.all.notified().await;
        }
        self.counted.ended.fetch_sub(items, SeqCst);
    }
}

fn host() -> HostName {
    HostName::new("bench").unwrap()
}

const GRANTS: [Capability; 5] = [
    Capability::HubRead,
    Capability::HubWrite,
    Capability::Config,
    Capability::Logging,
    Capability::Metrics,
];

/// So many agents that run the one plugin.
pub fn definitions(agents: usize) -> TempDir {
    let folder = TempDir::with_prefix("warren-bench-").unwrap();
    let grants = GRANTS.map(Capability::as_str).join(", ");
    for agent in (0..agents).map(agent) {
        let text = format!("name: {agent}\nplugin: guest\ncapabilities:\n  grants: [{grants}]\n");
        fs::create_dir(folder.path().join(&agent)).unwrap();
        fs::write(folder.path().join(&agent).join("config.yaml"), text).unwrap();
    }
    folder
}

/// A guest, under the name by which all agents run it.
struct OnePlugin(String);

impl OnePlugin {
    fn manifest() -> Result<Manifest, String> {
        Ok(Manifest {
            name: PluginName::new("guest").map_err(|error| error.to_string())?,
            version: "1".to_owned(),
            world: WORLD.to_owned(),
            description: String::new(),
            capabilities: CapabilitySet::from_iter(GRANTS),
            limits: Default::default(),
        })
    }
}

#[async_trait]
impl PluginSource for OnePlugin {
    async fn places(&self) -> Result<Vec<Place>, String> {
        Ok(vec![Place {
            origin: "the bench".to_owned(),
            manifest: OnePlugin::manifest(),
        }])
    }

    async fn read(&self, _: &str, _: Duration) -> Result<(Manifest, Vec<u8>), String> {
        Ok((OnePlugin::manifest()?, guests::component(&self.0)))
    }
}

/// The runner, and how many items have ended.
struct Counted {
    runner: Arc<Runner>,
    ended: AtomicUsize,
    awaited: AtomicUsize,
    all: Notify,
}

impl RunItem for Counted {
    fn run(
        self: Arc<Self>,
        claimed: Claimed,
        holding: Holding,
        slot: Slot,
        stop: CancellationToken,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let run = Arc::clone(&self.runner).run(claimed, holding, slot, stop);
        Box::pin(async move {
            run.await;
            if self.ended.fetch_add(1, SeqCst) + 1 == self.awaited.load(SeqCst) {
                self.all.notify_one();
            }
        })
    }

    fn avoid(&self) -> Vec<AgentId> {
        self.runner.avoid()
    }

    fn regained(&self) -> &Notify {
        self.runner.regained()
    }
}

/// The host's metrics, and when guests are heard first.
struct Watched {
    metrics: Metrics,
    first: mpsc::UnboundedSender<Instant>,
}

impl Telemetry for Watched {
    fn polled(&self, _: PollOutcome, _: Duration) {}
    fn enqueued(&self, _: TaskType, _: &Enqueued) {}
    fn agent_without_definition(&self) {}
    fn leadership(&self, _: LeadershipEvent, _: warren::domain::ids::Term) {}
    fn cluster(&self, _: Option<ClusterSnapshot<'_>>) {}
    fn hub_request(&self, _: &'static str, _: Result<(), &HubError>, _: Duration) {}
    fn activation_started(&self, waited: Duration) {
        self.metrics.activation_started(waited);
    }
    fn activation_ended(&self, ended: &EndedActivation<'_>) {
        self.metrics.activation_ended(ended);
    }
    fn budget_check_failed(&self) {}
    fn breaker_changed(&self, _: &str) {}
    fn plugin_reloaded(&self, _: &PluginReload<'_>) {}
    fn plugin_retired(&self) {}
    fn plugin_drained(&self) {}
    fn definition_reread(&self, _: &'static str) {}
    fn recovered(&self, _: u64) {}
    fn call_denied(&self, _: &AgentId, _: Capability) {}
    fn guest_measured(&self, agent: &AgentId, measurement: &Measurement, limits: &Limits) {
        self.first.send(Instant::now()).unwrap();
        self.metrics.guest_measured(agent, measurement, limits);
    }
}
