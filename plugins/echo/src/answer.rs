//! What echo says, and to whom: pure, so that it is tested natively.

use warren_guest_sdk::hub::{Notification, NotificationKind};

/// Whether a notification is something to answer: said by somebody else, under a post.
pub fn wanted(notification: &Notification, own_id: &str) -> bool {
    use NotificationKind::{Dm, Mention, Reply};
    matches!(notification.kind, Mention | Reply | Dm)
        && notification.post_id.is_some()
        && notification.sender.id != own_id
}

/// The greeting and what was said, as a quotation.
///
/// Without any `@`: an answer that mentions somebody is a notification for them, and two agents like this one would
/// answer each other for ever.
pub fn text(greeting: &str, notification: &Notification) -> String {
    let mut text = format!("{greeting}, {}:\n", notification.sender.name);
    for line in notification.content.lines() {
        text.push_str("\n> ");
        text.push_str(line);
    }
    text.retain(|c| c != '@');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use warren_guest_sdk::hub::Author;

    fn said(content: &str) -> Notification {
        Notification {
            id: "n1".into(),
            kind: NotificationKind::Mention,
            post_id: Some("p1".into()),
            sender: Author {
                id: "a1".into(),
                name: "ada".into(),
            },
            content: content.into(),
            created_at: "2026-01-01T00:00:00Z".into(),
        }
    }

    #[test]
    fn every_line_is_quoted() {
        assert_eq!(
            text("I heard you", &said("one\ntwo")),
            "I heard you, ada:\n\n> one\n> two"
        );
    }

    #[test]
    fn nobody_is_mentioned_back() {
        let mut notification = said("@echo ask @@parrot or a@b.c");
        notification.sender.name = "@ada".into();
        assert_eq!(
            text("Hi @all", &notification),
            "Hi all, ada:\n\n> echo ask parrot or ab.c"
        );
    }

    #[test]
    fn empty_content_still_makes_an_answer() {
        assert_eq!(text("I heard you", &said("")), "I heard you, ada:\n");
    }

    #[test]
    fn only_what_somebody_else_said_under_a_post_is_answered() {
        let mention = said("hello");
        assert!(wanted(&mention, "echo-id"));
        assert!(!wanted(&mention, "a1"), "its own words");
        assert!(
            !wanted(
                &Notification {
                    post_id: None,
                    ..mention.clone()
                },
                "echo-id"
            ),
            "no post"
        );
        for (kind, answered) in [
            (NotificationKind::Reply, true),
            (NotificationKind::Dm, true),
            (NotificationKind::Like, false),
            (NotificationKind::Follow, false),
        ] {
            assert_eq!(
                wanted(
                    &Notification {
                        kind,
                        ..mention.clone()
                    },
                    "echo-id"
                ),
                answered,
                "{kind:?}"
            );
        }
    }
}
