//! Looks at the clock whenever an item passes from one part of a host to the next: the ports are the seams.
//!
//! The stages of an item lie without a gap between its claim and the answer to its completion, so their sum is its way.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::sync::Notify;
use warren::{
    domain::{
        agent::AgentDefinition,
        capability::CapabilitySet,
        ids::{AgentName, ClaimToken, ItemId},
        plugin::Manifest,
        work_item::{ItemRecord, Priority, WorkItem},
    },
    ports::{
        definitions::{DefinitionError, Definitions},
        sandbox::{Activated, Activation, ComponentFacts, Making, PrepareError, Prepared, Sandbox, Verdict},
        store::{QueueStats, StoreError, StoreHealth},
        work_queue::{
            ClaimRequest, Claimed, Completed, Completion, Enqueued, Fence, GiveBack, ItemFilter, ItemPage, Renewal,
            Requeued, Swept, WorkQueue,
        },
    },
};

/// What an item goes through, in order.
pub const STAGES: [&str; 6] = [
    "claim (the call that took it)",
    "start (to its task)",
    "set-up (definition, plugin, budget)",
    "sandbox (to guest threads and back)",
    "`activated` report to the Hub",
    "complete",
];

/// One item's passing of the seams: the beginning of each stage.
#[derive(Default)]
struct Marks(Vec<Instant>);

/// How long an item was in each stage.
pub type Way = [Duration; STAGES.len()];

#[derive(Default)]
pub struct Seams {
    /// By agent, of which one item at a time is run.
    under_way: Mutex<HashMap<AgentName, Marks>>,
    seen: Mutex<Seen>,
    completed: AtomicUsize,
    progress: Notify,
}

#[derive(Default)]
pub struct Seen {
    /// Only of items that passed every stage.
    pub ways: Vec<Way>,
    /// The activations by themselves, without the ways between threads.
    pub inside: Vec<Duration>,
    /// Calls that claimed something.
    pub claims: usize,
    /// Calls, and how long they took.
    pub enqueues: Vec<Duration>,
}

impl Seams {
    fn pass(&self, agent: &AgentName) {
        let mut under_way = self.under_way.lock().unwrap();
        under_way.entry(agent.clone()).or_default().0.push(Instant::now());
    }

    fn ended(&self, agent: &AgentName) {
        let Marks(marks) = self.under_way.lock().unwrap().remove(agent).unwrap_or_default();
        if let Ok(begins) = <[Instant; STAGES.len()]>::try_from(marks) {
            let ends = begins.iter().skip(1).copied().chain([Instant::now()]);
            let mut way = Way::default();
            for ((stage, begin), end) in way.iter_mut().zip(begins).zip(ends) {
                *stage = end - begin;
            }
            self.seen.lock().unwrap().ways.push(way);
        }
        self.completed.fetch_add(1, SeqCst);
        self.progress.notify_one();
    }

