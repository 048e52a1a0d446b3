//! What an activation costs: the guest that does nothing in Warren's sandbox, against the same component on bare
//! wasmtime (pooling allocator, resident memory kept, concurrency support off, a prebuilt `InstancePre`).
//!
//! `cargo bench -p warren --bench activation`. The variants take turns in one run, so that what else the machine does
//! falls on all of them.

#![allow(clippy::unwrap_used, reason = "a bench that can't start has nothing to measure")]

use std::{
    collections::BTreeMap,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
};
use warren::{
    adapters::wasm::{SandboxConfig, WasmSandbox},
    domain::{
        capability::CapabilitySet,
        hub::{Comment, DiscoverQuery, NewComment, NewPost, Notification, Post, SearchQuery, Thread},
        ids::{AgentId, AgentName, ItemId, PluginName},
        limits::Limits,
        plugin::{Manifest, WORLD},
        time::UnixMillis,
        work_item::{Priority, TaskType, WorkItem},
    },
    ports::{
        guest::{GuestHost, LogLevel, Measurement, Refusal},
        sandbox::{Activation, Prepared, Sandbox, Verdict},
    },
};
use warren_tests::guests;

const ROUNDS: usize = 40;
const A_ROUND: usize = 500;
/// Activations at a time, where there are many.
const IN_FLIGHT: usize = 16;

fn main() {
    let component = guests::component("guest-idle");
    let bare = bare::Bare::new(&component);
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let other = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let warren = Warren::new(&runtime, component);

    let mut times = Times::default();
    for round in 0..=ROUNDS {
        let mut this = Times::default();
        for _ in 0..A_ROUND {
            this.sync.push(bare.activate_sync());
            this.stages.push(runtime.block_on(bare.activate()));
            this.spawned.push(timed(|| runtime.block_on(bare.activate_on(&other))));
            let mut inside = Duration::ZERO;
            this.warren.push(timed(|| inside = runtime.block_on(warren.activate())));
            this.inside.push(inside);
        }
        this.bare_many
            .push(timed(|| runtime.block_on(bare.activate_many(&other))) / A_ROUND as u32);
        this.warren_many
            .push(timed(|| runtime.block_on(warren.activate_many())) / A_ROUND as u32);
        // The first round warms up.
        if round > 0 {
            times.add(this);
        }
    }
    times.print();
}

fn timed(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

/// Store, instantiation, call and drop.
type Stages = [Duration; 4];

#[derive(Default)]
struct Times {
    sync: Vec<Duration>,
    stages: Vec<Stages>,
    spawned: Vec<Duration>,
    warren: Vec<Duration>,
    inside: Vec<Duration>,
    bare_many: Vec<Duration>,
    warren_many: Vec<Duration>,
}

impl Times {
    fn add(&mut self, other: Times) {
        self.sync.extend(other.sync);
        self.stages.extend(other.stages);
        self.spawned.extend(other.spawned);
        self.warren.extend(other.warren);
        self.inside.extend(other.inside);
        self.bare_many.extend(other.bare_many);
        self.warren_many.extend(other.warren_many);
    }

    fn print(self) {
        let bare: Vec<Duration> = self.stages.iter().map(|stages| stages.iter().sum()).collect();
        println!("{:<58} {:>9} {:>9}   (µs; {} each)", "", "median", "p99", bare.len());
        row("bare wasmtime, synchronous", &self.sync);
        let reference = row("bare wasmtime, asynchronous", &bare);
        for (stage, name) in ["store", "instantiate", "call", "drop"].into_iter().enumerate() {
            let times: Vec<Duration> = self.stages.iter().map(|stages| stages[stage]).collect();
            row(&format!("  of which: {name}"), &times);
        }
        let inside = row("Warren, from the place in the pool to the verdict", &self.inside);
        let spawned = row("bare wasmtime, on another runtime, one at a time", &self.spawned);
        let warren = row("Warren's `activate`, one at a time", &self.warren);
        let many = row(
            &format!("bare wasmtime, on another runtime, {IN_FLIGHT} at a time"),
            &self.bare_many,
        );
        let warrens_many = row(
            &format!("Warren's `activate`, {IN_FLIGHT} at a time"),
            &self.warren_many,
        );
        println!();
        ratio("the activation itself, against bare wasmtime", inside, reference);
        ratio(
            "`activate`, one at a time, against bare wasmtime on another runtime",
            warren,
            spawned,
        );
        ratio(
            "`activate`, many at a time, against bare wasmtime on another runtime",
            warrens_many,
            many,
        );
        ratio(
            "`activate`, many at a time, against bare wasmtime alone",
            warrens_many,
            reference,
        );
    }
}

fn row(name: &str, times: &[Duration]) -> f64 {
    let mut sorted: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e6).collect();
    sorted.sort_by(f64::total_cmp);
    let (median, p99) = (sorted[sorted.len() / 2], sorted[sorted.len() * 99 / 100]);
    println!("{name:<58} {median:>9.1} {p99:>9.1}");
    median
}

