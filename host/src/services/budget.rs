//! Asks the Hub whether an agent may still spend, and remembers the answer for a while.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tracing::warn;

use crate::{
    domain::ids::AgentId,
    ports::{hub::Hub, telemetry::Telemetry},
};

/// Answers that are remembered at most; beyond it the Hub is asked each time.
const MOST_REMEMBERED: usize = 10_000;

pub struct Budget {
    hub: Arc<dyn Hub>,
    telemetry: Arc<dyn Telemetry>,
    keep: Duration,
    answers: Mutex<HashMap<AgentId, (Instant, bool)>>,
}

impl Budget {
    pub fn new(hub: Arc<dyn Hub>, telemetry: Arc<dyn Telemetry>, keep: Duration) -> Budget {
        Budget {
            hub,
            telemetry,
            keep,
            answers: Mutex::default(),
        }
    }

    /// Whether an activation may start. If the Hub does not say, it may: the budget guards spending, not running.
    pub async fn allows(&self, agent: &AgentId) -> bool {
        if let Some(known) = self.known(agent) {
            return known;
        }
        match self.hub.budget(agent).await {
            Ok(health) => {
                let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
                if answers.len() >= MOST_REMEMBERED {
                    answers.retain(|_, (at, _)| at.elapsed() < self.keep);
                }
                if answers.len() < MOST_REMEMBERED {
                    answers.insert(agent.clone(), (Instant::now(), health.healthy));
                }
                health.healthy
            }
            Err(error) => {
                self.telemetry.budget_check_failed();
                warn!(%agent, %error, "the Hub did not answer the budget question; going on without");
                true
            }
        }
    }

    fn known(&self, agent: &AgentId) -> Option<bool> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers
            .get(agent)
            .filter(|(at, _)| at.elapsed() < self.keep)
            .map(|(_, healthy)| *healthy)
    }
}
