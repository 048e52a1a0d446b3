//! The sandbox on wasmtime (DESIGN §8): takes components in, runs activations in fresh stores.
//!
//! `facts` reads what a component is; `compiler`, `cache` and `pool` make machine code of it; `prepared` links it;
//! `activation` runs it once, with `guest` as what its store holds, `hub`, `keyvalue`, `services` and `workspace` as what
//! it can call, `limiter`, `meter` and `log` as what it may use; `stop` turns the end of it into a reason code.
//!
//! Guests run on threads of their own. What they ask of the host runs on the runtime that asked for the activation.

mod activation;
mod bindings;
mod cache;
mod compiler;
pub mod compiling;
mod facts;
mod guest;
mod hub;
mod keyvalue;
mod limiter;
mod log;
mod meter;
mod pool;
mod prepared;
mod services;
mod stop;
mod workspace;

use std::{num::NonZero, path::PathBuf, sync::Arc, thread, time::Duration};

use async_trait::async_trait;
use thiserror::Error;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::Semaphore,
    task,
};
use wasmtime::Engine;

use self::{
    compiler::Compiler,
    prepared::WasmPrepared,
    workspace::{OperatedWorkspaces, Workspaces},
};
use crate::{
    domain::{limits::Limits, plugin::Manifest},
    ports::{
        sandbox::{ComponentFacts, PrepareError, Prepared, Sandbox},
        workspaces,
    },
};

/// How a sandbox is built. It does not change while it runs.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// Activations at a time. Each takes up to `maxima.memory` of memory while it runs.
    pub slots: u32,
    /// The most that any activation may use; an activation's own limits are cut to these. They size the pool.
    pub maxima: Limits,
    /// Where compiled components are kept between starts: a folder for this user alone, made if need be. Without one,
    /// each start compiles.
    pub cache_dir: Option<PathBuf>,
    /// Where agents that may have a workspace have it, a directory each. Without one, no agent has.
    pub workspace_dir: Option<PathBuf>,
    /// Threads that guests run on.
    pub guest_threads: usize,
    /// How often running guests let others run and are looked at for their limits.
    pub tick: Duration,
}

impl Default for SandboxConfig {
    /// 64 places, the default limits, no cache, no workspaces, a thread per core, 10 ms.
    fn default() -> SandboxConfig {
        SandboxConfig {
            slots: 64,
            maxima: Limits::default(),
            cache_dir: None,
            workspace_dir: None,
            guest_threads: thread::available_parallelism().map_or(2, NonZero::get),
            tick: Duration::from_millis(10),
        }
    }
}

/// Why there is no sandbox.
#[derive(Debug, Error)]
pub enum SandboxError {
    #[error("the sandbox needs at least 1 of `{0}`")]
    Zero(&'static str),
    /// Mostly address space: each slot reserves about 4 GiB for each memory that a guest may have.
    #[error("the sandbox can't set aside {slots} places of {memories} memories of {memory} bytes: {reason}")]
    Pool {
        slots: u32,
        memories: u32,
        memory: u64,
        reason: String,
    },
    #[error("the sandbox can't start its threads: {0}")]
    Threads(#[from] std::io::Error),
}

/// The sandbox. Dropping it lets nothing new start; what was prepared keeps what it needs.
pub struct WasmSandbox {
    shared: Arc<Shared>,
}

/// What the sandbox and everything prepared in it share.
struct Shared {
    engine: Engine,
    maxima: Limits,
    /// One permit for each place in the pool.
    places: Arc<Semaphore>,
    compiler: Compiler,
    workspaces: Option<Arc<Workspaces>>,
    /// Where guests run.
    guests: Handle,
    _runtime: BackgroundRuntime,
}

/// A runtime that may be dropped anywhere: tokio's own waits for its threads, which no task is allowed to.
struct BackgroundRuntime(Option<Runtime>);

impl Drop for BackgroundRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl WasmSandbox {
    pub fn new(config: SandboxConfig) -> Result<WasmSandbox, SandboxError> {
        let SandboxConfig {
            slots,
            maxima,
            cache_dir,
            workspace_dir,
            guest_threads,
            tick,
        } = config;
        for (number, name) in [
            (slots as usize, "slots"),
            (guest_threads, "guest_threads"),
            (tick.as_nanos() as usize, "tick"),
        ] {
            if number == 0 {
                return Err(SandboxError::Zero(name));
            }
        }
        let engine = pool::engine(slots, &maxima).map_err(|error| SandboxError::Pool {
            slots,
            memories: maxima.memories,
            memory: maxima.memory,
            reason: format!("{error:#}"),
        })?;
        pool::start_ticking(&engine, tick)?;
        let guests = Builder::new_multi_thread()
            .worker_threads(guest_threads)
            .thread_name("warren-guest")
            .enable_time()
            .enable_io()
            .build()?;
        Ok(WasmSandbox {
            shared: Arc::new(Shared {
                compiler: Compiler::new(&engine, cache_dir, maxima.clone(), guests.handle().clone()),
                workspaces: workspace_dir.map(|folder| Arc::new(Workspaces::new(folder))),
                engine,
                maxima,
                places: Arc::new(Semaphore::new(slots as usize)),
                guests: guests.handle().clone(),
                _runtime: BackgroundRuntime(Some(guests)),
            }),
        })
    }

    /// The agents' workspaces, for operators.
    pub fn workspaces(&self) -> Arc<dyn workspaces::Workspaces> {
        Arc::new(OperatedWorkspaces::new(self.shared.workspaces.clone()))
    }
}

#[async_trait]
impl Sandbox for WasmSandbox {
    fn inspect(&self, component: &[u8]) -> Result<ComponentFacts, PrepareError> {
        facts::read(component)
    }

    async fn prepare(&self, manifest: &Manifest, component: Vec<u8>) -> Result<Arc<dyn Prepared>, PrepareError> {
        let (shared, manifest) = (Arc::clone(&self.shared), manifest.clone());
        // Reading and hashing a large component takes long enough to be in others' way.
        let read = task::spawn_blocking(move || {
            let facts = facts::read(&component)?;
            facts::check(&facts, &manifest).map(|()| (facts, component))
        });
        let (facts, component) = read.await.unwrap_or_else(|error| Err(PrepareError::failed(&error)))?;
        let (compiled, making) = shared.compiler.compile(facts.digest, component).await?;
        let link = task::spawn_blocking(move || {
            let prepared = WasmPrepared::link(facts, &compiled, making, shared)
                .map_err(|error| PrepareError::WrongWorld(format!("it does not fit the world: {error:#}")))?;
            Ok(Arc::new(prepared) as Arc<dyn Prepared>)
        });
        link.await.unwrap_or_else(|error| Err(PrepareError::failed(&error)))
    }
}

impl PrepareError {
    fn failed(error: &task::JoinError) -> PrepareError {
        PrepareError::Host(format!("preparing the component failed: {error}"))
    }
}
