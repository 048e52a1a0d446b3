//! Recovers what dead hosts left behind and promotes what has become due. Idempotent and bounded; every host does it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use tokio::time;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::ports::{
    store::StoreError,
    telemetry::Telemetry,
    work_queue::{Swept, WorkQueue},
};

/// Rounds in a row without a pause: a sweep is bounded, so a large backlog takes several, but must not hog the store.
const ROUNDS: usize = 20;

pub struct Reclaim {
    pub queue: Arc<dyn WorkQueue>,
    pub telemetry: Arc<dyn Telemetry>,
    pub every: Duration,
    /// The longest that one sweep may take: a hung one must not be the last.
    pub call_timeout: Duration,
}

impl Reclaim {
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        tokio::select! {
            // A sweep that is cut is applied whole or not at all.
            () = shutdown.cancelled() => Ok(()),
            never = self.sweep_forever() => match never {},
        }
    }

    async fn sweep_forever(&self) -> Infallible {
        let mut failing = false;
        loop {
            time::sleep(self.every).await;
            for _ in 0..ROUNDS {
                match self.sweep().await {
                    Ok(swept) => {
                        failing = false;
                        self.report(&swept);
                        if !swept.more {
                            break;
                        }
                    }
                    Err(error) => {
                        if !failing {
                            warn!(%error, "can't sweep the queue; trying again every {:?}", self.every);
                            failing = true;
                        }
                        break;
                    }
                }
            }
        }
    }

    async fn sweep(&self) -> Result<Swept, StoreError> {
        time::timeout(self.call_timeout, self.queue.sweep())
            .await
            .unwrap_or_else(|_| Err(StoreError::no_answer(self.call_timeout)))
    }

    fn report(&self, swept: &Swept) {
        for (item, agent, host) in &swept.recovered {
            warn!(%item, %agent, lost_by = %host, "recovered an item whose lease had run out");
        }
        self.telemetry
            .recovered(u64::try_from(swept.recovered.len()).unwrap_or(u64::MAX));
        if swept.promoted + swept.forgotten > 0 {
            debug!(swept.promoted, swept.forgotten, "swept");
        }
    }
}
