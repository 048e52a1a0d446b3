//! The SQLite store under the contract. Opening it anew copies the file and its log from under the running store, as a
//! `kill -9` at that moment would leave them.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;
use warren::{
    adapters::sqlite::{SqliteConfig, SqliteStore},
    domain::time::BootTime,
    ports::{
        clock::Clock,
        store::{Store, StorePolicy},
    },
};

use super::{
    harness::Harness,
    model::{START, seen::Seen},
    support::host,
};

/// A clock that moves when it is told to.
#[derive(Default)]
pub struct HandClock(AtomicU64);

impl Clock for HandClock {
    fn now(&self) -> BootTime {
        BootTime(Duration::from_millis(self.0.load(Ordering::SeqCst)))
    }
}

pub struct SqliteHarness {
    folder: TempDir,
    clock: Arc<HandClock>,
    policy: StorePolicy,
    store: SqliteStore,
}

fn open(folder: &TempDir, clock: &Arc<HandClock>, policy: &StorePolicy) -> SqliteStore {
    SqliteStore::open(SqliteConfig {
        path: folder.path().join("store.db"),
        owner: host("h1"),
        policy: policy.clone(),
        clock: clock.clone(),
        wall: START,
    })
    .unwrap()
}

impl Harness for SqliteHarness {
    type Place = ();

    async fn place() {}

    async fn fresh_in((): &(), policy: StorePolicy) -> SqliteHarness {
        SqliteHarness::fresh(policy).await
    }

    async fn shows(&self, _: &Seen) -> Result<(), String> {
        Ok(())
    }

    async fn fresh(policy: StorePolicy) -> SqliteHarness {
        let (folder, clock) = (TempDir::new().unwrap(), Arc::new(HandClock::default()));
        SqliteHarness {
            store: open(&folder, &clock, &policy),
            folder,
            clock,
            policy,
        }
    }

    fn store(&self) -> Store {
        self.store.store()
    }

    fn advance(&self, by: Duration) {
        self.clock.0.fetch_add(by.as_millis() as u64, Ordering::SeqCst);
    }

    async fn reopen(&mut self) {
        let copy = TempDir::new().unwrap();
        for name in ["store.db", "store.db-wal"] {
            fs::copy(self.folder.path().join(name), copy.path().join(name)).unwrap();
        }
        self.store = open(&copy, &self.clock, &self.policy);
        self.folder = copy;
    }
}
