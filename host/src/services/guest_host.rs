//! Answers what one running guest asks of its host: the Hub as that agent, its state, its log, its numbers.
//!
//! Every effect passes here, so here stand the promises about effects: none is started after the claim's local deadline
//! (I12), each happens once however often the activation is repeated, and none goes over the agent's limits. An effect that
//! has been sent is seen through and recorded even if the activation is cut meanwhile.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, trace, warn};

use super::claims::HeldClaim;
use crate::{
    domain::{
        agent::AgentDefinition,
        capability::Capability,
        effect::{EffectKey, EffectKeys, EffectKind},
        hub::{Comment, DiscoverQuery, NewComment, NewPost, Notification, Post, SearchQuery, Thread},
        ids::AgentId,
        limits::Limits,
    },
    ports::{
        agent_state::{AgentState, StateQuota, StateScope, Written},
        effects::{EffectIntent, Effects},
        guest::{GuestHost, LogLevel, Measurement, Refusal},
        hub::{Hub, HubError},
        store::StoreError,
        telemetry::Telemetry,
    },
};

mod effect;
mod written;

use effect::{Effect, Tried};
use written::Recorded;

/// What all activations of this host share.
#[derive(Clone)]
pub struct GuestServices {
    pub hub: Arc<dyn Hub>,
    pub effects: Arc<dyn Effects>,
    pub agent_state: Arc<dyn AgentState>,
    pub telemetry: Arc<dyn Telemetry>,
    /// The host's own runtime.
    pub runtime: Handle,
    /// Effects under way, waited for at shutdown.
    pub under_way: TaskTracker,
}

/// What the runner wants to know of an activation once it is over.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Notifications that were handed to the guest.
    pub handed: HashSet<String>,
    /// The guest read its inbox.
    pub read_inbox: bool,
}

#[derive(Default)]
struct Progress {
    observed: Observed,
    keys: EffectKeys,
    /// Effects that this activation tried with unknown outcome.
    unknown: HashSet<EffectKey>,
}

/// One activation's side of the host.
pub struct ActivationHost {
    services: GuestServices,
    claim: Arc<HeldClaim>,
    agent: AgentId,
    definition: Arc<AgentDefinition>,
    limits: Limits,
    progress: Mutex<Progress>,
}

impl ActivationHost {
    pub fn new(
        services: GuestServices,
        claim: Arc<HeldClaim>,
        agent: AgentId,
        definition: Arc<AgentDefinition>,
        limits: Limits,
    ) -> ActivationHost {
        ActivationHost {
            services,
            claim,
            agent,
            definition,
            limits,
            progress: Mutex::default(),
        }
    }

    pub fn observed(&self) -> Observed {
        self.progress().observed.clone()
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_claim(&self) -> Result<(), Refusal> {
        self.claim
            .check_effect()
            .map_err(|lost| Refusal::ClaimLost(lost.to_string()))
    }

    /// Do an effect in a task of its own: once it is sent, cutting the guest must not keep its result from the record.
    async fn see_through<T, W>(
        &self,
        kind: EffectKind,
        target: &str,
        about: Option<&str>,
        write: impl FnOnce(String, bool) -> W + Send + 'static,
    ) -> Result<T, Refusal>
    where
        T: Recorded,
        W: Future<Output = Result<T, HubError>> + Send + 'static,
    {
        self.check_claim()?;
        let (key, tried) = {
            let progress = self.progress();
            let key = progress.keys.next(&self.agent, self.claim.item, kind, target, about);
            let tried = progress.unknown.contains(&key);
            (key, tried)
        };
        let effect = Effect {
            services: self.services.clone(),
            claim: Arc::clone(&self.claim),
            intent: self.intent(key.clone(), kind, target),
            tried,
        };
        let doing = self
            .services
            .under_way
            .spawn_on(effect.once(write), &self.services.runtime);
        let (tried, answer) = doing.await.unwrap_or_else(|panic| {
            error!(%panic, effect = %key, "an effect failed inside the host");
            (
                Tried::Unknown,
                Err(Refusal::Upstream("the host failed to answer".to_owned())),
            )
        });
        let mut progress = self.progress();
        match tried {
            Tried::Happened => progress.keys.happened(&key),
            Tried::Unknown => drop(progress.unknown.insert(key)),
            Tried::DidNotHappen => {}
        }
        answer
    }

    fn scope(&self) -> StateScope {
        StateScope {
            agent: self.agent.clone(),
            item: self.claim.item,
            token: self.claim.token,
        }
    }

    fn quota(&self) -> StateQuota {
        StateQuota {
            bytes: self.limits.state_bytes,
            keys: self.limits.state_keys,
            value: self.limits.state_value,
        }
    }

    fn intent(&self, key: EffectKey, kind: EffectKind, target: &str) -> EffectIntent {
        EffectIntent {
            key,
            kind,
            item: self.claim.item,
            token: self.claim.token,
            agent: self.agent.clone(),
            thread: (kind == EffectKind::Comment).then(|| target.to_owned()),
            limits: self.definition.behavior,
        }
    }
}

fn hub_refusal(error: HubError) -> Refusal {
    match error {
        HubError::NotFound(message) => Refusal::NotFound(message),
        HubError::Rejected(message) => Refusal::Invalid(message),
        HubError::Unavailable(message) | HubError::Ambiguous(message) | HubError::Malformed(message) => {
            Refusal::Upstream(message)
        }
    }
}

fn refused(error: StoreError) -> Refusal {
    match error {
        StoreError::StaleClaim | StoreError::Fenced { .. } => Refusal::ClaimLost(error.to_string()),
        StoreError::Unavailable(_) | StoreError::Corrupt(_) => Refusal::Upstream(error.to_string()),
    }
}

/// The longest id that a guest may name, in bytes: ids become part of an effect's key, which the store keeps for weeks.
const LONGEST_ID: usize = 1024;

/// Refuse what can't be written at all, before anything is recorded.
fn check_text(content: &str, ids: [Option<&str>; 2]) -> Result<(), Refusal> {
    if content.trim().is_empty() {
        return Err(Refusal::Invalid("the text is empty".to_owned()));
    }
    match ids.into_iter().flatten().map(str::len).find(|len| *len > LONGEST_ID) {
        Some(len) => Err(Refusal::Invalid(format!(
            "an id of {len} bytes is longer than the {LONGEST_ID} that an id can have"
        ))),
        None => Ok(()),
    }
}

#[async_trait]
impl GuestHost for ActivationHost {
    async fn inbox(&self) -> Result<Vec<Notification>, Refusal> {
        let notifications = self
            .services
            .hub
            .notifications(&self.agent)
            .await
            .map_err(hub_refusal)?;
        let mut progress = self.progress();
        progress.observed.read_inbox = true;
        let ids = notifications.iter().map(|notification| notification.id.clone());
        progress.observed.handed.extend(ids);
        Ok(notifications)
    }

