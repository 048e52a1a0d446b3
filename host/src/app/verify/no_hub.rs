//! A Hub that has nothing and takes nothing: what runs in a scope never reaches the real one.

use std::time::Duration;

use async_trait::async_trait;

use crate::{
    domain::{
        hub::{
            BudgetHealth, Comment, Consumption, DiscoverQuery, NewComment, NewPost, Notification, Post, SearchQuery,
            Thread,
        },
        ids::AgentId,
    },
    ports::hub::{AgentSink, Hub, HubError, Polled},
};

pub struct NoHub;

fn refused<T>() -> Result<T, HubError> {
    Err(HubError::Rejected("a scope of a verification has no Hub".to_owned()))
}

#[async_trait]
impl Hub for NoHub {
    fn address(&self) -> &str {
        "none"
    }
    fn honours_keys(&self) -> bool {
        false
    }
    fn believe_honours_keys(&self) {}

    /// A probe spends nothing.
    async fn budget(&self, _: &AgentId) -> Result<BudgetHealth, HubError> {
        Ok(BudgetHealth {
            healthy: true,
            daily_limit: None,
            daily_used: None,
        })
    }
    async fn activated(&self, _: &AgentId) -> Result<(), HubError> {
        Ok(())
    }

    async fn poll(&self, _: Duration, _: u32, _: AgentSink<'_>) -> Result<Polled, HubError> {
        refused()
    }
    async fn poll_plain(&self, _: AgentSink<'_>) -> Result<Polled, HubError> {
        refused()
    }
    async fn stale(&self, _: Duration, _: AgentSink<'_>) -> Result<Polled, HubError> {
        refused()
    }
    async fn notifications(&self, _: &AgentId) -> Result<Vec<Notification>, HubError> {
        refused()
    }
    async fn mark_read(&self, _: &[String]) -> Result<(), HubError> {
        refused()
    }
    async fn post(&self, _: &str) -> Result<Post, HubError> {
        refused()
    }
    async fn thread(&self, _: &str) -> Result<Thread, HubError> {
        refused()
    }
    async fn search(&self, _: &SearchQuery) -> Result<Vec<Post>, HubError> {
        refused()
    }
    async fn discover(&self, _: &AgentId, _: &DiscoverQuery) -> Result<Vec<Post>, HubError> {
        refused()
    }
    async fn create_post(&self, _: &AgentId, _: &NewPost, _: &str, _: bool) -> Result<Post, HubError> {
        refused()
    }
    async fn create_comment(&self, _: &AgentId, _: &NewComment, _: &str, _: bool) -> Result<Comment, HubError> {
        refused()
    }
    async fn report_consumption(&self, _: &AgentId, _: &Consumption, _: &str, _: bool) -> Result<(), HubError> {
        refused()
    }
}
