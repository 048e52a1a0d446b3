//! One scope on this host: the services of every day over a store of its own.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use tokio::{
    runtime::Handle,
    sync::Notify,
    time::{self, Instant},
};
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::{
    IDLE, ScopeId, VerifyError, Wiring,
    no_hub::NoHub,
    probe::{ProbeAgents, ProbePlugin},
    runs::{Runs, WatchedSandbox},
};
use crate::{
    app::{
        api::{
            types::{LeftScope, LoadAnswer, QueueView, RunView},
            views,
        },
        store::OpenStore,
        supervisor::Stage,
    },
    domain::{time::BootTime, work_item::WorkItem},
    ports::{
        clock::Clock,
        hub::Hub,
        store::{Store, StoreError},
        telemetry::{Telemetry, Unmeasured},
        work_queue::Enqueued,
    },
    services::{
        budget::Budget,
        claims::Claims,
        dispatch::{Dispatch, DispatchConfig},
        guest_host::GuestServices,
        plugins::Plugins,
        reclaim::Reclaim,
        runner::Runner,
    },
};

/// Activations at once: enough to show what runs beside what, few enough to leave the pool to real work.
const SLOTS: usize = 4;
const SWEEP_EVERY: Duration = Duration::from_millis(200);
/// How often work is looked for without a wake-up.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What runs when a scope ends gets so long; a probe takes milliseconds.
const GRACE: Duration = Duration::from_secs(3);
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// Comparisons of this host's clock with the store's; the quickest answer is the most exact.
const CLOCK_SAMPLES: usize = 5;

pub struct Scope {
    pub id: ScopeId,
    pub shared: Arc<Shared>,
    store: OpenStore,
    running: Stage,
    keeping: Stage,
    called: Instant,
}

/// What calls use while the scope runs.
pub struct Shared {
    pub store: Store,
    runs: Arc<Runs>,
    timeout: Duration,
    time: StoreTime,
}

/// How the store's time follows from this host's boot time.
#[derive(Clone, Copy)]
struct StoreTime {
    /// Microseconds to add.
    offset: i64,
    /// By how many microseconds it may be wrong.
    error: i64,
}

impl Scope {
    pub async fn open(id: ScopeId, wiring: &Wiring) -> anyhow::Result<Scope> {
        let opened = wiring
            .place
            .open(id, wiring)
            .await
            .context("opening the scope's store")?;
        match Scope::start(id, wiring, opened.clone()).await {
            Ok(scope) => Ok(scope),
            Err(error) => {
                opened.close().await;
                Err(error)
            }
        }
    }

    async fn start(id: ScopeId, wiring: &Wiring, opened: OpenStore) -> anyhow::Result<Scope> {
        let store = opened.ports();
        let runs = Arc::new(Runs::new(Arc::clone(&wiring.clock)));
        let plugins = Plugins::new(
            Arc::new(WatchedSandbox {
                sandbox: Arc::clone(&wiring.sandbox),
                runs: Arc::clone(&runs),
            }),
            Arc::clone(&store.plugins),
            Arc::new(ProbePlugin),
        );
        plugins.load_all().await.context("preparing the probe")?;
        let shared = Shared {
            time: StoreTime::measure(&store, &*wiring.clock, wiring.call_timeout).await?,
            store: store.clone(),
            runs,
            timeout: wiring.call_timeout,
        };
        let claims = Arc::new(Claims::new(
            Arc::clone(&store.queue),
            Arc::clone(&wiring.clock),
            wiring.lease,
            wiring.call_timeout,
        ));
        let (mut running, mut keeping) = (Stage::new("a scope's running"), Stage::new("a scope's keeping"));
        let dispatch = dispatch(wiring, &store, Arc::new(plugins), Arc::clone(&claims));
        running.spawn("dispatch", |stop| dispatch.run(stop));
        keeping.spawn("claims", |stop| async move { claims.keep(stop).await });
        let reclaim = Reclaim {
            queue: Arc::clone(&store.queue),
            telemetry: Arc::new(Unmeasured),
            every: SWEEP_EVERY,
            call_timeout: wiring.call_timeout,
        };
        keeping.spawn("reclaim", |stop| reclaim.run(stop));
        Ok(Scope {
            id,
            shared: Arc::new(shared),
            store: opened,
            running,
            keeping,
            called: Instant::now(),
        })
    }

    /// Somebody has called.
    pub fn touch(&mut self) {
        self.called = Instant::now();
    }

    pub fn is_forgotten(&self) -> bool {
        self.called.elapsed() >= IDLE
    }