    async fn post(&self, id: String) -> Result<Post, Refusal> {
        self.services.hub.post(&id).await.map_err(hub_refusal)
    }

    async fn thread(&self, id: String) -> Result<Thread, Refusal> {
        self.services.hub.thread(&id).await.map_err(hub_refusal)
    }

    async fn search(&self, query: SearchQuery) -> Result<Vec<Post>, Refusal> {
        self.services.hub.search(&query).await.map_err(hub_refusal)
    }

    async fn discover(&self, query: DiscoverQuery) -> Result<Vec<Post>, Refusal> {
        self.services
            .hub
            .discover(&self.agent, &query)
            .await
            .map_err(hub_refusal)
    }

    async fn create_post(&self, post: NewPost, about: Option<String>) -> Result<Post, Refusal> {
        check_text(&post.content, [about.as_deref(), None])?;
        let (hub, agent) = (Arc::clone(&self.services.hub), self.agent.clone());
        self.see_through(EffectKind::Post, "", about.as_deref(), move |key, unsure| async move {
            hub.create_post(&agent, &post, &key, unsure).await
        })
        .await
    }

    async fn create_comment(&self, comment: NewComment, about: Option<String>) -> Result<Comment, Refusal> {
        check_text(&comment.content, [about.as_deref(), Some(&comment.post_id)])?;
        let (hub, agent) = (Arc::clone(&self.services.hub), self.agent.clone());
        let target = comment.post_id.clone();
        self.see_through(
            EffectKind::Comment,
            &target,
            about.as_deref(),
            move |key, unsure| async move { hub.create_comment(&agent, &comment, &key, unsure).await },
        )
        .await
    }

    async fn state_get(&self, key: String) -> Result<Option<Vec<u8>>, Refusal> {
        self.services
            .agent_state
            .get(&self.scope(), &key)
            .await
            .map_err(refused)
    }

    async fn state_set(&self, key: String, value: Vec<u8>) -> Result<(), Refusal> {
        self.check_claim()?;
        let written = self
            .services
            .agent_state
            .set(&self.scope(), &key, &value, &self.quota())
            .await;
        match written.map_err(refused)? {
            Written::Ok => Ok(()),
            Written::OverQuota(limit) => Err(Refusal::LimitReached(limit)),
        }
    }

    async fn state_delete(&self, key: String) -> Result<(), Refusal> {
        self.check_claim()?;
        self.services
            .agent_state
            .delete(&self.scope(), &key)
            .await
            .map_err(refused)
    }

    async fn state_keys(&self, after: Option<String>, limit: u32) -> Result<Vec<String>, Refusal> {
        let keys = self
            .services
            .agent_state
            .keys(&self.scope(), after.as_deref(), limit)
            .await;
        keys.map_err(refused)
    }

    fn log(&self, level: LogLevel, context: &str, message: &str) {
        let (agent, item) = (self.definition.name.as_str(), self.claim.item);
        match level {
            LogLevel::Trace => trace!(target: "guest", agent, %item, context, "{message}"),
            LogLevel::Debug => debug!(target: "guest", agent, %item, context, "{message}"),
            LogLevel::Info => info!(target: "guest", agent, %item, context, "{message}"),
            LogLevel::Warn => warn!(target: "guest", agent, %item, context, "{message}"),
            LogLevel::Error | LogLevel::Critical => error!(target: "guest", agent, %item, context, "{message}"),
        }
    }

    fn measure(&self, measurement: Measurement) {
        self.services
            .telemetry
            .guest_measured(&self.agent, &measurement, &self.limits);
    }

    fn denied(&self, capability: Capability) {
        warn!(agent = %self.definition.name, item = %self.claim.item, %capability, "the guest used what it was not granted");
        self.services.telemetry.call_denied(&self.agent, capability);
    }
}
