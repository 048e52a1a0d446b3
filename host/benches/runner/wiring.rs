//! A host's parts, put together as the host does, with a look at the clock at the seams.

use std::{
    fs,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tempfile::TempDir;
use tokio::{runtime::Handle, sync::Notify, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use warren::{
    adapters::{
        boot_clock::BootClock,
        files::AgentFiles,
        hub_http::{HubClient, HubClientConfig},
        wasm::{SandboxConfig, WasmSandbox},
    },
    app::{config::Config, metrics::Metrics},
    domain::{
        capability::CapabilitySet,
        ending::{Ending, Reason},
        ids::{AgentId, PluginName},
        plugin::{Manifest, WORLD},
    },
    ports::{
        clock::Clock,
        definitions::Definitions,
        hub::Hub,
        plugin_source::{Place, PluginSource},
        store::StorePolicy,
        telemetry::Telemetry,
        work_queue::{Claimed, Completion, WorkQueue},
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

use super::{
    hub::HubProcess,
    items::agent,
    seams::{Seams, TimedDefinitions, TimedQueue, TimedSandbox},
    store,
};

pub struct Wired {
    pub queue: Arc<dyn WorkQueue>,
    pub seams: Arc<Seams>,
    pub hub: HubProcess,
    claims: Arc<Claims>,
    runner: Arc<Runner>,
    config: Config,
    _folder: TempDir,
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
    /// With defaults for everything, and so many agents that run the component.
    pub async fn new(component: Vec<u8>, agents: usize) -> Wired {
        let config = Config::default();
        let folder = store::folder();
        let hub = HubProcess::start(folder.path(), (0..agents).map(agent));
        let seams = Arc::new(Seams::default());
        let store = store::open(&folder, StorePolicy::default()).store();
        let clock: Arc<dyn Clock> = Arc::new(BootClock);
        let queue: Arc<dyn WorkQueue> = Arc::new(TimedQueue {
            queue: Arc::clone(&store.queue),
            seams: Arc::clone(&seams),
            agents: Mutex::default(),
        });
        let sandbox = WasmSandbox::new(SandboxConfig {
            slots: config.runner.slots,
            maxima: config.limits.maxima(),
            guest_threads: config.runner.threads(),
            ..SandboxConfig::default()
        })
        .unwrap();
        let plugins = Plugins::new(
            Arc::new(TimedSandbox {
                sandbox,
                seams: Arc::clone(&seams),
            }),
            Arc::clone(&store.plugins),
            Arc::new(OnePlugin(component)),
        );
        plugins.load_all().await.unwrap();
        let client: Arc<dyn Hub> = Arc::new(HubClient::new(HubClientConfig::new(hub.url.clone())).unwrap());
        let telemetry: Arc<dyn Telemetry> = Arc::new(Metrics::new(&store::host()).unwrap());
        let runner = Runner {
            queue: Arc::clone(&queue),
            hub: Arc::clone(&client),
            definitions: definitions(&folder, agents, &clock, &seams),
            plugins: Arc::new(plugins),
            budget: Budget::new(Arc::clone(&client), Arc::clone(&telemetry), config.hub.budget_ttl),
            guest_services: GuestServices {
                hub: client,
                effects: store.effects,
                agent_state: store.agent_state,
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
        let claims = Claims::new(Arc::clone(&queue), clock, lease, config.leader.store_timeout);
        Wired {
            queue,
            seams,
            hub,
            claims: Arc::new(claims),
            runner: Arc::new(runner),
            config,
            _folder: folder,
        }
    }

    /// Claim and run items, so many at a time.
    pub fn run(&self, slots: usize) -> Running {
        self.dispatch(slots, Arc::clone(&self.runner))
    }

    /// Claim items and complete them at once: what the store and the dispatch alone cost.
    pub fn run_nothing(&self, slots: usize) -> Running {
        self.dispatch(
            slots,
            Arc::new(CompleteAtOnce {
                queue: Arc::clone(&self.queue),
                regained: Notify::new(),
            }),
        )
    }

    fn dispatch<R: RunItem + 'static>(&self, slots: usize, runner: Arc<R>) -> Running {
        let stop = CancellationToken::new();
        let dispatch = Dispatch {
            queue: Arc::clone(&self.queue),
            claims: Arc::clone(&self.claims),
            clock: Arc::new(BootClock),
            runner,
            host: store::host(),
            config: DispatchConfig {
                slots,
                idle_poll: Duration::from_secs(1),
                grace: self.config.host.grace_period,
                call_timeout: self.config.leader.store_timeout,
            },
        };
        let claims = Arc::clone(&self.claims);
        let keeping = stop.clone();
        Running {
            tasks: vec![
                tokio::spawn(dispatch.run(stop.clone())),
                tokio::spawn(async move { claims.keep(keeping).await }),
            ],
            stop,
        }
    }
}

fn definitions(folder: &TempDir, agents: usize, clock: &Arc<dyn Clock>, seams: &Arc<Seams>) -> Arc<dyn Definitions> {
    let all = folder.path().join("agents");
    for agent in (0..agents).map(agent) {
        let folder = all.join(&agent);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.yaml"), format!("name: {agent}\nplugin: idle\n")).unwrap();
    }
    Arc::new(TimedDefinitions {
        definitions: AgentFiles::new(all, Arc::clone(clock)),
        seams: Arc::clone(seams),
    })
}

struct OnePlugin(Vec<u8>);

impl OnePlugin {
    fn manifest() -> Result<Manifest, String> {
        Ok(Manifest {
            name: PluginName::new("idle").map_err(|error| error.to_string())?,
            version: "1".to_owned(),
            world: WORLD.to_owned(),
            description: String::new(),
            capabilities: CapabilitySet::default(),
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
        Ok((OnePlugin::manifest()?, self.0.clone()))
    }
}

struct CompleteAtOnce {
    queue: Arc<dyn WorkQueue>,
    /// Never rung: nothing is left to others.
    regained: Notify,
}

impl RunItem for CompleteAtOnce {
    fn run(
        self: Arc<Self>,
        claimed: Claimed,
        holding: Holding,
        _slot: Slot,
        _stop: CancellationToken,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            let completion = Completion {
                item: claimed.item.id,
                token: claimed.token,
                ending: Ending::new(Reason::Ok, ""),
                generation: Some("idle@1".to_owned()),
            };
            self.queue.complete(&completion).await.unwrap();
            holding.claim.settle();
        })
    }

    fn avoid(&self) -> Vec<AgentId> {
        Vec::new()
    }

    fn regained(&self) -> &Notify {
        &self.regained
    }
}
