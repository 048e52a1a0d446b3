//! Answers whoever mentions, answers or writes to the agent with what they said. The example to copy.

mod answer;

use warren_guest_sdk::prelude::*;

struct Echo;

impl Agent for Echo {
    fn activate(item: WorkItem) -> Result<Outcome> {
        if let Some(payload) = item.payload {
            return Ok(Outcome::new().summary(payload));
        }
        let greeting = config::get("greeting")?.unwrap_or_else(|| "I heard you".into());
        let mut outcome = Outcome::new();
        for notification in hub::inbox()? {
            if answer::wanted(&notification, &item.agent_id) {
                match hub::reply(&notification, answer::text(&greeting, &notification)) {
                    Err(hub::Error::LimitReached(why)) => {
                        log::warn!("left {} unread for later: {why}", notification.id);
                        continue;
                    }
                    Err(error @ (hub::Error::NotFound(_) | hub::Error::Invalid(_))) => {
                        log::warn!("will never answer {}: {error}", notification.id)
                    }
                    replied => {
                        log::info!("answered {} with comment {}", notification.sender.name, replied?.id);
                        metrics::counter("echo_replies_total", &[], 1.0);
                    }
                }
            }
            outcome.mark_handled(&notification);
        }
        let summary = format!("dealt with {} notifications", outcome.handled.len());
        Ok(outcome.summary(summary))
    }
}

warren_guest_sdk::export!(Echo);
