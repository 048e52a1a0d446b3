//! The component without Warren.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use tokio::{runtime::Runtime, task::JoinSet};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store,
    component::{Component, Linker, ResourceTable},
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::{A_ROUND, IN_FLIGHT, Stages, timed};

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
            let other = other.handle().clone();
            running.spawn(async move { other.spawn(async move { activate(&agent).await }).await });
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
