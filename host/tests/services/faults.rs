//! The real store with faults on command: calls that hang, fail, or are applied and lose their answer.
//!
//! The store works on threads of its own, of which a paused clock knows nothing: it would run on to the next timer whenever
//! the test's thread has nothing to do. So each call runs as a blocking task, while which tokio holds the clock.

use std::{
    collections::HashMap,
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{runtime::Handle, sync::watch, task};
use warren::{
    domain::{
        breaker::Transition,
        effect::EffectKey,
        event::{Event, NewEvent},
        ids::{AgentId, AgentName, ClaimToken, HolderId, HostName, ItemId, PluginName},
        plugin::Digest,
        time::BootTime,
        work_item::{ItemRecord, Priority, WorkItem},
    },
    ports::{
        agent_records::{AgentRecord, AgentRecords, BreakerCommand, BreakerRecord},
        agent_state::{AgentState, StateQuota, StateScope, Written},
        effects::{EffectIntent, EffectStart, Effects},
        events::Events,
        hosts::{ForeignRunners, Hosts, SeenHost},
        leadership::{Acquired, Bid, Candidate, Inherited, Leader, Leadership},
        plugin_store::PluginStore,
        standing_claim::{Standing, StandingClaim},
        store::{QueueStats, Store, StoreError, StoreHealth},
        work_queue::{
            ClaimRequest, Claimed, Completed, Completion, Enqueued, Fence, GiveBack, ItemFilter, ItemPage, Renewal,
            Requeued, Swept, WorkQueue,
        },
    },
};

#[derive(Clone, Debug)]
pub enum Fault {
    Hang,
    Fail(StoreError),
    /// Applied, but the caller hears of a failure.
    LoseAnswer,
    /// Applied; the answer comes this much later.
    Slow(Duration),
}

pub fn away() -> Fault {
    Fault::Fail(StoreError::Unavailable("on purpose".to_owned()))
}

/// A store whose every call can be made to fail, by its name in the port.
pub struct Faulty {
    store: Store,
    faults: Mutex<HashMap<&'static str, Fault>>,
    calls: Mutex<HashMap<&'static str, usize>>,
    /// As of a store where a claim goes along with what is enqueued: the test sees to that.
    pub standing: Standing,
}

impl Faulty {
    pub fn new(store: Store) -> Faulty {
        Faulty {
            store,
            faults: Mutex::default(),
            calls: Mutex::default(),
            standing: Standing::default(),
        }
    }

    pub fn set(&self, call: &'static str, fault: Fault) {
        self.faults.lock().unwrap().insert(call, fault);
    }

    pub fn heal(&self) {
        self.faults.lock().unwrap().clear();
    }

    /// How often a call was made.
    pub fn calls(&self, call: &'static str) -> usize {
        self.calls.lock().unwrap().get(call).copied().unwrap_or(0)
    }

    async fn pass<T, F>(&self, name: &'static str, call: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        *self.calls.lock().unwrap().entry(name).or_default() += 1;
        let fault = self.faults.lock().unwrap().get(name).cloned();
        let real = || async {
            let runtime = Handle::current();
            task::spawn_blocking(move || runtime.block_on(call)).await.unwrap()
        };
        match fault {
            Some(Fault::Hang) => pending().await,
            Some(Fault::Fail(error)) => Err(error),
            Some(Fault::LoseAnswer) => {
                let _ = real().await;
                Err(StoreError::Unavailable("the answer was lost on purpose".to_owned()))
            }
            Some(Fault::Slow(by)) => {
                let answer = real().await;
                tokio::time::sleep(by).await;
                answer
            }
            None => real().await,
        }
    }
}

/// One call, handed on with copies of its arguments.
macro_rules! hand_on {
    ($self:ident, $port:ident . $call:ident ( $($arg:ident),* )) => {{
        let port = Arc::clone(&$self.store.$port);
        $(let $arg = $arg.to_owned();)*
        $self.pass(stringify!($call), async move { port.$call($(hand_on!(@ref $arg)),*).await }).await
    }};
    (@ref $arg:ident) => { &$arg };
}

#[async_trait]
impl WorkQueue for Faulty {
    async fn health(&self) -> Result<StoreHealth, StoreError> {
        hand_on!(self, queue.health())
    }
    async fn enqueue(&self, fence: Option<&Fence>, items: Vec<WorkItem>) -> Result<Vec<Enqueued>, StoreError> {
        let (queue, fence) = (Arc::clone(&self.store.queue), fence.cloned());
        self.pass("enqueue", async move { queue.enqueue(fence.as_ref(), items).await })
            .await
    }
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, StoreError> {
        hand_on!(self, queue.claim(request))
    }
    async fn renew(&self, renewals: &[Renewal], lease: Duration) -> Result<Vec<bool>, StoreError> {
        let (queue, renewals) = (Arc::clone(&self.store.queue), renewals.to_vec());
        self.pass("renew", async move { queue.renew(&renewals, lease).await })
            .await
    }
    async fn complete(&self, completion: &Completion) -> Result<Completed, StoreError> {
        hand_on!(self, queue.complete(completion))
    }
    async fn give_back(&self, item: ItemId, token: ClaimToken, why: GiveBack) -> Result<(), StoreError> {
        let queue = Arc::clone(&self.store.queue);
        self.pass("give_back", async move { queue.give_back(item, token, why).await })
            .await
    }
    async fn plugin_came(&self, items: &[ItemId]) -> Result<u64, StoreError> {
        hand_on!(self, queue.plugin_came(items))
    }
    async fn sweep(&self) -> Result<Swept, StoreError> {
        hand_on!(self, queue.sweep())
    }
    async fn wait_for_work(&self, at_most: Duration) {
        *self.calls.lock().unwrap().entry("wait_for_work").or_default() += 1;
        if self.faults.lock().unwrap().contains_key("wait_for_work") {
            pending().await
        }
        self.store.queue.wait_for_work(at_most).await;
    }
    fn stand(&self, request: ClaimRequest, departs: Box<dyn Fn() -> Option<BootTime> + Send + Sync>) -> StandingClaim {
        self.standing.stand(request, departs)
    }
    async fn wait_for_end(&self, item: ItemId, at_most: Duration) -> Result<Option<ItemRecord>, StoreError> {
        self.store.queue.wait_for_end(item, at_most).await
    }
    async fn item(&self, id: ItemId) -> Result<Option<ItemRecord>, StoreError> {
        let queue = Arc::clone(&self.store.queue);
        self.pass("item", async move { queue.item(id).await }).await
    }
    async fn page(&self, filter: &ItemFilter) -> Result<ItemPage, StoreError> {
        hand_on!(self, queue.page(filter))
    }
    async fn stats(&self) -> Result<QueueStats, StoreError> {
        hand_on!(self, queue.stats())
    }
    async fn requeue_dead(&self, items: &[ItemId]) -> Result<Vec<Requeued>, StoreError> {
        hand_on!(self, queue.requeue_dead(items))
    }
    async fn purge_dead(&self, items: &[ItemId]) -> Result<u64, StoreError> {
        hand_on!(self, queue.purge_dead(items))
    }
    async fn room(&self) -> Result<Vec<(Priority, u64)>, StoreError> {
        hand_on!(self, queue.room())
    }
}

#[async_trait]
impl Leadership for Faulty {
    async fn acquire(&self, bid: &Bid) -> Result<Acquired, StoreError> {
        hand_on!(self, leadership.acquire(bid))
    }
    async fn renew(&self, fence: &Fence, ttl: Duration) -> Result<(), StoreError> {
        let (leadership, fence) = (Arc::clone(&self.store.leadership), fence.clone());
        self.pass("renew_lease", async move { leadership.renew(&fence, ttl).await })
            .await
    }
    async fn release(&self, fence: &Fence) -> Result<(), StoreError> {
        hand_on!(self, leadership.release(fence))
    }
    async fn leader(&self) -> Result<Option<Leader>, StoreError> {
        hand_on!(self, leadership.leader())
    }
    fn vacancies(&self) -> watch::Receiver<()> {
        let deaf = matches!(self.faults.lock().unwrap().get("vacancies"), Some(Fault::Hang));
        match deaf {
            true => watch::channel(()).1,
            false => self.store.leadership.vacancies(),
        }
    }
    async fn candidates(&self) -> Result<Vec<Candidate>, StoreError> {
        hand_on!(self, leadership.candidates())
    }
    async fn withdraw(&self, holder: &HolderId) -> Result<(), StoreError> {
        hand_on!(self, leadership.withdraw(holder))
    }
    async fn reserve(&self, fence: &Fence, host: &HostName, span: Duration) -> Result<(), StoreError> {
        let (leadership, fence, host) = (Arc::clone(&self.store.leadership), fence.clone(), host.clone());
        self.pass("reserve", async move { leadership.reserve(&fence, &host, span).await })
            .await
    }
    async fn save_state(&self, fence: &Fence, body: &str) -> Result<(), StoreError> {
        hand_on!(self, leadership.save_state(fence, body))
    }
    async fn load_state(&self) -> Result<Inherited, StoreError> {
        hand_on!(self, leadership.load_state())
    }
}

#[async_trait]
impl Effects for Faulty {
    async fn begin(&self, intent: &EffectIntent) -> Result<EffectStart, StoreError> {
        hand_on!(self, effects.begin(intent))
    }
    async fn finish(&self, key: &EffectKey, result: &str) -> Result<(), StoreError> {
        hand_on!(self, effects.finish(key, result))
    }
    async fn abandon(&self, intent: &EffectIntent) -> Result<(), StoreError> {
        hand_on!(self, effects.abandon(intent))
    }
    async fn note_keys(&self, address: &str, honoured: bool) -> Result<(), StoreError> {
        let (effects, address) = (Arc::clone(&self.store.effects), address.to_owned());
        self.pass("note_keys", async move { effects.note_keys(&address, honoured).await })
            .await
    }
    async fn keys_honoured(&self, address: &str) -> Result<bool, StoreError> {
        hand_on!(self, effects.keys_honoured(address))
    }
}

#[async_trait]
impl Events for Faulty {
    async fn append(&self, event: NewEvent) -> Result<(), StoreError> {
        let events = Arc::clone(&self.store.events);
        self.pass("append", async move { events.append(event).await }).await
    }
    async fn after(&self, seq: u64, limit: u32, at_most: Duration) -> Result<Vec<Event>, StoreError> {
        let events = Arc::clone(&self.store.events);
        self.pass("after", async move { events.after(seq, limit, at_most).await })
            .await
    }
    async fn latest(&self) -> Result<u64, StoreError> {
        hand_on!(self, events.latest())
    }
}

#[async_trait]
impl Hosts for Faulty {
    async fn beat(&self, host: &HolderId, body: &str, ttl: Duration) -> Result<(), StoreError> {
        let (hosts, host, body) = (Arc::clone(&self.store.hosts), host.clone(), body.to_owned());
        self.pass("beat", async move { hosts.beat(&host, &body, ttl).await })
            .await
    }
    async fn leave(&self, host: &HolderId) -> Result<(), StoreError> {
        hand_on!(self, hosts.leave(host))
    }
    async fn list(&self) -> Result<Vec<SeenHost>, StoreError> {
        hand_on!(self, hosts.list())
    }
    async fn foreign_runners(&self, from: &str) -> Result<ForeignRunners, StoreError> {
        hand_on!(self, hosts.foreign_runners(from))
    }
}

#[async_trait]
impl AgentRecords for Faulty {
    async fn agent(&self, id_or_name: &str) -> Result<Option<AgentRecord>, StoreError> {
        hand_on!(self, agents.agent(id_or_name))
    }
    async fn agents(&self, after: Option<&AgentId>, limit: u32) -> Result<Vec<AgentRecord>, StoreError> {
        let (agents, after) = (Arc::clone(&self.store.agents), after.cloned());
        self.pass("agents", async move { agents.agents(after.as_ref(), limit).await })
            .await
    }
    async fn set_paused(&self, agent: &AgentId, paused: bool) -> Result<bool, StoreError> {
        let (agents, agent) = (Arc::clone(&self.store.agents), agent.clone());
        self.pass("set_paused", async move { agents.set_paused(&agent, paused).await })
            .await
    }
    async fn set_paused_ahead(&self, agent: &AgentName, paused: bool) -> Result<bool, StoreError> {
        let (agents, agent) = (Arc::clone(&self.store.agents), agent.clone());
        self.pass("set_paused_ahead", async move {
            agents.set_paused_ahead(&agent, paused).await
        })
        .await
    }
    async fn paused_ahead(&self, agent: &AgentName) -> Result<bool, StoreError> {
        hand_on!(self, agents.paused_ahead(agent))
    }
    async fn command_breaker(
        &self,
        agent: &AgentId,
        command: BreakerCommand,
    ) -> Result<Option<Transition>, StoreError> {
        let (agents, agent) = (Arc::clone(&self.store.agents), agent.clone());
        self.pass("command_breaker", async move {
            agents.command_breaker(&agent, command).await
        })
        .await
    }
    async fn in_backoff(&self, limit: u32) -> Result<Vec<BreakerRecord>, StoreError> {
        let agents = Arc::clone(&self.store.agents);
        self.pass("in_backoff", async move { agents.in_backoff(limit).await })
            .await
    }
}

#[async_trait]
impl AgentState for Faulty {
    async fn get(&self, scope: &StateScope, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        hand_on!(self, agent_state.get(scope, key))
    }
    async fn set(
        &self,
        scope: &StateScope,
        key: &str,
        value: &[u8],
        quota: &StateQuota,
    ) -> Result<Written, StoreError> {
        hand_on!(self, agent_state.set(scope, key, value, quota))
    }
    async fn delete(&self, scope: &StateScope, key: &str) -> Result<(), StoreError> {
        hand_on!(self, agent_state.delete(scope, key))
    }
    async fn keys(&self, scope: &StateScope, after: Option<&str>, limit: u32) -> Result<Vec<String>, StoreError> {
        let (state, scope, after) = (
            Arc::clone(&self.store.agent_state),
            scope.clone(),
            after.map(str::to_owned),
        );
        self.pass("keys", async move { state.keys(&scope, after.as_deref(), limit).await })
            .await
    }
}

#[async_trait]
impl PluginStore for Faulty {
    async fn generation(&self, plugin: &PluginName, digest: &Digest) -> Result<u32, StoreError> {
        hand_on!(self, plugins.generation(plugin, digest))
    }
}
