//! One host, wired: in which order its parts start, and in which order they stop.
//!
//! Start: API port, store (until it is there, the API says what is waited for), plugins; then the stages *serving* (API),
//! *keeping* (leases, recovery, heartbeat), *running* (claims and runs items) and *coordinating* (election and leader-only
//! work), so that nothing is claimed before it can be renewed.
//!
//! Stop, on SIGTERM: `/ready` turns red, no plugin is replaced any more, and the heartbeat says that this host drains;
//! *coordinating* stops and joins its work and releases the lease, so that a successor takes over at once; *running* stops
//! claiming and drains while *keeping* still renews, and what is left at the end of the grace period goes back to the head
//! of its queue; then *keeping*, with which the heartbeat gives back what is claimed even now and leaves the registry of
//! hosts; then *serving* and the store.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use tokio::{
    sync::{Notify, watch},
    task, time,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};

use super::{
    api::{self, access::Access, context::HostState, token},
    config::{Config, host::Role},
    open_files,
    parts::{Basics, Parts, make_data_dir},
    store::OpenStore,
    supervisor::Stage,
};
use crate::{
    adapters::boot_clock::BootClock,
    domain::ids::HostName,
    ports::{
        definitions::{DefinitionFiles, Definitions},
        store::StoreError,
    },
    services::{
        census::Census,
        claims::Claims,
        discovery::{Discovery, DiscoveryConfig},
        dispatch::{Dispatch, DispatchConfig},
        election::{Election, ElectionConfig, LeaderTask, Seat},
        intake::Intake,
        leader_state::LeaderNotes,
        plugins::Plugins,
        poller::{Poller, PollerConfig},
        python_runners::PythonRunners,
        reclaim::Reclaim,
        store_watch::StoreWatch,
    },
};

/// How often an idle host looks for work by itself: what a lost wake-up costs. With 200 hosts on one Redis each look counts.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How soon a host tries again what the store has just refused to answer: a bid, a plugin's number.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How often a follower looks who leads: what a lost notification costs a handover. A lease that ends sooner is bid for at
/// its end; by default it does, unless it was renewed just before the last look.
const FOLLOW_EVERY: Duration = Duration::from_secs(8);

/// How often the leader counts what describes the cluster.
const CENSUS_EVERY: Duration = Duration::from_secs(10);

/// How often the store is asked whether it still is the one that this host knows.
const WATCH_STORE_EVERY: Duration = Duration::from_secs(10);

/// How often the leader looks whether Python runners use the same store; each look is bounded.
const LOOK_FOR_RUNNERS_EVERY: Duration = Duration::from_secs(30);

/// How long what has nothing to drain may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// The longest that stopping takes if activations may go on for `grace`: how long whoever sends SIGTERM waits before it
/// kills. What each step of [`Host::stop`] may take, added up.
pub fn longest_stop(grace: Duration) -> Duration {
    grace + 6 * STOP_WITHIN
}

/// A host that runs.
pub struct Host {
    pub name: HostName,
    /// Where the API listens.
    pub address: SocketAddr,
    state: Arc<HostState>,
    coordinating: Stage,
    running: Stage,
    keeping: Stage,
    serving: Stage,
    /// Effects that were sent and are being recorded.
    under_way: TaskTracker,
    /// Cancelled when the host begins to stop, for the other hosts to know.
    draining: CancellationToken,
    store: OpenStore,
    /// What can be read again while it runs.
    pub plugins: Arc<Plugins>,
    pub definitions: Arc<dyn DefinitionFiles>,
    grace: Duration,
}

impl Host {
    /// Start everything. A wrong configuration, a store that can't be opened or a port that is taken is an error. A Redis
    /// or a Hub that is down or a broken plugin is not: `/ready` says so, and the host waits or goes on.
    pub async fn start(config: &Config) -> anyhow::Result<Host> {
        open_files::allow_enough();
        // The port first: it is the likeliest thing to be taken, and nothing needs undoing yet.
        let listener = api::listen(config.api.listen).await?;
        let address = listener.local_addr().context("the API's address")?;
        make_data_dir(config)?;
        let token = token::load_or_create(config)?;
        let basics = Basics {
            name: config.host_name()?,
            state: Arc::default(),
            clock: Arc::new(BootClock),
            access: Arc::new(Access::new(address, config.api.hosts.clone(), &token)),
            token,
        };
        // While the store is opened, the API says what is waited for.
        let starting = api::starting(Arc::clone(&basics.state), Arc::clone(&basics.access));
        let (answers, answered) = watch::channel(starting);
        let mut serving = Stage::new("serving");
        serving.spawn("api", |stop| api::serve(listener, answered, stop));
        let opened = tokio::select! {
            opened = OpenStore::open(config, &basics.name, Arc::clone(&basics.clock), &basics.state) => opened?,
            fault = serving.fault() => return Err(fault),
        };
        let description = opened.description().to_owned();
        let mut parts = Parts::make(config, basics, opened)?;
        answers.send_replace(api::whole(parts.api_context(config)?, serving.stopping()));
        let name = parts.name.clone();
        let host = Host {
            address,
            state: Arc::clone(&parts.state),
            serving,
            keeping: parts.keep(config),
            running: Stage::new("running"),
            coordinating: Stage::new("coordinating"),
            under_way: parts.guest_services.under_way.clone(),
            draining: CancellationToken::new(),
            store: parts.opened.clone(),
            plugins: Arc::clone(&parts.plugins),
            definitions: Arc::clone(&parts.definition_files),
            grace: config.host.grace_period,
            name,
        };
        info!(host = %host.name, %address, store = description, "listening");
        host.begin(config, parts).await
    }

