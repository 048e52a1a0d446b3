//! One activation's use of its agent's workspace: what it may do there, how much at a time, and its end.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
};

use super::{
    Slot, Workspace,
    bindings::wasi::filesystem::types::ErrorCode,
    failure::Failure,
    usage::{Over, Quota},
};
use crate::{
    adapters::wasm::guest::Account,
    domain::{
        capability::{Capability, CapabilitySet},
        limits::Limits,
    },
    ports::guest::LogLevel,
};

/// Files, directories and listings that one activation may have open; each is a handle of the host's process.
const MAX_OPEN: usize = 64;
/// Streams that it may have on its files; each may hold 64 KiB.
const MAX_STREAMS: usize = 64;
/// Calls of one activation that may wait for the disk at a time; each takes a thread.
const MAX_CALLS: usize = 2;

/// What an activation may do in its workspace.
pub struct Terms {
    pub writable: bool,
    pub quota: Quota,
    /// Whether nothing is to be there at the beginning and nothing to be left at the end.
    pub wipe: bool,
}

impl Terms {
    /// None without a grant.
    pub fn new(capabilities: &CapabilitySet, limits: &Limits, wipe: bool) -> Option<Terms> {
        let writable = capabilities.contains(Capability::WorkspaceWrite);
        (writable || capabilities.contains(Capability::WorkspaceRead)).then(|| Terms {
            writable,
            quota: Quota {
                bytes: limits.workspace_bytes,
                entries: u64::from(limits.workspace_entries),
            },
            wipe,
        })
    }
}

pub struct Session {
    pub workspace: Arc<Workspace>,
    terms: Terms,
    slot: Arc<Slot>,
    open: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    calls: Arc<Semaphore>,
    pub io: Handle,
    account: Arc<Account>,
    /// The codes that the log was told about: once each.
    told: Mutex<Vec<ErrorCode>>,
    ended: AtomicBool,
}

impl Session {
    pub(super) fn new(
        workspace: Arc<Workspace>,
        slot: Arc<Slot>,
        terms: Terms,
        io: Handle,
        account: Arc<Account>,
    ) -> Session {
        Session {
            workspace,
            terms,
            slot,
            open: Arc::new(Semaphore::new(MAX_OPEN)),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            calls: Arc::new(Semaphore::new(MAX_CALLS)),
            io,
            account,
            told: Mutex::default(),
            ended: AtomicBool::new(false),
        }
    }

    /// Do what may wait for the disk, on a thread that may. If the future is dropped, what has begun goes on by itself.
    pub async fn run<T: Send + 'static>(
        self: &Arc<Session>,
        call: impl FnOnce(&Arc<Session>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let turn = Arc::clone(&self.calls).acquire_owned().await;
        let session = Arc::clone(self);
        let done = self.io.spawn_blocking(move || {
            let _turn = turn;
            session.account.meter.charge(|| call(&session))
        });
        let result = match done.await {
            Ok(result) => result,
            Err(error) => Err(Failure::new(ErrorCode::Io, format!("the host failed: {error}"))),
        };
        result.map_err(|failure| self.told(failure))
    }

    /// Put a failure's words into the agent's log, once for each kind of failure.
    pub fn told(&self, failure: Failure) -> Failure {
        if let Some(words) = &failure.words {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if !told.contains(&failure.code) {
                told.push(failure.code);
                drop(told);
                self.account.log.line(LogLevel::Warn, "workspace", words);
            }
        }
        failure
    }

    pub fn writable(&self) -> bool {
        self.terms.writable
    }

    pub fn quota(&self) -> Quota {
        self.terms.quota
    }

    /// Whether this activation may change anything, still.
    pub fn may_change(&self) -> Result<(), Failure> {
        if self.ended.load(SeqCst) {
            return Err(Failure::new(ErrorCode::NotPermitted, "the activation has ended"));
        }
        if !self.terms.writable {
            let words = "the agent may only read its workspace: it is not granted `workspace:write`";
            return Err(Failure::new(ErrorCode::ReadOnly, words));
        }
        Ok(())
    }

    /// What the guest is told of a change that is over the quota.
    pub fn over(&self, over: Over, bytes: u64, entries: u64) -> Failure {
        let quota = self.terms.quota;
        let words = match over {
            Over::Bytes => format!(
                "a write was refused: the workspace holds {bytes} bytes, and the limit `workspace_bytes` is {}",
                quota.bytes
            ),
            Over::Entries => format!(
                "a new file or directory was refused: the workspace holds {entries}, and the limit `workspace_entries` \
                 is {}",
                quota.entries
            ),
        };
        Failure::new(ErrorCode::Quota, words)
    }

    pub fn permit_to_open(&self) -> Result<OwnedSemaphorePermit, Failure> {
        Arc::clone(&self.open).try_acquire_owned().map_err(|_| {
            let words = format!("more than {MAX_OPEN} files and directories open: close some");
            Failure::new(ErrorCode::Quota, words)
        })
    }

    pub fn permit_to_stream(&self) -> Result<OwnedSemaphorePermit, Failure> {
        Arc::clone(&self.streams).try_acquire_owned().map_err(|_| {
            let words = format!("more than {MAX_STREAMS} streams on files: close some");
            Failure::new(ErrorCode::Quota, words)
        })
    }

    /// End it: nothing can be changed any more, and the workspace is emptied if that was asked for. May wait for the disk.
    pub fn end(&self) {
        // With the accounts held, no change is half done, and none follows.
        let first = {
            let _usage = self.workspace.usage();
            !self.ended.swap(true, SeqCst)
        };
        if first {
            self.slot.leave(&self.workspace, self.terms.wipe);
        }
    }
}

impl Drop for Session {
    /// Where nobody was left to end it: the activation was cut while its workspace was being opened.
    fn drop(&mut self) {
        if !self.ended.load(SeqCst) {
            let (slot, workspace, wipe) = (Arc::clone(&self.slot), Arc::clone(&self.workspace), self.terms.wipe);
            self.io.spawn_blocking(move || slot.leave(&workspace, wipe));
        }
    }
}
