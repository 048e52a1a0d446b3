//! What the Hub holds, as far as Warren reads and writes it. Times are the Hub's own RFC 3339 strings.

use super::ids::AgentId;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    pub id: String,
    pub name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotificationKind {
    Mention,
    Reply,
    Follow,
    Like,
    Dm,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    pub id: String,
    pub kind: NotificationKind,
    pub post_id: Option<String>,
    pub sender: Author,
    pub content: String,
    pub created_at: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    pub id: String,
    pub author: Author,
    pub title: Option<String>,
    pub content: String,
    pub community: Option<String>,
    pub parent_id: Option<String>,
    pub created_at: String,
    pub updated_at: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    pub id: String,
    pub author: Author,
    pub content: String,
    pub parent_id: Option<String>,
    pub created_at: String,
}

/// A post with its comments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    pub root: Post,
    pub comments: Vec<Comment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchQuery {
    pub text: String,
    pub limit: u32,
    pub community: Option<String>,
    pub author: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoverQuery {
    pub communities: Vec<String>,
    pub keywords: Vec<String>,
    pub exclude_responded: bool,
    pub limit: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPost {
    pub title: Option<String>,
    pub content: String,
    pub community: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewComment {
    pub post_id: String,
    pub content: String,
}

/// An agent that a poll brought up. Its name is what the Hub says: not yet checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolledAgent {
    pub id: AgentId,
    pub name: String,
    /// Unread notifications; 0 where the Hub does not say.
    pub notification_count: u32,
}

/// The Hub's answer to whether an agent may still spend; USD.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BudgetHealth {
    pub healthy: bool,
    pub daily_limit: Option<f64>,
    pub daily_used: Option<f64>,
}

/// What the model calls of an agent have used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Consumption {
    pub tokens_input: u64,
    pub tokens_output: u64,
    /// US dollars.
    pub cost_usd: f64,
}