    async fn begin(mut self, config: &Config, mut parts: Parts) -> anyhow::Result<Host> {
        report_definitions(Arc::clone(&parts.definitions)).await?;
        parts.load_plugins().await?;
        self.state.plugins_loaded();
        let recovered = parts.opened.take_over().await?;
        if recovered > 0 {
            warn!(
                recovered,
                "items were running when the store was last in use; they are ready again"
            );
        }
        let heartbeat = parts.heartbeat(config, self.address, self.draining.clone());
        self.keeping.spawn("heartbeat", |stop| heartbeat.run(stop));
        let ended = Arc::new(Notify::new());
        if config.host.has(Role::Runner) {
            let dispatch = self.dispatch(config, &parts, Arc::clone(&ended));
            let runner = Arc::clone(&dispatch.runner);
            self.running.spawn("regain", |stop| runner.regain(stop));
            self.running.spawn("dispatch", |stop| dispatch.run(stop));
        }
        if let Some(seat) = parts.seat.take() {
            let election = self.election(config, &parts, seat, ended);
            self.coordinating.spawn("election", |stop| election.run(stop));
        }
        Ok(self)
    }

    fn dispatch(
        &self,
        config: &Config,
        parts: &Parts,
        ended: Arc<Notify>,
    ) -> Dispatch<crate::services::runner::Runner> {
        Dispatch {
            queue: Arc::clone(&parts.store.queue),
            claims: Arc::clone(&parts.claims),
            clock: Arc::clone(&parts.clock),
            runner: Arc::new(parts.runner(config, ended)),
            host: self.name.clone(),
            config: DispatchConfig {
                slots: config.runner.slots as usize,
                idle_poll: LOOK_EVERY,
                grace: config.host.grace_period,
                call_timeout: config.leader.store_timeout,
            },
        }
    }

    fn election(&self, config: &Config, parts: &Parts, seat: Seat, ended: Arc<Notify>) -> Election {
        let intake = Arc::new(Intake::new(
            Arc::clone(&parts.store.queue),
            Arc::clone(&parts.definitions),
            Arc::clone(&parts.telemetry),
        ));
        Election {
            leadership: Arc::clone(&parts.store.leadership),
            events: Arc::clone(&parts.store.events),
            telemetry: Arc::clone(&parts.telemetry),
            clock: Arc::clone(&parts.clock),
            config: ElectionConfig {
                lease: config.leader.terms(),
                renew_every: config.leader.renew_every,
                bid_every: TRY_AGAIN_AFTER,
                look_every: FOLLOW_EVERY,
                call_timeout: config.leader.store_timeout,
                stop_within: STOP_WITHIN,
            },
            holder: parts.holder.clone(),
            address: config.advertised_address(self.address),
            tasks: leader_tasks(config, parts, &intake, ended),
            seat,
        }
    }

    /// Resolves when a task has ended although nobody asked it to. Safe to cancel.
    pub async fn fault(&mut self) -> anyhow::Error {
        tokio::select! {
            fault = self.coordinating.fault() => fault,
            fault = self.running.fault() => fault,
            fault = self.keeping.fault() => fault,
            fault = self.serving.fault() => fault,
            why = self.store.ended() => anyhow!("the store ended: {why}"),
        }
    }

