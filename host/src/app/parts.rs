//! What a host is made of: the adapters behind their ports, and what several services share.

use std::{fs::DirBuilder, net::SocketAddr, os::unix::fs::DirBuilderExt, path::Path, sync::Arc, time::Instant};

use anyhow::{Context, anyhow};
use tokio::{runtime::Handle, sync::Notify};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    api::{
        access::Access,
        context::{ApiContext, HostFacts, HostState},
        directory::PluginDirectory,
        forward::Forwarder,
    },
    config::{Config, host::Role, hub::Idempotency, store::StoreKind},
    metrics::Metrics,
    observed_hub::ObservedHub,
    store::{OpenStore, redis_config},
    verify::{Place, Verification, Wiring},
};
use crate::{
    adapters::{
        files::{AgentFiles, PluginFolder},
        hub_http::{self, HubClient, HubClientConfig},
        wasm::{SandboxConfig, WasmSandbox},
    },
    domain::{
        ids::{HolderId, HostName},
        secret::Secret,
    },
    ports::{
        clock::Clock,
        definitions::{DefinitionFiles, Definitions},
        hub::Hub,
        sandbox::Sandbox,
        store::Store,
        telemetry::Telemetry,
        workspaces::Workspaces,
    },
    services::{
        budget::Budget,
        claims::Claims,
        election::{self, Office, Scoring, Seat},
        guest_host::GuestServices,
        heartbeat::{Appearance, Heartbeat},
        plugins::Plugins,
        reloads::{self, Herald},
        runner::Runner,
    },
};

/// The folder of compiled components, in `host.data_dir`.
const COMPILED: &str = "compiled";
/// The folder of the agents' workspaces, there as well.
const WORKSPACES: &str = "workspaces";

pub struct Parts {
    pub name: HostName,
    /// This process, apart from others of its name.
    pub holder: HolderId,
    pub state: Arc<HostState>,
    pub access: Arc<Access>,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    pub telemetry: Arc<dyn Telemetry>,
    pub opened: OpenStore,
    pub store: Store,
    pub hub: Arc<dyn Hub>,
    pub definitions: Arc<dyn Definitions>,
    /// The same, to be read again.
    pub definition_files: Arc<dyn DefinitionFiles>,
    pub plugins: Arc<Plugins>,
    pub workspaces: Arc<dyn Workspaces>,
    pub claims: Arc<Claims>,
    pub guest_services: GuestServices,
    pub verification: Arc<Verification>,
    /// This host's part in the election, if it has the role: seen from outside, and what the election itself gets.
    pub office: Option<Office>,
    pub seat: Option<Seat>,
    /// Writes what is told of reloads.
    pub herald: Option<Herald>,
    token: Secret,
}

/// What there is before the store.
pub struct Basics {
    pub name: HostName,
    pub state: Arc<HostState>,
    pub clock: Arc<dyn Clock>,
    pub access: Arc<Access>,
    /// Of the API: the hosts of one cluster have the same.
    pub token: Secret,
}

impl Parts {
    /// Make what a host needs on top of its store. Blocks on the disk for a moment; must be called on the host's own
    /// runtime.
    pub fn make(config: &Config, basics: Basics, opened: OpenStore) -> anyhow::Result<Parts> {
        let Basics {
            name,
            state,
            clock,
            access,
            token,
        } = basics;
        let metrics = Arc::new(Metrics::new(&name)?);
        let telemetry: Arc<dyn Telemetry> = Arc::clone(&metrics) as Arc<_>;
        let data_dir = make_data_dir(config)?;
        let store = opened.ports();
        let hub: Arc<dyn Hub> = Arc::new(ObservedHub {
            hub: hub_client(config)?,
            telemetry: Arc::clone(&telemetry),
            state: Arc::clone(&state),
        });
        let sandbox = WasmSandbox::new(SandboxConfig {
            slots: config.runner.slots,
            maxima: config.limits.maxima(),
            cache_dir: Some(data_dir.join(COMPILED)),
            workspace_dir: Some(data_dir.join(WORKSPACES)),
            guest_threads: config.runner.threads(),
            ..SandboxConfig::default()
        })?;
        let workspaces = sandbox.workspaces();
        let sandbox: Arc<dyn Sandbox> = Arc::new(sandbox);
        let (reloads, herald) = reloads::open(name.clone(), Arc::clone(&telemetry));
        let plugins = Plugins::new(
            Arc::clone(&sandbox),
            Arc::clone(&store.plugins),
            Arc::new(PluginFolder::new(config.host.plugin_dir.clone())),
        );
        let plugins = Arc::new(plugins.heard_by(reloads.clone()));
        let agents_dir = config.host.agents_dir.clone();
        let definitions = AgentFiles::new(agents_dir, Arc::clone(&clock));
        let definitions = Arc::new(definitions.heard_by(move |agent, reread| reloads.definition(agent, reread)));
        let claims = Arc::new(Claims::new(
            Arc::clone(&store.queue),
            Arc::clone(&clock),
            config.queue.item_lease(),
            config.leader.store_timeout,
        ));
        let guest_services = GuestServices {
            hub: Arc::clone(&hub),
            effects: Arc::clone(&store.effects),
            agent_state: Arc::clone(&store.agent_state),
            telemetry: Arc::clone(&telemetry),
            runtime: Handle::current(),
            under_way: TaskTracker::new(),
        };
        let verification = verification(config, &name, &clock, sandbox)?;
        let (office, seat) = config
            .host
            .has(Role::Coordinator)
            .then(|| election::open(scoring(config, &state, &plugins)))
            .unzip();
        Ok(Parts {
            holder: HolderId::fresh(name.clone()),
            name,
            state,
            clock,
            metrics,
            telemetry,
            opened,
            store,
            access,
            office,
            seat,
            token,
            hub,
            definition_files: Arc::clone(&definitions) as Arc<_>,
            definitions,
            herald: Some(herald),
            plugins,
            workspaces,
            claims,
            guest_services,
            verification: Arc::new(verification),
        })
    }

