//! What a leader leaves to its successor, as text in the store.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tracing::{info, warn};

use crate::ports::{
    leadership::{Inherited, Leadership},
    store::StoreError,
    work_queue::Fence,
};

/// The leader's notes. Fields that a neighbouring version adds are ignored, missing ones have their defaults, so that
/// hosts of two versions can succeed each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeaderState {
    /// When the last staleness sweep ended, in milliseconds of the store's time; 0 if there was none.
    pub last_staleness_sweep: i64,
}

/// The leader's notes, shared by the leader-only tasks.
pub struct LeaderNotes {
    leadership: Arc<dyn Leadership>,
    state: Mutex<LeaderState>,
}

impl LeaderNotes {
    pub fn new(leadership: Arc<dyn Leadership>) -> LeaderNotes {
        LeaderNotes {
            leadership,
            state: Mutex::default(),
        }
    }

    /// Take over from the predecessor, and say what was found.
    pub async fn inherit(&self) -> Result<LeaderState, StoreError> {
        let state = match self.leadership.load_state().await? {
            Inherited::Nothing => {
                info!("no leader state to inherit; starting anew");
                LeaderState::default()
            }
            Inherited::State { term, body } => match serde_json::from_str::<LeaderState>(&body) {
                Ok(state) => {
                    info!(%term, last_staleness_sweep = state.last_staleness_sweep, "inherited the leader state");
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
        *self.state.lock().await = state.clone();
        Ok(state)
    }

    pub async fn swept(&self, fence: &Fence, at: i64) -> Result<(), StoreError> {
        let mut state = self.state.lock().await;
        state.last_staleness_sweep = at;
        let body = serde_json::to_string(&*state).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        self.leadership.save_state(fence, &body).await
    }
}
