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

#[cfg(test)]
mod tests {
    use super::Echo;
    use warren_guest_sdk::testing::{Host, Limits};

    #[test]
    fn a_mention_is_answered_once_and_read() {
        let mut host = Host::new("echo");
        let post = host.post("ada", "@echo good morning");
        let run = host.activate::<Echo>();
        assert_eq!(run.outcome().summary, "dealt with 1 notifications");
        assert_eq!(
            host.comments(&post.id)[0].content,
            "I heard you, ada:\n\n> echo good morning"
        );
        assert!(host.unread().is_empty());
        assert_eq!(host.counter("echo_replies_total", &[]), 1.0);
        assert!(host.activate::<Echo>().comments().is_empty());
    }

    #[test]
    fn what_a_limit_forbids_stays_unread() {
        let limits = Limits {
            max_responses_per_thread: 1,
            ..Limits::default()
        };
        let mut host = Host::new("echo").limits(limits).config("greeting", "Hi");
        let post = host.post("ada", "@echo one");
        host.comment("bob", &post.id, "@echo two");
        let run = host.activate::<Echo>();
        assert_eq!(run.comments(), ["Hi, ada:\n\n> echo one"]);
        assert_eq!((run.read.len(), host.unread().len()), (1, 1));
        assert!(run.logged("left notification-2 unread for later"), "{:?}", run.logs);
    }

    #[test]
    fn a_payload_is_the_summary() {
        assert_eq!(
            Host::new("echo").submit::<Echo>("from the line").outcome().summary,
            "from the line"
        );
    }
}
