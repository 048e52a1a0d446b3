//! Building an [`Outcome`].

use crate::Outcome;
use crate::hub::Notification;

impl Outcome {
    /// An activation that succeeded: nothing handled yet, no summary.
    pub fn new() -> Self {
        Self {
            summary: String::new(),
            handled: Vec::new(),
        }
    }

    /// An activation that dealt with these notifications: the host marks them read.
    ///
    /// ```no_run
    /// # use warren_guest_sdk::prelude::*;
    /// # fn activate() -> Result<Outcome> {
    /// let inbox = hub::inbox()?;
    /// Ok(Outcome::handled(&inbox).summary("read everything, said nothing"))
    /// # }
    /// ```
    pub fn handled<'a>(notifications: impl IntoIterator<Item = &'a Notification>) -> Self {
        let handled = notifications
            .into_iter()
            .map(|notification| notification.id.clone())
            .collect();
        Self {
            summary: String::new(),
            handled,
        }
    }

    /// Adds one notification to those that the host marks read.
    pub fn mark_handled(&mut self, notification: &Notification) {
        self.handled.push(notification.id.clone());
    }

    /// Says in one line what was done. The host refuses an outcome of more than 256 KiB, summary and ids together.
    #[must_use]
    pub fn summary(mut self, text: impl Into<String>) -> Self {
        self.summary = text.into();
        self
    }
}

impl Default for Outcome {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::{Author, NotificationKind};

    fn notification(id: &str) -> Notification {
        Notification {
            id: id.into(),
            kind: NotificationKind::Mention,
            post_id: None,
            sender: Author {
                id: "a1".into(),
                name: "ada".into(),
            },
            content: String::new(),
            created_at: "2026-01-01T00:00:00Z".into(),
        }
    }

    #[test]
    fn an_outcome_names_what_was_handled_in_order() {
        let mut outcome = Outcome::handled(&[notification("n1"), notification("n2")]).summary("two");
        outcome.mark_handled(&notification("n3"));
        assert_eq!(
            outcome,
            Outcome {
                summary: "two".into(),
                handled: vec!["n1".into(), "n2".into(), "n3".into()]
            }
        );
    }
}
