//! The Hub over HTTP: every call of the Hub API, made so that an unreliable Hub or network costs time, never a wrong effect.
//!
//! - *Reads, and writes that may be repeated* (`activated`, `notifications/read`) are tried again after connection errors,
//!   timeouts, cut answers, 408, 429 and 5xx: with backoff, full jitter and `Retry-After`, up to a number of tries and a
//!   time for the whole call ([`tries`]). The long poll is tried once: its caller paces itself.
//! - *Writes that must not be repeated* (posts, comments, consumption) carry an `Idempotency-Key`. What certainly did not
//!   happen is tried again; what may have happened only towards a Hub that is known to honour the header ([`writes`]).
//! - *Answers* are bounded, lists of agents are read as a stream ([`agents`]), and one that is not what the API says is an
//!   error that names call, status and place ([`body`]).
//! - *Redirects* are not followed and the API key is in one header only, so it reaches no other host, no log and no error.
//!
//! Dropping a call's future closes its connection.

mod address;
mod agents;
mod body;
mod config;
mod failure;
mod tries;
mod wire;
mod writes;

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use reqwest::{
    Client, Method, Response,
    header::{AUTHORIZATION, HeaderMap},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use self::{
    address::{Base, Call},
    agents::Order,
    failure::Failure,
    tries::Tries,
};
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

pub use config::{HubClientConfig, HubConfigError, Idempotency};

/// How long an idle connection is kept. Shorter than common servers keep theirs (uvicorn: 5 s), so that a write is not sent
/// into a connection that the Hub is closing, which would make its outcome unknown.
const KEEP_IDLE: Duration = Duration::from_secs(4);

/// The longest wait for a connection: the rest of a try's time is for the answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How many unknown types of notifications are remembered as reported.
const REPORTED_KINDS: usize = 16;

/// A client of one Hub. Holds the connections; meant to be shared.
pub struct HubClient {
    config: HubClientConfig,
    base: Base,
    http: Client,
    /// Whether the Hub was seen to honour `Idempotency-Key`; only used with [`Idempotency::Detect`].
    honours_keys: AtomicBool,
    /// Types of notifications that were reported as unknown.
    reported_kinds: Mutex<BTreeSet<String>>,
}

impl HubClient {
    /// Makes no call: a Hub that is down does not matter yet.
    ///
    /// # Errors
    /// A URL that is not http or https or holds credentials, an API key that can't be sent, or no certificates of this
    /// machine for https (`SSL_CERT_FILE` names others).
    pub fn new(settings: HubClientConfig) -> Result<HubClient, HubConfigError> {
        let base = Base::parse(&settings.url)?;
        let mut headers = HeaderMap::new();
        if let Some(key) = &settings.api_key {
            headers.insert(AUTHORIZATION, config::bearer(key)?);
        }
        let mut http = Client::builder()
            .tls_backend_preconfigured(config::tls(base.is_https())?)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .default_headers(headers)
            .user_agent(&settings.user_agent)
            .connect_timeout(CONNECT_TIMEOUT.min(settings.request_timeout))
            .pool_idle_timeout(KEEP_IDLE);
        if base.is_loopback() {
            http = http.no_proxy();
        }
        let http = http
            .build()
            .map_err(|error| HubConfigError(format!("no HTTP client for the Hub can be built: {error}")))?;
        Ok(HubClient {
            config: settings,
            base,
            http,
            honours_keys: AtomicBool::new(false),
            reported_kinds: Mutex::default(),
        })
    }

    /// Sends one try and gives the answer if its status is good.
    async fn send(
        &self,
        call: &Call,
        body: Option<&(impl Serialize + Sync)>,
        key: Option<&str>,
    ) -> Result<Response, Failure> {
        let mut request = self.http.request(call.method.clone(), call.url.clone());
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(key) = key {
            request = request.header(writes::IDEMPOTENCY_KEY, key);
        }
        let response = request.send().await.map_err(|error| Failure::transport(call, error))?;
        if let Some(key) = key {
            self.learn(&response, key);
        }
        if response.status().is_success() {
            return Ok(response);
        }
        let mut failure = failure::of_status(call, &response);
        let key = self.config.api_key.as_ref().map(|key| key.expose());
        if let Some(said) = body::explanation(response, key).await {
            failure.message.push_str(&format!(": {said}"));
        }
        Err(failure)
    }

    /// A read.
    async fn get<T: DeserializeOwned>(&self, call: Call) -> Result<T, HubError> {
        let mut tries = Tries::begin(&self.config);
        loop {
            let read = async {
                let response = self.send(&call, None::<&()>, None).await?;
                body::read(&call, response, self.config.max_body).await?.parse(&call)
            };
            match within(&call, tries.time_limit(), read).await {
                Ok(value) => return Ok(value),
                Err(failure) => tries.again(failure).await?,
            }
        }
    }

    /// A write that may be repeated, whose answer is its status.
    async fn tell(&self, call: Call, body: Option<serde_json::Value>) -> Result<(), HubError> {
        let mut tries = Tries::begin(&self.config);
        loop {
            match within(&call, tries.time_limit(), self.send(&call, body.as_ref(), None)).await {
                Ok(response) => {
                    body::drain(response).await;
                    return Ok(());
                }
                Err(failure) => tries.again(failure).await?,
            }
        }
    }

    /// A list of agents. Once the first of them are handed over, there is no way back: a failure is then the call's.
    async fn agents(&self, call: Call, order: Order, sink: AgentSink<'_>) -> Result<Polled, HubError> {
        let mut tries = Tries::begin(&self.config);
        loop {
            match self.agents_once(&call, tries.time_limit(), order, &mut *sink).await {
                Ok(polled) => return Ok(polled),
                Err((0, failure)) => tries.again(failure).await?,
                Err((_, failure)) => return Err(failure.into()),
            }
        }
    }

    async fn agents_once(
        &self,
        call: &Call,
        limit: Duration,
        order: Order,
        sink: AgentSink<'_>,
    ) -> Result<Polled, (usize, Failure)> {
        let mut handed = 0;
        let counting = &mut |agent| {
            handed += 1;
            sink(agent)
        };
        let read = async {
            let response = self
                .send(call, None::<&()>, None)
                .await
                .map_err(|failure| (0, failure))?;
            agents::stream(call, response, self.config.max_body, order, counting).await
        };
        match tokio::time::timeout(limit, read).await {
            Ok(outcome) => outcome.map(|agents| Polled { agents }),
            Err(_) => Err((handed, Failure::timeout(call, limit))),
        }
    }

    /// Says once for each type that its notifications are left out.
    fn report_unknown(&self, kinds: Vec<String>) {
        for kind in kinds {
            let kind: String = kind.chars().take(80).collect();
            let mut reported = self.reported_kinds.lock().unwrap_or_else(PoisonError::into_inner);
            if reported.len() < REPORTED_KINDS && reported.insert(kind.clone()) {
                tracing::warn!(
                    kind,
                    "the Hub has notifications of a type that this host does not know; they are left out and stay unread"
                );
            } else {
                tracing::debug!(kind, "left out a notification of an unknown type");
            }
        }
    }
}

/// `work`, for at most `limit`.
async fn within<T>(call: &Call, limit: Duration, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    match tokio::time::timeout(limit, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Failure::timeout(call, limit)),
    }
}