    /// Stop in order. The first error is returned, the others are logged.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.state.stopping();
        self.draining.cancel();
        self.plugins.close();
        let mut first = Ok(());
        let mut note = |result: anyhow::Result<()>| match (result, &first) {
            (Ok(()), _) => {}
            (Err(error), Ok(())) => first = Err(error),
            (Err(error), Err(_)) => error!(error = format!("{error:#}"), "another fault while stopping"),
        };
        note(self.coordinating.stop(2 * STOP_WITHIN).await);
        note(self.running.stop(self.grace + STOP_WITHIN).await);
        self.under_way.close();
        if time::timeout(STOP_WITHIN, self.under_way.wait()).await.is_err() {
            note(Err(anyhow!("an effect was still being recorded after {STOP_WITHIN:?}")));
        }
        note(self.keeping.stop(STOP_WITHIN).await);
        note(self.serving.stop(STOP_WITHIN).await);
        self.store.close().await;
        info!(host = %self.name, "stopped");
        first
    }
}

/// Say at the start which definitions are wrong, not only once the Hub names their agents.
async fn report_definitions(definitions: Arc<dyn Definitions>) -> anyhow::Result<()> {
    let all = task::spawn_blocking(move || definitions.all())
        .await
        .context("reading the agents' definitions")?;
    let (good, wrong): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, definition)| definition.is_ok());
    info!(usable = good.len(), wrong = wrong.len(), "read the agents' definitions");
    for (agent, definition) in wrong {
        if let Err(error) = definition {
            warn!(agent, %error, "an agent can't run");
        }
    }
    Ok(())
}

fn leader_tasks(config: &Config, parts: &Parts, intake: &Arc<Intake>, ended: Arc<Notify>) -> Vec<Arc<dyn LeaderTask>> {
    let notes = Arc::new(LeaderNotes::new(Arc::clone(&parts.store.leadership)));
    vec![
        Arc::new(Poller {
            hub: Arc::clone(&parts.hub),
            intake: Arc::clone(intake),
            telemetry: Arc::clone(&parts.telemetry),
            config: PollerConfig {
                long_poll: config.hub.poll_timeout,
                batch_size: config.hub.poll_batch,
                ..PollerConfig::default()
            },
            ended,
        }),
        Arc::new(Discovery {
            hub: Arc::clone(&parts.hub),
            intake: Arc::clone(intake),
            notes: Arc::clone(&notes),
            config: DiscoveryConfig {
                every: config.hub.discovery_interval,
                min_staleness: config.hub.staleness,
            },
        }),
        Arc::new(Census {
            queue: Arc::clone(&parts.store.queue),
            agents: Arc::clone(&parts.store.agents),
            events: Arc::clone(&parts.store.events),
            hosts: Arc::clone(&parts.store.hosts),
            telemetry: Arc::clone(&parts.telemetry),
            every: CENSUS_EVERY,
        }),
        Arc::new(PythonRunners {
            hosts: Arc::clone(&parts.store.hosts),
            events: Arc::clone(&parts.store.events),
            notes,
            every: LOOK_FOR_RUNNERS_EVERY,
            call_timeout: config.leader.store_timeout,
        }),
    ]
}

impl Parts {
    /// Read and compile the plugins. A store that is away for a moment, and can't number them, is waited for.
    async fn load_plugins(&self) -> anyhow::Result<()> {
        let mut told = false;
        loop {
            match self.plugins.load_all().await {
                Err(error) if matches!(error.downcast_ref(), Some(StoreError::Unavailable(_))) => {
                    if !told {
                        warn!(
                            error = format!("{error:#}"),
                            "waiting for the store to number the plugins"
                        );
                    }
                    told = true;
                    time::sleep(TRY_AGAIN_AFTER).await;
                }
                loaded => return loaded.context("host.plugin_dir"),
            }
        }
    }

    /// What keeps leases alive and recovers what others have lost.
    fn keep(&mut self, config: &Config) -> Stage {
        let mut stage = Stage::new("keeping");
        if let Some(herald) = self.herald.take() {
            let (events, timeout) = (Arc::clone(&self.store.events), config.leader.store_timeout);
            stage.spawn("herald", |stop| herald.run(events, timeout, stop));
        }
        let claims: Arc<Claims> = Arc::clone(&self.claims);
        stage.spawn("claims", |stop| async move { claims.keep(stop).await });
        let reclaim = Reclaim {
            queue: Arc::clone(&self.store.queue),
            telemetry: Arc::clone(&self.telemetry),
            every: config.queue.sweep_every,
            call_timeout: config.leader.store_timeout,
        };
        stage.spawn("reclaim", |stop| reclaim.run(stop));
        let verification = Arc::clone(&self.verification);
        stage.spawn("verification", |stop| verification.keep(stop));
        let watch = StoreWatch {
            queue: Arc::clone(&self.store.queue),
            events: Arc::clone(&self.store.events),
            plugins: Arc::clone(&self.plugins),
            host: self.name.clone(),
            every: WATCH_STORE_EVERY,
            call_timeout: config.leader.store_timeout,
        };
        stage.spawn("store-watch", |stop| watch.run(stop));
        stage
    }
}
