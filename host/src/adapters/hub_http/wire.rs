//! The shapes of the Hub's JSON, and how they become what the domain knows. Unknown fields are ignored; what may be absent
//! may also be null.

use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected},
};

use crate::domain::hub::{self, BudgetHealth, NotificationKind, Thread};

/// A list that may be absent or null: both mean that it is empty.
fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// A time of the Hub, kept as it was written and known to be one.
pub(super) struct Time {
    text: String,
    at: Timestamp,
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Time, D::Error> {
        let text = String::deserialize(from)?;
        match text.parse() {
            Ok(at) => Ok(Time { text, at }),
            Err(_) => Err(D::Error::invalid_value(
                Unexpected::Str(&text),
                &"a time of RFC 3339 with `Z` or an offset",
            )),
        }
    }
}

#[derive(Deserialize)]
struct Author {
    id: String,
    name: String,
}

impl From<Author> for hub::Author {
    fn from(Author { id, name }: Author) -> hub::Author {
        hub::Author { id, name }
    }
}

#[derive(Deserialize)]
pub(super) struct Post {
    id: String,
    author: Author,
    title: Option<String>,
    content: String,
    community: Option<String>,
    parent_id: Option<String>,
    created_at: Time,
    updated_at: Option<Time>,
}

impl From<Post> for hub::Post {
    fn from(post: Post) -> hub::Post {
        hub::Post {
            id: post.id,
            author: post.author.into(),
            title: post.title,
            content: post.content,
            community: post.community,
            parent_id: post.parent_id,
            created_at: post.created_at.text,
            updated_at: post.updated_at.map(|time| time.text),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Comment {
    id: String,
    author: Author,
    content: String,
    parent_id: Option<String>,
    created_at: Time,
}

impl From<Comment> for hub::Comment {
    fn from(comment: Comment) -> hub::Comment {
        hub::Comment {
            id: comment.id,
            author: comment.author.into(),
            content: comment.content,
            parent_id: comment.parent_id,
            created_at: comment.created_at.text,
        }
    }
}

/// A post with its comments. Not a flattened [`Post`]: flattening would lose where in the answer an error is.
#[derive(Deserialize)]
pub(super) struct PostWithComments {
    id: String,
    author: Author,
    title: Option<String>,
    content: String,
    community: Option<String>,
    parent_id: Option<String>,
    created_at: Time,
    updated_at: Option<Time>,
    #[serde(default, deserialize_with = "list")]
    comments: Vec<Comment>,
}

impl From<PostWithComments> for Thread {
    fn from(thread: PostWithComments) -> Thread {
        let root = Post {
            id: thread.id,
            author: thread.author,
            title: thread.title,
            content: thread.content,
            community: thread.community,
            parent_id: thread.parent_id,
            created_at: thread.created_at,
            updated_at: thread.updated_at,
        };
        Thread {
            root: root.into(),
            comments: thread.comments.into_iter().map(Into::into).collect(),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Results {
    #[serde(default, deserialize_with = "list")]
    pub(super) results: Vec<Post>,
}

#[derive(Deserialize)]
pub(super) struct Posts {
    #[serde(default, deserialize_with = "list")]
    pub(super) posts: Vec<Post>,
}

#[derive(Deserialize)]
struct Notification {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    post_id: Option<String>,
    from_agent: Author,
    content: Option<String>,
    created_at: Time,
    read: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct Notifications {
    #[serde(default, deserialize_with = "list")]
    notifications: Vec<Notification>,
}

impl Notifications {
    /// The unread ones, oldest first; and the types that this host does not know, whose notifications are left out so that
    /// one of them does not hide the others.
    pub(super) fn unread(self) -> (Vec<hub::Notification>, Vec<String>) {
        let mut unknown = Vec::new();
        let mut known: Vec<(Timestamp, hub::Notification)> = Vec::new();
        for notification in self.notifications {
            if notification.read == Some(true) {
                continue;
            }
            let Some(kind) = kind(&notification.kind) else {
                unknown.push(notification.kind);
                continue;
            };
            let entry = hub::Notification {
                id: notification.id,
                kind,
                post_id: notification.post_id,
                sender: notification.from_agent.into(),
                content: notification.content.unwrap_or_default(),
                created_at: notification.created_at.text,
            };
            known.push((notification.created_at.at, entry));
        }
        known.sort_by_key(|(at, _)| *at);
        (known.into_iter().map(|(_, entry)| entry).collect(), unknown)
    }
}

fn kind(name: &str) -> Option<NotificationKind> {
    Some(match name {
        "mention" => NotificationKind::Mention,
        "reply" => NotificationKind::Reply,
        "follow" => NotificationKind::Follow,
        "like" => NotificationKind::Like,
        "dm" => NotificationKind::Dm,
        _ => return None,
    })
}

#[derive(Deserialize)]
pub(super) struct Budget {
    healthy: Option<bool>,
    daily_limit: Option<f64>,
    daily_used: Option<f64>,
}

impl From<Budget> for BudgetHealth {
    fn from(budget: Budget) -> BudgetHealth {
        BudgetHealth {
            healthy: budget.healthy.unwrap_or(true),
            daily_limit: budget.daily_limit,
            daily_used: budget.daily_used,
        }
    }
}
