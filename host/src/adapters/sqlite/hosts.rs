//! The registry of hosts. One host owns the file; what stands beside it here are its own earlier starts.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::{
    SqliteStore,
    rows::{int, millis, unavailable},
    worker::Step,
};
use crate::{
    domain::{ids::HolderId, time::UnixMillis},
    ports::{
        hosts::{ForeignRunners, Hosts, MOST_HOSTS, Presence, REMEMBERED, SeenHost},
        store::StoreError,
    },
};

/// Whoever is in the registry is dead: the file has one owner, who has not beaten yet.
pub(super) fn silence_all(step: &mut Step<'_>) -> Result<(), StoreError> {
    step.run("UPDATE hosts SET ttl = 0", [])?;
    Ok(())
}

fn beat(step: &mut Step<'_>, holder: &str, body: &str, ttl: Duration) -> Result<(), StoreError> {
    step.run(
        "INSERT INTO hosts (holder, at, ttl, body) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (holder) DO UPDATE SET at = ?2, ttl = ?3, body = ?4 WHERE has_left = 0",
        params![holder, step.now.0, millis(ttl), body],
    )?;
    step.run(
        "DELETE FROM hosts WHERE holder <> ?1 AND (at < ?2 \
         OR holder NOT IN (SELECT holder FROM hosts ORDER BY at DESC LIMIT ?3))",
        params![
            holder,
            step.now.0.saturating_sub(millis(REMEMBERED)),
            int(MOST_HOSTS as u64)
        ],
    )?;
    Ok(())
}

fn list(db: &Connection, now: UnixMillis) -> rusqlite::Result<Vec<SeenHost>> {
    let mut statement =
        db.prepare_cached("SELECT holder, at, ttl, body, has_left FROM hosts WHERE at >= ?1 ORDER BY holder LIMIT ?2")?;
    let oldest = now.0.saturating_sub(millis(REMEMBERED));
    let rows = statement.query_map(params![oldest, int(MOST_HOSTS as u64)], |row| {
        let ago = now.since(UnixMillis(row.get("at")?));
        let alive = millis(ago) < row.get("ttl")?;
        Ok(SeenHost {
            holder: row.get("holder")?,
            presence: match row.get("has_left")? {
                true => Presence::Left,
                false if alive => Presence::Beating,
                false => Presence::Silent,
            },
            ago,
            body: row.get("body")?,
        })
    })?;
    rows.collect()
}

#[async_trait]
impl Hosts for SqliteStore {
    async fn beat(&self, host: &HolderId, body: &str, ttl: Duration) -> Result<(), StoreError> {
        let (holder, body) = (host.to_string(), body.to_owned());
        self.workers.write(move |step| beat(step, &holder, &body, ttl)).await
    }

    async fn leave(&self, host: &HolderId) -> Result<(), StoreError> {
        let holder = host.to_string();
        self.workers
            .write(move |step| {
                step.run(
                    "UPDATE hosts SET at = ?2, has_left = 1 WHERE holder = ?1 AND has_left = 0",
                    params![holder, step.now.0],
                )?;
                Ok(())
            })
            .await
    }

    async fn list(&self) -> Result<Vec<SeenHost>, StoreError> {
        self.workers.read(|db, now| list(db, now).map_err(unavailable)).await
    }

    /// Nobody else uses the file.
    async fn foreign_runners(&self, _: &str) -> Result<ForeignRunners, StoreError> {
        Ok(ForeignRunners::default())
    }
}
