//! The store's clock: the wall clock when the store was opened, advanced by a clock that neither steps nor stops. So a
//! clock step while Warren runs moves no lease, and a step back between two runs makes no time run twice.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use rusqlite::Connection;

use super::rows::unavailable;
use crate::{
    domain::time::{BootTime, UnixMillis},
    ports::{clock::Clock, store::StoreError},
};

pub(super) struct StoreTime {
    clock: Arc<dyn Clock>,
    opened_at: UnixMillis,
    opened_boot: BootTime,
    /// The latest time that was told: what is told later is not earlier, whatever the clock does.
    latest: AtomicI64,
}

impl StoreTime {
    /// A clock that starts at `wall`, or at the latest time that the store has seen if that is later.
    pub fn start(clock: Arc<dyn Clock>, wall: UnixMillis, seen: UnixMillis) -> StoreTime {
        let opened_at = wall.max(seen);
        StoreTime {
            opened_boot: clock.now(),
            clock,
            opened_at,
            latest: AtomicI64::new(opened_at.0),
        }
    }

    pub fn now(&self) -> UnixMillis {
        let now = self.opened_at + self.clock.now().since(self.opened_boot);
        UnixMillis(self.latest.fetch_max(now.0, Ordering::Relaxed).max(now.0))
    }
}

/// Keep `now` in the file, with the changes that were made at it.
pub(super) fn remember(db: &Connection, now: UnixMillis) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE meta SET value = CAST(?1 AS TEXT) WHERE key = 'last_seen' AND CAST(value AS INTEGER) < ?1",
    )
    .and_then(|mut statement| statement.execute([now.0]))
    .map(|_| ())
    .map_err(unavailable)
}