fn ratio(name: &str, of: f64, to: f64) {
    println!("{:<72} {:>6.2} ×", name, of / to);
}

/// The component without Warren.
mod bare {
    use tokio::{runtime::Runtime, task::JoinSet};
    use wasmtime::{
        Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store,
        component::{Component, Linker, ResourceTable},
    };
    use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

    use super::*;

    mod asynchronous {
        wasmtime::component::bindgen!({ path: "../wit/0.1.0", world: "agent", exports: { default: async } });
    }

    mod synchronous {
        wasmtime::component::bindgen!({ path: "../wit/0.1.0", world: "agent" });
    }

    pub struct Data {
        wasi: WasiCtx,
        table: ResourceTable,
    }

    impl WasiView for Data {
        fn ctx(&mut self) -> WasiCtxView<'_> {
            WasiCtxView {
                ctx: &mut self.wasi,
                table: &mut self.table,
            }
        }
    }

    fn data() -> Data {
        Data {
            wasi: WasiCtx::default(),
            table: ResourceTable::new(),
        }
    }

    pub struct Bare {
        asynchronous: asynchronous::AgentPre<Data>,
        synchronous: synchronous::AgentPre<Data>,
    }

    impl Bare {
        pub fn new(component: &[u8]) -> Bare {
            let mut pool = PoolingAllocationConfig::new();
            pool.linear_memory_keep_resident(512 * 1024)
                .table_keep_resident(512 * 1024)
                .max_memory_size(64 << 20)
                .pagemap_scan(Enabled::Auto);
            let mut config = Config::new();
            config
                .concurrency_support(false)
                .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
            let engine = Engine::new(&config).unwrap();
            let component = Component::new(&engine, component).unwrap();
            let mut linker = Linker::<Data>::new(&engine);
            wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
            linker.define_unknown_imports_as_traps(&component).unwrap();
            let asynchronous = linker.instantiate_pre(&component).unwrap();
            let mut linker = Linker::<Data>::new(&engine);
            wasmtime_wasi::p2::add_to_linker_sync(&mut linker).unwrap();
            linker.define_unknown_imports_as_traps(&component).unwrap();
            let synchronous = linker.instantiate_pre(&component).unwrap();
            Bare {
                asynchronous: asynchronous::AgentPre::new(asynchronous).unwrap(),
                synchronous: synchronous::AgentPre::new(synchronous).unwrap(),
            }
        }

        pub fn activate_sync(&self) -> Duration {
            use synchronous::warren::agent::types;
            let item = types::WorkItem {
                id: "id".to_owned(),
                agent_id: "agent-1".to_owned(),
                agent_name: "tester".to_owned(),
                task_type: types::TaskType::Inbox,
                attempt: 1,
                inbox_count: 1,
                created_at: "2026-01-01T00:00:00Z".to_owned(),
                payload: None,
            };
            timed(|| {
                let mut store = Store::new(self.synchronous.engine(), data());
                let instance = self.synchronous.instantiate(&mut store).unwrap();
                let outcome = instance.call_activate(&mut store, &item).unwrap();
                black_box(outcome.is_ok());
            })
        }

        pub async fn activate(&self) -> Stages {
            activate(&self.asynchronous).await
        }

        pub async fn activate_on(&self, other: &Runtime) {
            let agent = self.asynchronous.clone();
            other.spawn(async move { activate(&agent).await }).await.unwrap();
        }

        pub async fn activate_many(&self, other: &Runtime) {
            let mut running = JoinSet::new();
            for _ in 0..A_ROUND {
                if running.len() == IN_FLIGHT {
                    running.join_next().await;
                }
                let agent = self.asynchronous.clone();
                running.spawn_on(async move { activate(&agent).await }, other.handle());
            }
            running.join_all().await;
        }
    }

    async fn activate(agent: &asynchronous::AgentPre<Data>) -> Stages {
        use asynchronous::warren::agent::types;
        let item = types::WorkItem {
            id: "id".to_owned(),
            agent_id: "agent-1".to_owned(),
            agent_name: "tester".to_owned(),
            task_type: types::TaskType::Inbox,
            attempt: 1,
            inbox_count: 1,
            created_at: "2026-01-01T00:00:00Z".to_owned(),
            payload: None,
        };
        let began = Instant::now();
        let mut store = Store::new(agent.engine(), data());
        let stored = Instant::now();
        let instance = agent.instantiate_async(&mut store).await.unwrap();
        let instantiated = Instant::now();
        let outcome = instance.call_activate(&mut store, &item).await.unwrap();
        black_box(outcome.is_ok());
        let called = Instant::now();
        drop(store);
        [
            stored - began,
            instantiated - stored,
            called - instantiated,
            called.elapsed(),
        ]
    }
}

