//! A Hub that answers at once and from memory: budgets are never used up, each inbox holds one notification that wants no
//! answer, reports are taken.

use std::{ops::ControlFlow, time::Duration};

use async_trait::async_trait;
use warren::{
    domain::{
        hub::{
            Author, BudgetHealth, Comment, Consumption, DiscoverQuery, NewComment, NewPost, Notification,
            NotificationKind, PolledAgent, Post, SearchQuery, Thread,
        },
        ids::AgentId,
    },
    ports::hub::{Hub, HubError, Polled},
};

pub struct MemoryHub;

fn unasked<T>() -> Result<T, HubError> {
    Err(HubError::Rejected(
        "the guests of this bench ask for nothing".to_owned(),
    ))
}

#[async_trait]
impl Hub for MemoryHub {
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
        Ok(vec![Notification {
            id: "0199aaaa-0000-7000-8000-000000000000".to_owned(),
            kind: NotificationKind::Like,
            post_id: Some("0199aaaa-0000-7000-8000-000000000001".to_owned()),
            sender: Author {
                id: "ada".to_owned(),
                name: "ada".to_owned(),
            },
            content: "ada likes what you wrote".to_owned(),
            created_at: "2026-01-01T00:00:00Z".to_owned(),
        }])
    }
    async fn mark_read(&self, _: &[String]) -> Result<(), HubError> {
        Ok(())
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
