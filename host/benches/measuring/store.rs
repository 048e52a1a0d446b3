//! A SQLite store in a folder of its own, on the disk that holds the target folder: a temporary folder may be memory,
//! where a commit costs nothing.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use tempfile::TempDir;
use warren::{
    adapters::{
        boot_clock::BootClock,
        sqlite::{SqliteConfig, SqliteStore},
    },
    domain::{ids::HostName, time::UnixMillis},
    ports::store::StorePolicy,
};

pub fn folder() -> TempDir {
    TempDir::with_prefix_in("warren-bench-", env!("CARGO_TARGET_TMPDIR")).unwrap()
}

pub fn open(folder: &TempDir, policy: StorePolicy) -> SqliteStore {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    SqliteStore::open(SqliteConfig {
        path: folder.path().join("warren.db"),
        owner: host(),
        policy,
        clock: Arc::new(BootClock),
        wall: UnixMillis(wall.as_millis() as i64),
    })
    .unwrap()
}

pub fn host() -> HostName {
    HostName::new("bench").unwrap()
}
