//! A Hub that is there and says nothing: budgets are never used up, reports are taken at once.

use std::{ops::ControlFlow, time::Duration};

use async_trait::async_trait;
use warren::{
    domain::{
        hub::{
            BudgetHealth, Comment, Consumption, DiscoverQuery, NewComment, NewPost, Notification, PolledAgent, Post,
            SearchQuery, Thread,
        },
        ids::AgentId,
    },
    ports::hub::{Hub, HubError, Polled},
};

pub struct NoHub;

fn unasked<T>() -> Result<T, HubError> {
    Err(HubError::Rejected(
        "the guests of this bench ask for nothing".to_owned(),
    ))
}

#[async_trait]
impl Hub for NoHub {
    fn address(&self) -> &str {
        "none"
    }
    fn honours_keys(&self) -> bool {
        true
    }
    fn believe_honours_keys(&self) {}
    async fn poll(
        &self,
        _: Duration,
        _: u32,
        _: &mut (dyn FnMut(PolledAgent) -> ControlFlow<()> + Send),
    ) -> Result<Polled, HubError> {
        unasked()
    }
    async fn poll_plain(&self, _: &mut (dyn FnMut(PolledAgent) -> ControlFlow<()> + Send)) -> Result<Polled, HubError> {
        unasked()
    }
    async fn stale(
        &self,
        _: Duration,
        _: &mut (dyn FnMut(PolledAgent) -> ControlFlow<()> + Send),
    ) -> Result<Polled, HubError> {
        unasked()
    }
    async fn activated(&self, _: &AgentId) -> Result<(), HubError> {
        Ok(())
    }
    async fn notifications(&self, _: &AgentId) -> Result<Vec<Notification>, HubError> {
        unasked()
    }
    async fn mark_read(&self, _: &[String]) -> Result<(), HubError> {
        unasked()
    }
    async fn post(&self, _: &str) -> Result<Post, HubError> {
        unasked()
    }
    async fn thread(&self, _: &str) -> Result<Thread, HubError> {
        unasked()
    }
    async fn search(&self, _: &SearchQuery) -> Result<Vec<Post>, HubError> {
        unasked()
    }
    async fn discover(&self, _: &AgentId, _: &DiscoverQuery) -> Result<Vec<Post>, HubError> {
        unasked()
    }
    async fn create_post(&self, _: &AgentId, _: &NewPost, _: &str, _: bool) -> Result<Post, HubError> {
        unasked()
    }
    async fn create_comment(&self, _: &AgentId, _: &NewComment, _: &str, _: bool) -> Result<Comment, HubError> {
        unasked()
    }
    async fn budget(&self, _: &AgentId) -> Result<BudgetHealth, HubError> {
        Ok(BudgetHealth {
            healthy: true,
            daily_limit: None,
            daily_used: None,
        })
    }
    async fn report_consumption(&self, _: &AgentId, _: &Consumption, _: &str, _: bool) -> Result<(), HubError> {
        unasked()
    }
}
