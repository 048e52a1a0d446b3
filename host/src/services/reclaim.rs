//! Recovers what dead hosts left behind and promotes what has become due. Idempotent and bounded; every host does it.

use std::{sync::Arc, time::Duration};

use tokio::time;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::ports::{telemetry::Telemetry, work_queue::WorkQueue};

/// Rounds in a row without a pause: a sweep is bounded, so a large backlog takes several, but must not hog the store.
const ROUNDS: usize = 20;

pub struct Reclaim {
    pub queue: Arc<dyn WorkQueue>,
    pub telemetry: Arc<dyn Telemetry>,
    pub every: Duration,
}

impl Reclaim {
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut failing = false;
        loop {
            tokio::select! {
                () = time::sleep(self.every) => {}
                () = shutdown.cancelled() => return Ok(()),
            }
            for _ in 0..ROUNDS {
                match self.queue.sweep().await {
                    Ok(swept) => {
                        failing = false;
                        for (item, agent, host) in &swept.recovered {
                            warn!(%item, %agent, lost_by = %host, "recovered an item whose lease had run out");
                        }
                        self.telemetry
                            .recovered(u64::try_from(swept.recovered.len()).unwrap_or(u64::MAX));
                        if swept.promoted + swept.forgotten > 0 {
                            debug!(swept.promoted, swept.forgotten, "swept");
                        }
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
}
