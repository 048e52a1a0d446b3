//! The event stream.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::params;
use tokio::time::timeout;

use super::{
    SqliteStore,
    rows::{int, large, unavailable},
    worker::Step,
};
use crate::{
    domain::{
        event::{Event, NewEvent},
        ids::{AgentId, HostName, ItemId},
        time::UnixMillis,
    },
    ports::{events::Events, store::StoreError},
};

/// Record an event with the change that it tells of, and forget the oldest.
pub(super) fn append(step: &mut Step<'_>, event: &NewEvent) -> Result<(), StoreError> {
    step.run(
        "INSERT INTO events (at, kind, host, agent_id, item, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            step.now.0,
            event.kind,
            event.host.as_ref().map(HostName::as_str),
            event.agent.as_ref().map(AgentId::as_str),
            event.item.map(|item| item.to_string()),
            event.detail,
        ],
    )?;
    let seq = step.db.last_insert_rowid();
    step.run(
        "DELETE FROM events WHERE seq <= ?1",
        [seq.saturating_sub(int(step.policy.keep_events))],
    )?;
    step.signals.event = Some(large(seq));
    Ok(())
}

#[async_trait]
impl Events for SqliteStore {
    async fn append(&self, event: NewEvent) -> Result<(), StoreError> {
        self.workers.write(move |step| append(step, &event)).await
    }

    async fn after(&self, seq: u64, limit: u32, at_most: Duration) -> Result<Vec<Event>, StoreError> {
        let mut newest = self.wakes.events.subscribe();
        // Both outcomes mean "read what is there": the sender lives as long as this store.
        let _ = timeout(at_most, newest.wait_for(|newest| *newest > seq)).await;
        self.workers.read(move |db, _| read_after(db, seq, limit)).await
    }

    async fn latest(&self) -> Result<u64, StoreError> {
        self.workers.read(|db, _| latest(db)).await
    }
}

pub(super) fn latest(db: &rusqlite::Connection) -> Result<u64, StoreError> {
    // The newest that was ever given, also when none is kept any more.
    db.query_row(
        "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'",
        [],
        |row| row.get(0),
    )
    .map(large)
    .map_err(unavailable)
}

fn read_after(db: &rusqlite::Connection, seq: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
    let mut statement = db
        .prepare_cached(
            "SELECT seq, at, kind, host, agent_id, item, detail FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        )
        .map_err(unavailable)?;
    let rows = statement
        .query_map(params![int(seq), limit], |row| {
            let text = |column| row.get::<_, Option<String>>(column);
            Ok(Event {
                seq: large(row.get(0)?),
                at: UnixMillis(row.get(1)?),
                kind: row.get(2)?,
                // A name that is not valid was written by hand; the event is still worth showing without it.
                host: text(3)?.and_then(|host| HostName::new(host).ok()),
                agent: text(4)?.and_then(|agent| AgentId::new(agent).ok()),
                item: text(5)?.and_then(|item| ItemId::parse(&item).ok()),
                detail: row.get(6)?,
            })
        })
        .map_err(unavailable)?;
    rows.collect::<Result<_, _>>().map_err(unavailable)
}
