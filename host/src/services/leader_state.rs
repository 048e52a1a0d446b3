//! What a leader leaves to its successor, as text in the store.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tracing::{info, warn};

use crate::{
    domain::ids::Term,
    ports::{
        leadership::{Inherited, Leadership},
        store::StoreError,
        work_queue::Fence,
    },
};

/// The leader's notes. Fields that a neighbouring version adds are ignored, missing ones have their defaults, so that
/// hosts of two versions can succeed each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeaderState {
    /// When the last staleness sweep ended, in milliseconds of the store's time; 0 if there was none.
    pub last_staleness_sweep: i64,
    /// Runners of the Python system that use this store.
    pub python_runners: BTreeSet<String>,
}

/// The leader's notes, shared by the leader-only tasks.
pub struct LeaderNotes {
    leadership: Arc<dyn Leadership>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// The term whose leader has taken over from its predecessor.
    of: Option<Term>,
    state: LeaderState,
}

impl LeaderNotes {
    pub fn new(leadership: Arc<dyn Leadership>) -> LeaderNotes {
        LeaderNotes {
            leadership,
            kept: Mutex::default(),
        }
    }

    /// The notes in this term. The first call in a term takes over from the predecessor, and says what was found.
    pub async fn inherit(&self, fence: &Fence) -> Result<LeaderState, StoreError> {
        let mut kept = self.kept.lock().await;
        self.take_over(&mut kept, fence).await?;
        Ok(kept.state.clone())
    }

    /// Note something, for this leader's other tasks and for its successor.
    pub async fn change(&self, fence: &Fence, change: impl FnOnce(&mut LeaderState)) -> Result<(), StoreError> {
        let mut kept = self.kept.lock().await;
        self.take_over(&mut kept, fence).await?;
        let mut state = kept.state.clone();
        change(&mut state);
        let body = serde_json::to_string(&state).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        self.leadership.save_state(fence, &body).await?;
        kept.state = state;
        Ok(())
    }

    async fn take_over(&self, kept: &mut Kept, fence: &Fence) -> Result<(), StoreError> {
        if kept.of == Some(fence.term) {
            return Ok(());
        }
        let state = match self.leadership.load_state().await? {
            Inherited::Nothing => {
                info!("no leader state to inherit; starting anew");
                LeaderState::default()
            }
            Inherited::State { term, body } => match serde_json::from_str::<LeaderState>(&body) {
                Ok(state) => {
                    info!(%term, last_staleness_sweep = state.last_staleness_sweep, python_runners = ?state.python_runners,
                          "inherited the leader state");
                    state
                }
                Err(error) => {
                    warn!(%term, %error, "the inherited leader state is not readable; rebuilding it");
                    LeaderState::default()
                }
            },
            Inherited::Damaged { detail } => {
                warn!(detail, "the inherited leader state is damaged; rebuilding it");
                LeaderState::default()
            }
        };
        *kept = Kept {
            of: Some(fence.term),
            state,
        };
        Ok(())
    }
}

/// The leader's notes as anybody may read them; what can't be read is nothing, and the leader's to report.
pub async fn look(leadership: &dyn Leadership) -> Result<LeaderState, StoreError> {
    Ok(match leadership.load_state().await? {
        Inherited::State { body, .. } => serde_json::from_str(&body).unwrap_or_default(),
        Inherited::Nothing | Inherited::Damaged { .. } => LeaderState::default(),
    })
}
