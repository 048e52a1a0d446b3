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
        effects::{EffectIntent, EffectStart, Effects},
        guest::{GuestHost, LogLevel, Measurement, Refusal},
        hub::{Hub, HubError},
        store::StoreError,
        telemetry::Telemetry,
    },
};

mod written;

use written::{Recorded, idempotency_key};

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
        self.claim.check().map_err(|lost| Refusal::ClaimLost(lost.to_string()))
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

/// One effect, from the intent to the record of its result.
struct Effect {
    services: GuestServices,
    claim: Arc<HeldClaim>,
    intent: EffectIntent,
    /// This activation has tried it before and does not know what came of it.
    tried: bool,
}

/// How trying an effect ended.
enum Tried {
    /// Now, or in an earlier activation.
    Happened,
    DidNotHappen,
    Unknown,
}

impl Effect {
    /// Do it unless it has been done. `write` gets the idempotency key and whether an earlier try's outcome is unknown.
    async fn once<T, W>(self, write: impl FnOnce(String, bool) -> W) -> (Tried, Result<T, Refusal>)
    where
        T: Recorded,
        W: Future<Output = Result<T, HubError>>,
    {
        let Effect {
            services,
            claim,
            intent,
            tried,
        } = self;
        let unsure = match services.effects.begin(&intent).await {
            Ok(EffectStart::Fresh) => tried,
            Ok(EffectStart::Unknown) => true,
            Ok(EffectStart::Done { result }) => {
                debug!(effect = %intent.key, "already done; answering with the first result");
                return (Tried::Happened, T::from_record(&result).map_err(Refusal::Upstream));
            }
            Ok(EffectStart::LimitReached { limit }) => return (Tried::DidNotHappen, Err(Refusal::LimitReached(limit))),
            Err(error) => return (Tried::DidNotHappen, Err(refused(error))),
        };
        if let Err(lost) = claim.check() {
            return (Tried::DidNotHappen, Err(Refusal::ClaimLost(lost.to_string())));
        }
        let honoured = known_honoured(&services, unsure).await;
        let (tried, answer) = match write(idempotency_key(&intent.key), unsure).await {
            Ok(done) => {
                record(&services, &intent.key, &done.to_record()).await;
                (Tried::Happened, Ok(done))
            }
            Err(error) => {
                // Only what certainly did not happen is forgotten; an earlier try of unknown outcome stays unknown.
                let unknown = unsure || matches!(error, HubError::Ambiguous(_) | HubError::Malformed(_));
                if !unknown {
                    abandon(&services, &intent).await;
                }
                let tried = if unknown { Tried::Unknown } else { Tried::DidNotHappen };
                (tried, Err(hub_refusal(error)))
            }
        };
        note_keys(&services, honoured).await;
        (tried, answer)
    }
}

/// Whether the Hub is known to honour keys. Before an effect of unknown outcome the store is asked, too: this process may
/// never have written to the Hub, but others have.
async fn known_honoured(services: &GuestServices, unsure: bool) -> bool {
    let known = services.hub.honours_keys();
    if known || !unsure {
        return known;
    }
    match services.effects.keys_honoured(services.hub.address()).await {
        Ok(noted) => {
            if noted {
                services.hub.believe_honours_keys();
            }
            noted
        }
        Err(error) => {
            warn!(%error, "could not find out whether the Hub honours idempotency keys");
            false
        }
    }
}

/// Tell the others if an answer has just shown whether the Hub honours keys.
async fn note_keys(services: &GuestServices, before: bool) {
    let honoured = services.hub.honours_keys();
    if honoured != before
        && let Err(error) = services.effects.note_keys(services.hub.address(), honoured).await
    {
        warn!(%error, "could not note whether the Hub honours idempotency keys");
    }
}

/// How often the record of an effect that happened is tried: without it the effect counts as unknown.
const RECORD_TRIES: u32 = 3;

async fn record(services: &GuestServices, key: &EffectKey, result: &str) {
    for attempt in 1..=RECORD_TRIES {
        match services.effects.finish(key, result).await {
            Ok(()) => return,
            Err(error) if attempt == RECORD_TRIES => {
                warn!(effect = %key, %error, "could not record an effect that happened; a repeat will ask the Hub again");
            }
            Err(error) => debug!(effect = %key, %error, attempt, "could not record an effect yet"),
        }
    }
}

async fn abandon(services: &GuestServices, intent: &EffectIntent) {
    if let Err(error) = services.effects.abandon(intent).await {
        warn!(effect = %intent.key, %error, "could not forget an effect that did not happen; it stays counted");
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

/// Refuse what the limits leave no room for at all, before anything is recorded.
fn check_content(content: &str) -> Result<(), Refusal> {
    if content.trim().is_empty() {
        return Err(Refusal::Invalid("the text is empty".to_owned()));
    }
    Ok(())
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
        check_content(&post.content)?;
        let (hub, agent) = (Arc::clone(&self.services.hub), self.agent.clone());
        self.see_through(EffectKind::Post, "", about.as_deref(), move |key, unsure| async move {
            hub.create_post(&agent, &post, &key, unsure).await
        })
        .await
    }

    async fn create_comment(&self, comment: NewComment, about: Option<String>) -> Result<Comment, Refusal> {
        check_content(&comment.content)?;
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
