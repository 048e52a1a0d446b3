//! The embedded store: one file, one owner, nothing to install.
//!
//! Every change is a job of one writing thread, which runs what has gathered in one transaction and answers after its
//! commit (`worker`). What the jobs do is in one file per concern: `enqueue`, `claim`, `finish` and `sweep` for the queue
//! (port in `queue`), `places` for an item's moves between states, `agents` for the breaker's and the operator's word. The
//! file outlives `kill -9` and power loss: what was answered is on the disk.

mod agent_state;
mod agents;
mod claim;
mod effects;
mod enqueue;
mod events;
mod finish;
mod hosts;
mod leadership;
mod list;
mod open;
mod places;
mod plugins;
mod queue;
mod records;
mod rows;
mod signals;
mod sweep;
#[cfg(test)]
mod tests;
mod time;
mod worker;

use std::{path::PathBuf, sync::Arc};

use leadership::Candidates;
pub use open::OpenError;
use open::{OpenFile, Ownership};
use signals::Wakes;
use time::StoreTime;
use worker::{Start, Workers};

use crate::{
    domain::{ids::HostName, time::UnixMillis},
    ports::{
        clock::Clock,
        store::{Store, StoreError, StorePolicy},
    },
};

/// What a store is opened with.
pub struct SqliteConfig {
    /// The file; `-wal`, `-shm` and `.lock` files stand beside it.
    pub path: PathBuf,
    /// Who opens it: named to whoever tries to open it as well.
    pub owner: HostName,
    pub policy: StorePolicy,
    /// What moves the store's time on.
    pub clock: Arc<dyn Clock>,
    /// The wall clock's time now.
    pub wall: UnixMillis,
}

/// An open store. It implements every port of [`Store`]; clones share it, and the last one that is dropped closes it.
#[derive(Clone)]
pub struct SqliteStore {
    workers: Workers,
    wakes: Arc<Wakes>,
    candidates: Candidates,
    incarnation: String,
    description: String,
    file: Arc<OpenFile>,
    max_queue: u64,
}

impl SqliteStore {
    /// Open or create the store and take its ownership. Blocks on the disk for a moment.
    pub fn open(config: SqliteConfig) -> Result<SqliteStore, OpenError> {
        let SqliteConfig {
            path,
            owner,
            policy,
            clock,
            wall,
        } = config;
        let ownership = Ownership::take(&path, &owner)?;
        let opened = open::open(&path, wall)?;
        let file = Arc::new(OpenFile::at(&path)?);
        let wakes = Arc::new(Wakes::new(opened.last_event));
        let max_queue = policy.max_queue;
        let start = Start {
            writer: opened.writer,
            reader: opened.reader,
            time: Arc::new(StoreTime::start(clock, wall, opened.seen)),
            policy,
            wakes: wakes.clone(),
        };
        let workers = worker::start(start, move || ownership.give_up()).map_err(|error| OpenError::Unusable {
            file: path.clone(),
            reason: format!("its threads can't be started: {error}"),
        })?;
        Ok(SqliteStore {
            workers,
            wakes,
            candidates: Candidates::default(),
            incarnation: opened.incarnation,
            description: format!("SQLite file {}", path.display()),
            file,
            max_queue,
        })
    }

    /// For people: what and where it is.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The store as its ports.
    pub fn store(&self) -> Store {
        let store = Arc::new(self.clone());
        Store {
            queue: store.clone(),
            leadership: store.clone(),
            effects: store.clone(),
            agent_state: store.clone(),
            agents: store.clone(),
            plugins: store.clone(),
            events: store.clone(),
            hosts: store,
        }
    }

    /// End the claims and the leadership that a dead owner left, whatever name it had: whoever owns the file is alone with
    /// it, so nobody alive can hold either. How many items are ready again.
    pub async fn take_over(&self) -> Result<u64, StoreError> {
        self.workers
            .write(|step| {
                leadership::vacate(step)?;
                hosts::silence_all(step)?;
                finish::release_all(step)
            })
            .await
    }

    /// Resolves when the store has ended, with why: after the last handle is gone or [`SqliteStore::close`], or because a
    /// thread of it panicked: calls that need that thread are answered `Unavailable`, and the process should end.
    /// The future keeps no handle.
    pub fn ended(&self) -> impl Future<Output = String> + Send + 'static {
        self.workers.ended()
    }

    /// Do what was asked so far, then close the file and give up its ownership. Later calls are answered `Unavailable`.
    pub async fn close(&self) {
        self.workers.close().await;
    }
}