    /// Wait until so many items have been completed since the last call, and give what was seen meanwhile.
    pub async fn take(&self, items: usize) -> Seen {
        while self.completed.load(SeqCst) < items {
            self.progress.notified().await;
        }
        self.completed.store(0, SeqCst);
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

pub struct TimedQueue {
    pub queue: Arc<dyn WorkQueue>,
    pub seams: Arc<Seams>,
    /// Whose item it is, for `complete`.
    pub agents: Mutex<HashMap<ItemId, AgentName>>,
}

#[async_trait]
impl WorkQueue for TimedQueue {
    async fn enqueue(&self, fence: Option<&Fence>, items: Vec<WorkItem>) -> Result<Vec<Enqueued>, StoreError> {
        let began = Instant::now();
        let answer = self.queue.enqueue(fence, items).await;
        self.seams.seen.lock().unwrap().enqueues.push(began.elapsed());
        answer
    }
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, StoreError> {
        let sent = Instant::now();
        let claimed = self.queue.claim(request).await?;
        let answered = Instant::now();
        self.seams.seen.lock().unwrap().claims += usize::from(!claimed.is_empty());
        let mut under_way = self.seams.under_way.lock().unwrap();
        let mut agents = self.agents.lock().unwrap();
        for claimed in &claimed {
            let agent = claimed.item.agent_name.clone();
            under_way.insert(agent.clone(), Marks(vec![sent, answered]));
            agents.insert(claimed.item.id, agent);
        }
        drop((under_way, agents));
        Ok(claimed)
    }
    async fn complete(&self, completion: &Completion) -> Result<Completed, StoreError> {
        let agent = self.agents.lock().unwrap().remove(&completion.item).unwrap();
        self.seams.pass(&agent);
        let completed = self.queue.complete(completion).await;
        assert_eq!(completed, Ok(Completed::Done));
        self.seams.ended(&agent);
        completed
    }

    async fn health(&self) -> Result<StoreHealth, StoreError> {
        self.queue.health().await
    }
    async fn renew(&self, renewals: &[Renewal], lease: Duration) -> Result<Vec<bool>, StoreError> {
        self.queue.renew(renewals, lease).await
    }
    async fn give_back(&self, item: ItemId, token: ClaimToken, why: GiveBack) -> Result<(), StoreError> {
        panic!("item {item} was given back under {token}: {why:?}")
    }
    async fn plugin_came(&self, items: &[ItemId]) -> Result<u64, StoreError> {
        self.queue.plugin_came(items).await
    }
    async fn sweep(&self) -> Result<Swept, StoreError> {
        self.queue.sweep().await
    }
    async fn wait_for_work(&self, at_most: Duration) {
        self.queue.wait_for_work(at_most).await;
    }
    async fn wait_for_end(&self, item: ItemId, at_most: Duration) -> Result<Option<ItemRecord>, StoreError> {
        self.queue.wait_for_end(item, at_most).await
    }
    async fn item(&self, id: ItemId) -> Result<Option<ItemRecord>, StoreError> {
        self.queue.item(id).await
    }
    async fn page(&self, filter: &ItemFilter) -> Result<ItemPage, StoreError> {
        self.queue.page(filter).await
    }
    async fn stats(&self) -> Result<QueueStats, StoreError> {
        self.queue.stats().await
    }
    async fn requeue_dead(&self, items: &[ItemId]) -> Result<Vec<Requeued>, StoreError> {
        self.queue.requeue_dead(items).await
    }
    async fn purge_dead(&self, items: &[ItemId]) -> Result<u64, StoreError> {
        self.queue.purge_dead(items).await
    }
    async fn room(&self) -> Result<Vec<(Priority, u64)>, StoreError> {
        self.queue.room().await
    }
}

/// The first thing that a runner asks for.
pub struct TimedDefinitions<D> {
    pub definitions: D,
    pub seams: Arc<Seams>,
}

impl<D: Definitions> Definitions for TimedDefinitions<D> {
    fn agent(&self, name: &AgentName) -> Result<Arc<AgentDefinition>, DefinitionError> {
        self.seams.pass(name);
        self.definitions.agent(name)
    }

    fn names(&self) -> Option<HashSet<String>> {
        self.definitions.names()
    }

    fn all(&self) -> Vec<(String, Result<Arc<AgentDefinition>, DefinitionError>)> {
        self.definitions.all()
    }
}

pub struct TimedSandbox<S> {
    pub sandbox: S,
    pub seams: Arc<Seams>,
}

#[async_trait]
impl<S: Sandbox> Sandbox for TimedSandbox<S> {
    fn inspect(&self, component: &[u8]) -> Result<ComponentFacts, PrepareError> {
        self.sandbox.inspect(component)
    }

    async fn prepare(&self, manifest: &Manifest, component: Vec<u8>) -> Result<Arc<dyn Prepared>, PrepareError> {
        Ok(Arc::new(TimedPrepared {
            prepared: self.sandbox.prepare(manifest, component).await?,
            seams: Arc::clone(&self.seams),
        }))
    }
}

struct TimedPrepared {
    prepared: Arc<dyn Prepared>,
    seams: Arc<Seams>,
}

#[async_trait]
impl Prepared for TimedPrepared {
    fn facts(&self) -> &ComponentFacts {
        self.prepared.facts()
    }

    fn making(&self) -> Making {
        self.prepared.making()
    }

    fn missing(&self, capabilities: &CapabilitySet) -> CapabilitySet {
        self.prepared.missing(capabilities)
    }

    async fn activate(&self, activation: Activation) -> Activated {
        let agent = activation.item.agent_name.clone();
        self.seams.pass(&agent);
        let activated = self.prepared.activate(activation).await;
        assert!(matches!(activated.verdict, Verdict::Outcome { .. }), "{activated:?}");
        self.seams.pass(&agent);
        self.seams.seen.lock().unwrap().inside.push(activated.usage.wall);
        activated
    }
}
