//! Items that this host could not run and left to others, and their way back once it can.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    task,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::Runner;
use crate::{
    domain::{
        ids::{AgentId, AgentName, ItemId},
        work_item::WorkItem,
    },
    ports::store::StoreError,
};

/// How long this host leaves the items of an agent that it can't run to others.
pub const LEAVE_TO_OTHERS: Duration = Duration::from_secs(30);

/// How often the store is asked to make items ready: the end of their delay does it as well, only later.
const TRIES: u32 = 3;
/// Between two of these.
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// The agents whose items this host leaves to others for now.
#[derive(Default)]
pub struct LeftToOthers {
    agents: Mutex<HashMap<AgentId, Left>>,
    /// Rung when items of such agents are ready for this host.
    pub(super) regained: Notify,
}

struct Left {
    name: AgentName,
    until: Instant,
    /// Those that were handed back: few, as no more are claimed.
    items: Vec<ItemId>,
}

impl LeftToOthers {
    fn agents(&self) -> MutexGuard<'_, HashMap<AgentId, Left>> {
        self.agents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claim nothing of the item's agent for a while.
    pub(super) fn avoid(&self, item: &WorkItem, handed_back: Option<ItemId>) {
        let mut agents = self.agents();
        let left = agents.entry(item.agent_id.clone()).or_insert_with(|| Left {
            name: item.agent_name.clone(),
            until: Instant::now(),
            items: Vec::new(),
        });
        left.until = left.until.max(Instant::now() + LEAVE_TO_OTHERS);
        left.items.extend(handed_back);
    }

    pub(super) fn avoided(&self) -> Vec<AgentId> {
        let mut agents = self.agents();
        let now = Instant::now();
        agents.retain(|_, left| left.until > now);
        agents.keys().cloned().collect()
    }

    fn names(&self) -> Vec<(AgentId, AgentName)> {
        let agents = self.agents();
        agents
            .iter()
            .map(|(id, left)| (id.clone(), left.name.clone()))
            .collect()
    }

    /// Claim these agents' items again; those that were handed back.
    fn take_back(&self, able: &[AgentId]) -> Vec<ItemId> {
        let mut agents = self.agents();
        let taken = able.iter().filter_map(|agent| agents.remove(agent));
        taken.flat_map(|left| left.items).collect()
    }
}

impl Runner {
    /// After each reload, have the items of those agents back that can be run now. Until `shutdown`.
    pub async fn regain(self: Arc<Self>, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut changes = self.plugins.reloads.changes();
        while let Some(Ok(())) = shutdown.run_until_cancelled(changes.changed()).await {
            // Not cut: what is taken off the list has to be ready.
            self.regain_now().await;
        }
        Ok(())
    }

    async fn regain_now(self: &Arc<Self>) {
        let left = self.left.names();
        if left.is_empty() {
            return;
        }
        let runner = Arc::clone(self);
        // Definitions are files.
        let look = task::spawn_blocking(move || {
            let able = left.into_iter().filter(|(_, name)| runner.set_up(name).is_ok());
            able.map(|(id, _)| id).collect::<Vec<_>>()
        });
        let able = match look.await {
            Ok(able) if able.is_empty() => return,
            Ok(able) => able,
            Err(error) => {
                warn!(%error, "can't look which agents can be run now; their items wait a little longer");
                return;
            }
        };
        let items = self.left.take_back(&able);
        if !items.is_empty() {
            self.make_ready(&items).await;
        }
        self.left.regained.notify_one();
    }

    async fn make_ready(&self, items: &[ItemId]) {
        for tried in 1..=TRIES {
            match self.tell(self.queue.plugin_came(items)).await {
                Ok(ready) => {
                    info!(ready, "items can be run here that were left to others");
                    return;
                }
                Err(error @ StoreError::Unavailable(_)) if tried < TRIES => {
                    debug!(%error, "could not make items ready yet");
                    time::sleep(TRY_AGAIN).await;
                }
                Err(error) => {
                    warn!(%error, "items that can be run here wait for the end of their delay");
                    return;
                }
            }
        }
    }
}