    /// What runs claimed items.
    pub fn runner(&self, config: &Config, ended: Arc<Notify>) -> Runner {
        Runner {
            queue: Arc::clone(&self.store.queue),
            hub: Arc::clone(&self.hub),
            definitions: Arc::clone(&self.definitions),
            plugins: Arc::clone(&self.plugins),
            budget: Budget::new(
                Arc::clone(&self.hub),
                Arc::clone(&self.telemetry),
                config.hub.budget_ttl,
            ),
            guest_services: self.guest_services.clone(),
            telemetry: Arc::clone(&self.telemetry),
            default_limits: config.limits.limits(),
            max_limits: config.limits.maxima(),
            ended,
            left: Default::default(),
            store_timeout: config.leader.store_timeout,
        }
    }

    /// What tells the other hosts of this one, whose API listens on `listened`.
    pub fn heartbeat(&self, config: &Config, listened: SocketAddr, draining: CancellationToken) -> Heartbeat {
        Heartbeat {
            hosts: Arc::clone(&self.store.hosts),
            claims: Arc::clone(&self.claims),
            plugins: Arc::clone(&self.plugins),
            clock: Arc::clone(&self.clock),
            holder: self.holder.clone(),
            appearance: Appearance {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                roles: config.host.roles.iter().map(ToString::to_string).collect(),
                labels: config.host.labels.clone(),
                address: config.advertised_address(listened),
                slots: if config.host.has(Role::Runner) {
                    config.runner.slots
                } else {
                    0
                },
                started: self.clock.now(),
            },
            every: config.host.heartbeat,
            call_timeout: config.leader.store_timeout,
            draining,
        }
    }

    /// What the API answers from.
    pub fn api_context(&self, config: &Config) -> anyhow::Result<Arc<ApiContext>> {
        Ok(Arc::new(ApiContext {
            host: HostFacts {
                name: self.name.clone(),
                roles: config.host.roles.iter().map(ToString::to_string).collect(),
                slots: config.runner.slots,
                started: Instant::now(),
            },
            state: Arc::clone(&self.state),
            store: self.store.clone(),
            store_timeout: config.leader.store_timeout,
            definitions: Arc::clone(&self.definitions),
            definition_files: Arc::clone(&self.definition_files),
            plugins: Arc::clone(&self.plugins) as Arc<dyn PluginDirectory>,
            workspaces: Arc::clone(&self.workspaces),
            default_limits: config.limits.limits(),
            max_limits: config.limits.maxima(),
            metrics: Arc::clone(&self.metrics),
            access: Arc::clone(&self.access),
            verification: Arc::clone(&self.verification),
            office: self.office.clone(),
            forwarder: Forwarder::new(self.token.clone())?,
        }))
    }
}

/// How much this host is wanted as the leader: less while the Hub does not answer it, or it can run none of its plugins.
fn scoring(config: &Config, state: &Arc<HostState>, plugins: &Arc<Plugins>) -> Scoring {
    let preference = config.leader.preference(&config.host.labels);
    let runs = config.host.has(Role::Runner);
    let (state, plugins) = (Arc::clone(state), Arc::clone(plugins));
    Arc::new(move || {
        let plugins: &dyn PluginDirectory = &*plugins;
        preference.score(state.fit_to_lead(runs.then(|| plugins.list().plugins)))
    })
}

/// What scopes of a verification are made of: the host's own sandbox, clock and settings, beside its store.
fn verification(
    config: &Config,
    host: &HostName,
    clock: &Arc<dyn Clock>,
    sandbox: Arc<dyn Sandbox>,
) -> anyhow::Result<Verification> {
    Ok(Verification::new(Wiring {
        host: host.clone(),
        runner: config.host.has(Role::Runner),
        place: match config.store.effective_kind() {
            StoreKind::Redis => Place::Redis(Box::new(redis_config(config)?)),
            StoreKind::Sqlite | StoreKind::Auto => Place::Files(config.host.data_dir.clone()),
        },
        sandbox,
        clock: Arc::clone(clock),
        lease: config.queue.item_lease(),
        call_timeout: config.leader.store_timeout,
        limits: config.limits.limits(),
        max_limits: config.limits.maxima(),
    }))
}

/// Make the data folder, if there is none. What agents were asked and what they keep is nobody else's to read.
pub fn make_data_dir(config: &Config) -> anyhow::Result<&Path> {
    let folder = config.host.data_dir.as_path();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("can't make the data folder {} (host.data_dir)", folder.display()))?;
    Ok(folder)
}

fn hub_client(config: &Config) -> anyhow::Result<HubClient> {
    let hub = &config.hub;
    let url = hub
        .url
        .clone()
        .ok_or_else(|| anyhow!("hub.url is not set: set it, or HUB_URL, to the Hub's address"))?;
    let api_key = hub.load_api_key().map_err(anyhow::Error::msg)?;
    Ok(HubClient::new(HubClientConfig {
        api_key,
        request_timeout: hub.request_timeout,
        max_attempts: hub.retries + 1,
        idempotency: match hub.idempotency {
            Idempotency::Detect => hub_http::Idempotency::Detect,
            Idempotency::Yes => hub_http::Idempotency::Yes,
            Idempotency::No => hub_http::Idempotency::No,
        },
        ..HubClientConfig::new(url)
    })?)
}