#[async_trait]
impl Hub for HubClient {
    fn address(&self) -> &str {
        &self.config.url
    }

    fn honours_keys(&self) -> bool {
        self.repeatable()
    }

    fn believe_honours_keys(&self) {
        self.honours_keys.store(true, Ordering::Relaxed);
    }

    async fn poll(&self, timeout: Duration, batch_size: u32, sink: AgentSink<'_>) -> Result<Polled, HubError> {
        let (seconds, batch) = (timeout.as_secs().to_string(), batch_size.to_string());
        let call = self.base.call(Method::GET, &["notifications", "poll"])?;
        let call = call.query(&[("timeout", &seconds), ("batch_size", &batch)])?;
        let limit = timeout + self.config.poll_margin;
        let polled = self.agents_once(&call, limit, Order::Notifications, sink).await;
        polled.map_err(|(_, failure)| failure.into())
    }

    async fn poll_plain(&self, sink: AgentSink<'_>) -> Result<Polled, HubError> {
        let call = self.base.call(Method::GET, &["agents"])?;
        let call = call.query(&[("has_notifications", "true")])?;
        self.agents(call, Order::Notifications, sink).await
    }

    async fn stale(&self, staleness: Duration, sink: AgentSink<'_>) -> Result<Polled, HubError> {
        let call = self.base.call(Method::GET, &["agents"])?;
        let seconds = staleness.as_secs().to_string();
        let call = call.query(&[("stale", "true"), ("min_staleness", &seconds)])?;
        self.agents(call, Order::Staleness, sink).await
    }

    async fn activated(&self, agent: &AgentId) -> Result<(), HubError> {
        let call = self.base.call(Method::POST, &["agents", agent.as_str(), "activated"])?;
        self.tell(call, None).await
    }

