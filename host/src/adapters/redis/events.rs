//! The event stream: a Redis stream whose ids are our numbers.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use tokio::time::Instant;

use super::{
    RedisStore,
    signals::{Signal, told},
};
use crate::{
    domain::{
        event::{Event, NewEvent},
        ids::{AgentId, HostName, ItemId},
        time::UnixMillis,
    },
    ports::{events::Events, store::StoreError},
};

/// Whoever waits for events looks that often, should a signal get lost.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// An entry: its id, and its fields with their values.
type Entry = (String, HashMap<String, String>);

fn event((id, mut fields): Entry) -> Option<Event> {
    let mut text = |field: &str| fields.remove(field).unwrap_or_default();
    Some(Event {
        seq: id.split_once('-')?.0.parse().ok()?,
        at: UnixMillis(text("at").parse().ok()?),
        kind: text("kind"),
        host: HostName::new(text("host")).ok(),
        agent: AgentId::new(text("agent")).ok(),
        item: ItemId::parse(&text("item")).ok(),
        detail: text("detail"),
    })
}

impl RedisStore {
    async fn events_after(&self, seq: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
        let Some(first) = seq.checked_add(1) else {
            return Ok(Vec::new());
        };
        let mut command = redis::cmd("XRANGE");
        command
            .arg(self.calls.keys.of("events"))
            .arg(first)
            .arg("+")
            .arg("COUNT")
            .arg(limit);
        let entries: Vec<Entry> = self.calls.command(&command).await?;
        // An entry that somebody else has added is none of ours.
        Ok(entries.into_iter().filter_map(event).collect())
    }
}

#[async_trait]
impl Events for RedisStore {
    async fn append(&self, event: NewEvent) -> Result<(), StoreError> {
        let call = self.calls.script(&self.calls.scripts.event_append);
        call.arg(event.kind)
            .arg(event.agent.as_ref().map_or("", AgentId::as_str))
            .arg(event.item.map(|item| item.to_string()).unwrap_or_default())
            .arg(event.host.as_ref().map_or("", HostName::as_str))
            .arg(event.detail)
            .run()
            .await?;
        Ok(())
    }

    async fn after(&self, seq: u64, limit: u32, at_most: Duration) -> Result<Vec<Event>, StoreError> {
        let deadline = Instant::now() + at_most;
        if at_most.is_zero() {
            return self.events_after(seq, limit).await;
        }
        // Listen first, look second.
        let mut signals = self.signals.listen().await;
        loop {
            let events = self.events_after(seq, limit).await?;
            let left = deadline.saturating_duration_since(Instant::now());
            if !events.is_empty() || left.is_zero() {
                return Ok(events);
            }
            told(&mut signals, left.min(LOOK_AGAIN), |signal| signal == Signal::Event).await;
        }
    }

    async fn latest(&self) -> Result<u64, StoreError> {
        // The newest that was ever given, also when none is kept any more.
        let mut command = redis::cmd("HGET");
        command.arg(self.calls.keys.of("data")).arg("ce");
        Ok(self.calls.command::<Option<u64>>(&command).await?.unwrap_or(0))
    }
}
