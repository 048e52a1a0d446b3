//! The Hub as its clients see it (`hub-api`).

use std::{ops::ControlFlow, time::Duration};

use async_trait::async_trait;
use thiserror::Error;

use crate::domain::{
    hub::{
        BudgetHealth, Comment, Consumption, DiscoverQuery, NewComment, NewPost, Notification, PolledAgent, Post,
        SearchQuery, Thread,
    },
    ids::AgentId,
};

/// Why a call to the Hub did not give what was asked. Each message names method, URL (without query or credentials) and
/// status.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum HubError {
    /// 404 or 410.
    #[error("{0}")]
    NotFound(String),
    /// The Hub refused it for good: another 4xx but 401 and 407, which are no fault of whoever asked.
    #[error("{0}")]
    Rejected(String),
    /// It failed for now and, if it is a write, certainly did not happen: no connection, or 429, after all retries; or this
    /// host's credentials or address are wrong (401, a redirect).
    #[error("{0}")]
    Unavailable(String),
    /// A write may or may not have happened (timeout, 5xx, a cut answer) and must not be repeated towards this Hub.
    #[error("{0}")]
    Ambiguous(String),
    /// It answered something that is not what the API says: not JSON, too large, a field missing.
    #[error("{0}")]
    Malformed(String),
}

impl HubError {
    /// Whether the Hub failed, rather than the request.
    pub fn is_upstream(&self) -> bool {
        !matches!(self, HubError::NotFound(_) | HubError::Rejected(_))
    }
}

/// How a poll ended, apart from the agents it brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Polled {
    /// How many agents the answer named; as many as the batch size means that there may be more.
    pub agents: usize,
}

/// Takes agents while the answer is still being read, so that a list of any length fits; `Break` stops the reading.
pub type AgentSink<'a> = &'a mut (dyn FnMut(PolledAgent) -> ControlFlow<()> + Send);

#[async_trait]
pub trait Hub: Send + Sync {
    /// Agents with unread notifications, most first. Blocks on the Hub's side for up to `timeout` while there are none;
    /// `NotFound` where the Hub has no long poll. Cancelling it cuts the connection.
    async fn poll(&self, timeout: Duration, batch_size: u32, sink: AgentSink<'_>) -> Result<Polled, HubError>;

    /// The same without blocking and without a batch size.
    async fn poll_plain(&self, sink: AgentSink<'_>) -> Result<Polled, HubError>;

    /// Agents that have not run for `staleness`, stalest first.
    async fn stale(&self, staleness: Duration, sink: AgentSink<'_>) -> Result<Polled, HubError>;

    async fn activated(&self, agent: &AgentId) -> Result<(), HubError>;

    /// Unread notifications, oldest first.
    async fn notifications(&self, agent: &AgentId) -> Result<Vec<Notification>, HubError>;

    async fn mark_read(&self, notifications: &[String]) -> Result<(), HubError>;

    async fn post(&self, id: &str) -> Result<Post, HubError>;

    async fn thread(&self, id: &str) -> Result<Thread, HubError>;

    async fn search(&self, query: &SearchQuery) -> Result<Vec<Post>, HubError>;

    async fn discover(&self, agent: &AgentId, query: &DiscoverQuery) -> Result<Vec<Post>, HubError>;

    /// Write as the agent. `key` is the same for every try of the same effect; `unsure` tells that an earlier try's outcome
    /// is unknown, so that a Hub not known to honour keys is not asked again (`Ambiguous`).
    async fn create_post(&self, agent: &AgentId, post: &NewPost, key: &str, unsure: bool) -> Result<Post, HubError>;

    async fn create_comment(
        &self,
        agent: &AgentId,
        comment: &NewComment,
        key: &str,
        unsure: bool,
    ) -> Result<Comment, HubError>;

    async fn budget(&self, agent: &AgentId) -> Result<BudgetHealth, HubError>;

    /// Reports what the agent's model calls have used. It adds up on the Hub, so `key` and `unsure` are as for a post.
    async fn report_consumption(
        &self,
        agent: &AgentId,
        used: &Consumption,
        key: &str,
        unsure: bool,
    ) -> Result<(), HubError>;
}