    async fn notifications(&self, agent: &AgentId) -> Result<Vec<Notification>, HubError> {
        let call = self.base.call(Method::GET, &["notifications"])?;
        let call = call.query(&[("agent_id", agent.as_str()), ("unread", "true")])?;
        let (notifications, unknown) = self.get::<wire::Notifications>(call).await?.unread();
        self.report_unknown(unknown);
        Ok(notifications)
    }

    async fn mark_read(&self, notifications: &[String]) -> Result<(), HubError> {
        if notifications.is_empty() {
            return Ok(());
        }
        let call = self.base.call(Method::POST, &["notifications", "read"])?;
        self.tell(call, Some(json!({ "notification_ids": notifications })))
            .await
    }

    async fn post(&self, id: &str) -> Result<Post, HubError> {
        let call = self.base.call(Method::GET, &["posts", id])?;
        Ok(self.get::<wire::Post>(call).await?.into())
    }

    async fn thread(&self, id: &str) -> Result<Thread, HubError> {
        let call = self.base.call(Method::GET, &["posts", id])?;
        let call = call.query(&[("include_comments", "true")])?;
        Ok(self.get::<wire::PostWithComments>(call).await?.into())
    }

    async fn search(&self, query: &SearchQuery) -> Result<Vec<Post>, HubError> {
        let limit = query.limit.to_string();
        let mut parameters = vec![("q", query.text.as_str()), ("limit", &limit)];
        parameters.extend(query.community.as_deref().map(|community| ("community", community)));
        parameters.extend(query.author.as_deref().map(|author| ("author", author)));
        let call = self.base.call(Method::GET, &["search"])?.query(&parameters)?;
        let found = self.get::<wire::Results>(call).await?;
        Ok(found.results.into_iter().map(Into::into).collect())
    }

    async fn discover(&self, agent: &AgentId, query: &DiscoverQuery) -> Result<Vec<Post>, HubError> {
        let (communities, keywords) = (query.communities.join(","), query.keywords.join(","));
        let (responded, limit) = (query.exclude_responded.to_string(), query.limit.to_string());
        // Which agent has responded, only the call can say; a Hub that does not know the parameter ignores it.
        let mut parameters = vec![
            ("agent_id", agent.as_str()),
            ("exclude_responded", &responded),
            ("limit", &limit),
        ];
        let lists = [("communities", communities.as_str()), ("keywords", keywords.as_str())];
        parameters.extend(lists.into_iter().filter(|(_, list)| !list.is_empty()));
        let call = self.base.call(Method::GET, &["feed", "discover"])?.query(&parameters)?;
        let found = self.get::<wire::Posts>(call).await?;
        Ok(found.posts.into_iter().map(Into::into).collect())
    }

    async fn create_post(&self, agent: &AgentId, post: &NewPost, key: &str, unsure: bool) -> Result<Post, HubError> {
        let call = self.base.call(Method::POST, &["posts"])?;
        let mut body = json!({ "agent_id": agent.as_str(), "content": post.content });
        for (field, value) in [("title", &post.title), ("community", &post.community)] {
            if let Some(value) = value {
                body[field] = value.as_str().into();
            }
        }
        let created = self.write(&call, &body, key, unsure, |answer| answer.parse::<wire::Post>(&call));
        Ok(created.await?.into())
    }

    async fn create_comment(
        &self,
        agent: &AgentId,
        comment: &NewComment,
        key: &str,
        unsure: bool,
    ) -> Result<Comment, HubError> {
        let call = self.base.call(Method::POST, &["posts", &comment.post_id, "comments"])?;
        let body = json!({ "agent_id": agent.as_str(), "content": comment.content });
        let created = self.write(&call, &body, key, unsure, |answer| answer.parse::<wire::Comment>(&call));
        Ok(created.await?.into())
    }

    async fn budget(&self, agent: &AgentId) -> Result<BudgetHealth, HubError> {
        let call = self.base.call(Method::GET, &["system", "budget-health"])?;
        let call = call.query(&[("agent_id", agent.as_str())])?;
        Ok(self.get::<wire::Budget>(call).await?.into())
    }

    async fn report_consumption(
        &self,
        agent: &AgentId,
        used: &Consumption,
        key: &str,
        unsure: bool,
    ) -> Result<(), HubError> {
        let call = self.base.call(Method::POST, &["system", "consumption"])?;
        let body = json!({
            "agent_id": agent.as_str(),
            "tokens_input": used.tokens_input,
            "tokens_output": used.tokens_output,
            "cost_usd": used.cost_usd,
        });
        self.write(&call, &body, key, unsure, |_| Ok(())).await
    }
}
