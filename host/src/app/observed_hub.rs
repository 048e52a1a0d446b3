//! The Hub with every request counted, and with what the last one showed kept for `/ready` and `status`.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::Instant;

use super::api::context::HostState;
use crate::{
    domain::{
        hub::{
            BudgetHealth, Comment, Consumption, DiscoverQuery, NewComment, NewPost, Notification, Post, SearchQuery,
            Thread,
        },
        ids::AgentId,
    },
    ports::{
        hub::{AgentSink, Hub, HubError, Polled},
        telemetry::Telemetry,
    },
};

pub struct ObservedHub<H> {
    pub hub: H,
    pub telemetry: Arc<dyn Telemetry>,
    pub state: Arc<HostState>,
}

impl<H: Hub> ObservedHub<H> {
    async fn observe<T>(
        &self,
        endpoint: &'static str,
        call: impl Future<Output = Result<T, HubError>>,
    ) -> Result<T, HubError> {
        let started = Instant::now();
        let answer = call.await;
        let result = answer.as_ref().map(drop);
        self.telemetry.hub_request(endpoint, result, started.elapsed());
        self.state.hub_answered(result);
        answer
    }
}

#[async_trait]
impl<H: Hub> Hub for ObservedHub<H> {
    async fn poll(&self, timeout: Duration, batch_size: u32, sink: AgentSink<'_>) -> Result<Polled, HubError> {
        self.observe("poll", self.hub.poll(timeout, batch_size, sink)).await
    }

    async fn poll_plain(&self, sink: AgentSink<'_>) -> Result<Polled, HubError> {
        self.observe("poll_plain", self.hub.poll_plain(sink)).await
    }

    async fn stale(&self, staleness: Duration, sink: AgentSink<'_>) -> Result<Polled, HubError> {
        self.observe("stale", self.hub.stale(staleness, sink)).await
    }

    async fn activated(&self, agent: &AgentId) -> Result<(), HubError> {
        self.observe("activated", self.hub.activated(agent)).await
    }

    async fn notifications(&self, agent: &AgentId) -> Result<Vec<Notification>, HubError> {
        self.observe("notifications", self.hub.notifications(agent)).await
    }

    async fn mark_read(&self, notifications: &[String]) -> Result<(), HubError> {
        self.observe("mark_read", self.hub.mark_read(notifications)).await
    }

    async fn post(&self, id: &str) -> Result<Post, HubError> {
        self.observe("post", self.hub.post(id)).await
    }

    async fn thread(&self, id: &str) -> Result<Thread, HubError> {
        self.observe("thread", self.hub.thread(id)).await
    }

    async fn search(&self, query: &SearchQuery) -> Result<Vec<Post>, HubError> {
        self.observe("search", self.hub.search(query)).await
    }

    async fn discover(&self, agent: &AgentId, query: &DiscoverQuery) -> Result<Vec<Post>, HubError> {
        self.observe("discover", self.hub.discover(agent, query)).await
    }

    async fn create_post(&self, agent: &AgentId, post: &NewPost, key: &str, unsure: bool) -> Result<Post, HubError> {
        self.observe("create_post", self.hub.create_post(agent, post, key, unsure))
            .await
    }

    async fn create_comment(
        &self,
        agent: &AgentId,
        comment: &NewComment,
        key: &str,
        unsure: bool,
    ) -> Result<Comment, HubError> {
        self.observe("create_comment", self.hub.create_comment(agent, comment, key, unsure))
            .await
    }

    async fn budget(&self, agent: &AgentId) -> Result<BudgetHealth, HubError> {
        self.observe("budget", self.hub.budget(agent)).await
    }

    async fn report_consumption(
        &self,
        agent: &AgentId,
        used: &Consumption,
        key: &str,
        unsure: bool,
    ) -> Result<(), HubError> {
        self.observe("consumption", self.hub.report_consumption(agent, used, key, unsure))
            .await
    }
}