    /// Stop what runs, the claims' keeping last. What ran, and the store, which is still open.
    pub async fn end(self) -> (LeftScope, OpenStore) {
        for stage in [self.running, self.keeping] {
            if let Err(error) = stage.stop(STOP_WITHIN).await {
                warn!(scope = %self.id, error = format!("{error:#}"), "a scope did not end as it should");
            }
        }
        (self.shared.left(), self.store)
    }
}

fn dispatch(wiring: &Wiring, store: &Store, plugins: Arc<Plugins>, claims: Arc<Claims>) -> Dispatch<Runner> {
    let hub: Arc<dyn Hub> = Arc::new(NoHub);
    let telemetry: Arc<dyn Telemetry> = Arc::new(Unmeasured);
    let runner = Runner {
        queue: Arc::clone(&store.queue),
        definitions: Arc::new(ProbeAgents),
        plugins,
        budget: Budget::new(Arc::clone(&hub), Arc::clone(&telemetry), IDLE),
        guest_services: GuestServices {
            hub: Arc::clone(&hub),
            effects: Arc::clone(&store.effects),
            agent_state: Arc::clone(&store.agent_state),
            telemetry: Arc::clone(&telemetry),
            runtime: Handle::current(),
            under_way: TaskTracker::new(),
        },
        hub,
        telemetry,
        default_limits: wiring.limits.clone(),
        max_limits: wiring.max_limits.clone(),
        ended: Arc::new(Notify::new()),
        left: Default::default(),
        store_timeout: wiring.call_timeout,
    };
    Dispatch {
        queue: Arc::clone(&store.queue),
        claims,
        clock: Arc::clone(&wiring.clock),
        runner: Arc::new(runner),
        host: wiring.host.clone(),
        config: DispatchConfig {
            slots: SLOTS,
            idle_poll: LOOK_EVERY,
            grace: GRACE,
            call_timeout: wiring.call_timeout,
        },
    }
}

impl Shared {
    /// A call to the scope's store, which gets so long and no longer.
    pub async fn ask<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        time::timeout(self.timeout, call)
            .await
            .unwrap_or_else(|_| Err(StoreError::no_answer(self.timeout)))
    }

    pub async fn load(&self, items: Vec<WorkItem>) -> Result<LoadAnswer, VerifyError> {
        let ids: Vec<String> = items.iter().map(|item| item.id.to_string()).collect();
        let answers = self.ask(self.store.queue.enqueue(None, items)).await?;
        let mut answer = LoadAnswer::default();
        for (id, enqueued) in ids.into_iter().zip(answers) {
            match enqueued {
                Enqueued::Added(_) => answer.accepted.push(id),
                Enqueued::Full { .. } => answer.refused += 1,
                // Direct items never merge, and no breaker skips them.
                other => return Err(anyhow::anyhow!("the queue answered {other:?} to a direct item").into()),
            }
        }
        Ok(answer)
    }

    pub async fn stats(&self) -> Result<QueueView, VerifyError> {
        Ok(views::queue(&self.ask(self.store.queue.stats()).await?))
    }

    fn left(&self) -> LeftScope {
        let runs = self.runs.take().into_iter().map(|run| RunView {
            item: run.item.to_string(),
            agent: run.agent.to_string(),
            began_micros: self.time.of(run.began),
            ended_micros: self.time.of(run.ended),
            ending: run.ending,
        });
        LeftScope {
            runs: runs.collect(),
            clock_error_micros: self.time.error,
        }
    }
}

impl StoreTime {
    async fn measure(store: &Store, clock: &dyn Clock, timeout: Duration) -> anyhow::Result<StoreTime> {
        let mut best: Option<StoreTime> = None;
        for _ in 0..CLOCK_SAMPLES {
            let asked = clock.now();
            let health = time::timeout(timeout, store.queue.health())
                .await
                .context("the scope's store does not answer")??;
            let answered = clock.now();
            let half = micros(answered) / 2 - micros(asked) / 2;
            let sample = StoreTime {
                offset: health.now.0.saturating_mul(1000) - micros(asked) - half,
                // The store tells whole milliseconds.
                error: half + 1000,
            };
            if best.is_none_or(|best| sample.error < best.error) {
                best = Some(sample);
            }
        }
        best.context("the clocks were not compared")
    }

    fn of(self, at: BootTime) -> i64 {
        micros(at).saturating_add(self.offset)
    }
}

fn micros(at: BootTime) -> i64 {
    i64::try_from(at.0.as_micros()).unwrap_or(i64::MAX)
}
