//! Notices that a shared store has lost its data: then it is another store, with another incarnation (I7).
//!
//! The promises need no help: leases and claims were lost with the rest, so whoever held them is refused. What is left is to
//! say so, because operators have to know that work was lost, and to have the plugins numbered anew.

use std::{convert::Infallible, sync::Arc, time::Duration};

use tokio::time;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::plugins::Plugins;
use crate::{
    domain::{event::NewEvent, ids::HostName},
    ports::{
        events::Events,
        store::{StoreError, StoreHealth},
        work_queue::WorkQueue,
    },
};

pub struct StoreWatch {
    pub queue: Arc<dyn WorkQueue>,
    pub events: Arc<dyn Events>,
    pub plugins: Arc<Plugins>,
    pub host: HostName,
    pub every: Duration,
    /// The longest that one look may take.
    pub call_timeout: Duration,
}

impl StoreWatch {
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            never = self.watch() => match never {},
        }
    }

    async fn watch(&self) -> Infallible {
        let mut known: Option<String> = None;
        let mut failing = false;
        loop {
            match self.look().await {
                Ok(health) => {
                    if failing {
                        info!(store = health.description, "the store answers again");
                    }
                    failing = false;
                    let before = known.replace(health.incarnation.clone());
                    if let Some(before) = before.filter(|before| *before != health.incarnation) {
                        self.lost(&before, &health.incarnation).await;
                    }
                }
                Err(error) if !failing => {
                    warn!(%error, "the store does not answer; trying again every {:?}", self.every);
                    failing = true;
                }
                Err(error) => debug!(%error, "the store does not answer"),
            }
            time::sleep(self.every).await;
        }
    }

    async fn look(&self) -> Result<StoreHealth, StoreError> {
        time::timeout(self.call_timeout, self.queue.health())
            .await
            .unwrap_or_else(|_| Err(StoreError::no_answer(self.call_timeout)))
    }

    async fn lost(&self, before: &str, now: &str) {
        error!(
            before,
            now, "store_lost_data: the store is not the one that this host knew; what was queued in it is gone"
        );
        let event = NewEvent {
            kind: "store_lost_data",
            host: Some(self.host.clone()),
            agent: None,
            item: None,
            detail: format!("incarnation {before} became {now}"),
        };
        let told = time::timeout(self.call_timeout, self.events.append(event)).await;
        if let Err(error) = told.unwrap_or_else(|_| Err(StoreError::no_answer(self.call_timeout))) {
            warn!(%error, "could not record the event");
        }
        // Numbers of generations were in the store: the next ones must not mean two things.
        if let Err(error) = self.plugins.load_all().await {
            warn!(error = format!("{error:#}"), "could not number the plugins anew");
        }
    }
}
