//! What the store of one activation holds, and how its host functions reach the [`GuestHost`].
//!
//! Calls that may wait run on the runtime that the activation was asked from, not on the guests' own: connections and
//! timers of the Hub and the store are then driven by threads that no guest can occupy.

use std::{
    collections::BTreeMap,
    future::Future,
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{runtime::Handle, task::JoinHandle, time::timeout};
use tokio_util::task::AbortOnDropHandle;
use wasmtime::{CallHook, Error, Result, Store, StoreContextMut, UpdateDeadline, component::ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::{
    limiter::MemoryMeter,
    log::{GuestLog, Stream},
    meter::Meter,
    pool,
    stop::Stop,
    workspace::{
        Workspaces,
        session::{Session, Terms},
    },
};
use crate::{
    domain::{capability::CapabilitySet, ids::AgentId, limits::Limits},
    ports::guest::{GuestHost, LogLevel, Refusal},
};

/// How many host resources (streams, pollables, buckets) a guest may have at a time; the largest takes some 8 KiB.
const MAX_RESOURCES: usize = 1_000;
/// How many handles, those of its own resources included.
const MAX_HANDLES: usize = 10_000;

/// What outlives the store: read for the report when the guest has ended, however it did.
pub struct Account {
    pub meter: Meter,
    pub log: GuestLog,
    /// Bytes of linear memory at the end.
    pub memory: AtomicU64,
    /// The end of its use of the workspace, if it used any.
    leaving: Mutex<Option<JoinHandle<()>>>,
}

/// How long the report waits until the workspace is left. A disk that takes longer is not waited for: the leaving goes on by
/// itself, and whoever opens the workspace next waits for it.
const LEAVE_WITHIN: Duration = Duration::from_secs(10);

impl Account {
    pub fn new(host: Arc<dyn GuestHost>, limits: &Limits) -> Account {
        Account {
            meter: Meter::default(),
            log: GuestLog::new(host, limits),
            memory: AtomicU64::new(0),
            leaving: Mutex::default(),
        }
    }

    /// Wait until the guest, which is gone, has left its workspace.
    pub async fn workspace_left(&self) {
        let leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(leaving) = leaving
            && timeout(LEAVE_WITHIN, leaving).await.is_err()
        {
            tracing::warn!("a workspace is still being left after {LEAVE_WITHIN:?}: the host's disk is slow");
        }
    }
}

/// The data of one activation's store.
pub struct Guest {
    pub account: Arc<Account>,
    pub host: Arc<dyn GuestHost>,
    pub capabilities: CapabilitySet,
    pub config: Arc<BTreeMap<String, String>>,
    pub limits: Limits,
    /// Calls to the Hub that were made.
    pub hub_calls: u32,
    pub table: ResourceTable,
    memory: MemoryMeter,
    /// Made at the first use: many guests never touch WASI, and seeding its randomness costs more than they do.
    wasi: Option<WasiCtx>,
    /// The workspace that it may open.
    files: Option<Files>,
    /// The workspace that it has opened.
    pub session: Option<Arc<Session>>,
    io: Handle,
}

/// An agent's workspace and what its activation may do there.
pub struct Files {
    workspaces: Arc<Workspaces>,
    agent: AgentId,
    terms: Terms,
}

impl Files {
    /// None where nothing is granted, or this host has no workspaces.
    pub fn granted(
        workspaces: Option<Arc<Workspaces>>,
        agent: &AgentId,
        capabilities: &CapabilitySet,
        limits: &Limits,
        wipe: bool,
    ) -> Option<Files> {
        Some(Files {
            terms: Terms::new(capabilities, limits, wipe)?,
            workspaces: workspaces?,
            agent: agent.clone(),
        })
    }
}

impl Guest {
    pub fn new(
        account: Arc<Account>,
        host: Arc<dyn GuestHost>,
        capabilities: CapabilitySet,
        config: Arc<BTreeMap<String, String>>,
        limits: Limits,
        files: Option<Files>,
        io: Handle,
    ) -> Guest {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        Guest {
            account,
            host,
            capabilities,
            config,
            hub_calls: 0,
            table,
            memory: MemoryMeter::new(&limits, pool::TABLES),
            limits,
            wasi: None,
            files,
            session: None,
            io,
        }
    }

    /// Ask the host something that may take time. The outer error ends the activation, the inner one is for the guest.
    pub async fn ask<T: Send + 'static>(
        &mut self,
        question: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> Result<Result<T, Refusal>> {
        let waiting = self.account.meter.waits_upstream();
        let answer = AbortOnDropHandle::new(self.io.spawn(question)).await;
        drop(waiting);
        match answer {
            Ok(Err(Refusal::ClaimLost(words))) => Err(Error::new(Stop::ClaimLost(words))),
            Ok(answer) => {
                if let Err(Refusal::Upstream(_)) = &answer {
                    self.account.meter.note_upstream_failure();
                }
                Ok(answer)
            }
            Err(error) => Err(Error::new(Stop::Host(format!("a host call failed: {error}")))),
        }
    }
}

impl Guest {
    /// The workspace, opened at the first call; none without a grant.
    pub async fn workspace(&mut self) -> Result<Option<Arc<Session>>> {
        if let Some(Files {
            workspaces,
            agent,
            terms,
        }) = self.files.take()
        {
            let (io, account) = (self.io.clone(), Arc::clone(&self.account));
            let opening = self
                .io
                .spawn_blocking(move || workspaces.open(&agent, terms, io, account));
            let opened = opening
                .await
                .unwrap_or_else(|error| Err(format!("opening the workspace failed: {error}")));
            self.session = Some(Arc::new(opened.map_err(|words| Error::new(Stop::Host(words)))?));
        }
        Ok(self.session.clone())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.account.memory.store(self.memory.memory(), Relaxed);
        if let Some(session) = self.session.take() {
            // Closing files may wait for the disk.
            let held = mem::replace(&mut self.table, ResourceTable::new());
            let leaving = self.io.spawn_blocking(move || {
                drop(held);
                session.end();
            });
            *self.account.leaving.lock().unwrap_or_else(PoisonError::into_inner) = Some(leaving);
        }
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let Guest {
            wasi, account, limits, ..
        } = self;
        WasiCtxView {
            ctx: wasi.get_or_insert_with(|| inert_wasi(account, limits)),
            table: &mut self.table,
        }
    }
}

/// WASI without anything behind it: no files, no environment, no arguments, no network, an empty stdin.
fn inert_wasi(account: &Arc<Account>, limits: &Limits) -> WasiCtx {
    let stream = |level, name| Stream {
        account: Arc::clone(account),
        level,
        name,
    };
    WasiCtx::builder()
        .stdout(stream(LogLevel::Info, "stdout"))
        .stderr(stream(LogLevel::Warn, "stderr"))
        .max_random_size(limits.copy)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .build()
}

/// Put the limits of a guest into force in its store.
pub fn limit(store: &mut Store<Guest>) {
    store.limiter(|guest| &mut guest.memory);
    store.set_max_component_handles(MAX_HANDLES);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|store| {
        let guest = store.data();
        if guest.account.meter.cpu_so_far() > guest.limits.cpu {
            return Err(Error::new(Stop::Cpu(guest.limits.cpu)));
        }
        Ok(UpdateDeadline::Yield(1))
    });
    store.call_hook(allow_copying);
}

/// What may be copied out of the guest depends on who takes it: a host function up to `copy`, the host as the result up
/// to `outcome`. wasmtime reads the allowance where either begins, and takes the bytes of texts and what a list takes in
/// the host from it: 24 bytes for each text of a list.
fn allow_copying(mut store: StoreContextMut<'_, Guest>, hook: CallHook) -> Result<()> {
    let limits = &store.data().limits;
    let allowance = match hook {
        CallHook::CallingHost => limits.copy,
        CallHook::ReturningFromWasm => limits.outcome,
        CallHook::CallingWasm | CallHook::ReturningFromHost => return Ok(()),
    };
    store.set_hostcall_fuel(usize::try_from(allowance).unwrap_or(usize::MAX));
    Ok(())
}