/// The component in Warren's sandbox.
struct Warren {
    prepared: Arc<dyn Prepared>,
    config: Arc<BTreeMap<String, String>>,
    host: Arc<dyn GuestHost>,
    _sandbox: WasmSandbox,
}

impl Warren {
    fn new(runtime: &Runtime, component: Vec<u8>) -> Warren {
        let sandbox = WasmSandbox::new(SandboxConfig {
            guest_threads: 1,
            ..SandboxConfig::default()
        })
        .unwrap();
        let manifest = Manifest {
            name: PluginName::new("idle").unwrap(),
            version: "1".to_owned(),
            world: WORLD.to_owned(),
            description: String::new(),
            capabilities: CapabilitySet::default(),
            limits: Default::default(),
        };
        Warren {
            prepared: runtime.block_on(sandbox.prepare(&manifest, component)).unwrap(),
            config: Arc::default(),
            host: Arc::new(NoHost),
            _sandbox: sandbox,
        }
    }

    fn activation(&self) -> Activation {
        Activation {
            item: WorkItem {
                id: ItemId::fresh(),
                agent_id: AgentId::new("agent-1").unwrap(),
                agent_name: AgentName::new("tester").unwrap(),
                task_type: TaskType::Inbox,
                priority: Priority::High,
                inbox_count: 1,
                created_at: UnixMillis(1_700_000_000_000),
                attempt: 1,
                payload: None,
                min_interval: Duration::ZERO,
                trace_context: None,
            },
            capabilities: CapabilitySet::default(),
            limits: Limits::default(),
            config: Arc::clone(&self.config),
            host: Arc::clone(&self.host),
        }
    }

    /// How long the activation itself took, without the way to its thread and back.
    async fn activate(&self) -> Duration {
        let activated = self.prepared.activate(self.activation()).await;
        assert!(matches!(activated.verdict, Verdict::Outcome { .. }), "{activated:?}");
        activated.usage.wall
    }

    async fn activate_many(&self) {
        let mut running = JoinSet::new();
        for _ in 0..A_ROUND {
            if running.len() == IN_FLIGHT {
                running.join_next().await;
            }
            let (prepared, activation) = (Arc::clone(&self.prepared), self.activation());
            running.spawn(async move { prepared.activate(activation).await });
        }
        running.join_all().await;
    }
}

/// What the idle guest asks of its host.
struct NoHost;

fn unasked<T>() -> Result<T, Refusal> {
    Err(Refusal::Denied("the idle guest asks for nothing".to_owned()))
}

#[async_trait]
impl GuestHost for NoHost {
    async fn inbox(&self) -> Result<Vec<Notification>, Refusal> {
        unasked()
    }
    async fn post(&self, _: String) -> Result<Post, Refusal> {
        unasked()
    }
    async fn thread(&self, _: String) -> Result<Thread, Refusal> {
        unasked()
    }
    async fn search(&self, _: SearchQuery) -> Result<Vec<Post>, Refusal> {
        unasked()
    }
    async fn discover(&self, _: DiscoverQuery) -> Result<Vec<Post>, Refusal> {
        unasked()
    }
    async fn create_post(&self, _: NewPost, _: Option<String>) -> Result<Post, Refusal> {
        unasked()
    }
    async fn create_comment(&self, _: NewComment, _: Option<String>) -> Result<Comment, Refusal> {
        unasked()
    }
    async fn state_get(&self, _: String) -> Result<Option<Vec<u8>>, Refusal> {
        unasked()
    }
    async fn state_set(&self, _: String, _: Vec<u8>) -> Result<(), Refusal> {
        unasked()
    }
    async fn state_delete(&self, _: String) -> Result<(), Refusal> {
        unasked()
    }
    async fn state_keys(&self, _: Option<String>, _: u32) -> Result<Vec<String>, Refusal> {
        unasked()
    }
    fn log(&self, _: LogLevel, _: &str, _: &str) {}
    fn measure(&self, _: Measurement) {}
}
