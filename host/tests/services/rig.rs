//! A host's services, wired around one real store, a scripted Hub and scripted guests.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    runtime::Handle,
    sync::Notify,
    task::JoinHandle,
    time::{self, Instant},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use warren::{
    adapters::sqlite::{SqliteConfig, SqliteStore},
    domain::{
        agent::{AgentDefinition, BehaviorLimits},
        capability::CapabilitySet,
        ids::{AgentId, AgentName, HolderId, HostName, ItemId, PluginName},
        lease::LeaseTerms,
        limits::{LimitOverrides, Limits},
        preference::Score,
        time::UnixMillis,
        work_item::{ItemRecord, ItemState, TaskType, WorkItem},
    },
    ports::{
        definitions::{DefinitionError, Definitions},
        store::{Store, StorePolicy},
    },
    services::{
        budget::Budget,
        claims::Claims,
        dispatch::{Dispatch, DispatchConfig},
        election::{self, Election, ElectionConfig, LeaderTask, Office},
        guest_host::GuestServices,
        intake::Intake,
        plugins::Plugins,
        runner::Runner,
    },
};

use super::{
    clock::TestClock,
    faults::Faulty,
    hub::ScriptedHub,
    sandbox::{Folder, ScriptedSandbox},
    seen::Seen,
};

/// The leader's lease: 9 s, used for 8.
pub const LEADER: LeaseTerms = LeaseTerms {
    length: Duration::from_secs(9),
    margin: Duration::from_secs(1),
};
/// An item's: 30 s, used for 25.
pub const ITEM: LeaseTerms = LeaseTerms {
    length: Duration::from_secs(30),
    margin: Duration::from_secs(5),
};
pub const STORE_TIMEOUT: Duration = Duration::from_secs(2);
/// Items of one priority.
pub const FULL: usize = 500;
pub const GRACE: Duration = Duration::from_secs(20);

pub fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Until it is true and what made it so has come to rest; fails after two minutes of the test's time.
pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + seconds(120);
    while !condition() {
        assert!(Instant::now() < deadline, "not within two minutes: {what}");
        time::sleep(Duration::from_millis(10)).await;
    }
    at_rest().await;
}

/// Until every call to the store that was made has been answered, and the answer acted upon: no time passes before.
/// What is seen, in the store or in a count of calls, is otherwise ahead of whoever made the call.
pub async fn at_rest() {
    time::sleep(Duration::from_millis(1)).await;
}

/// Every name has a definition, but those that are taken away.
#[derive(Default)]
pub struct Defined {
    pub gone: Mutex<Vec<String>>,
    /// The threads that asked.
    pub asked_from: Mutex<Vec<std::thread::ThreadId>>,
}

impl Definitions for Defined {
    fn agent(&self, name: &AgentName) -> Result<Arc<AgentDefinition>, DefinitionError> {
        self.asked_from.lock().unwrap().push(std::thread::current().id());
        if self.gone.lock().unwrap().iter().any(|gone| gone == name.as_str()) {
            return Err(DefinitionError::Unknown {
                name: name.clone(),
                path: "nowhere".to_owned(),
            });
        }
        Ok(Arc::new(AgentDefinition {
            name: name.clone(),
            kind: "test".to_owned(),
            plugin: PluginName::new("scripted").unwrap(),
            description: String::new(),
            grants: CapabilitySet::default(),
            discovery: true,
            behavior: BehaviorLimits {
                min_interval: Duration::ZERO,
                ..BehaviorLimits::default()
            },
            limits: LimitOverrides::default(),
            wipe_workspace: false,
            cache_ttl: Duration::ZERO,
            config: Arc::default(),
        }))
    }

    fn names(&self) -> Option<HashSet<String>> {
        None
    }

    fn all(&self) -> Vec<(String, Result<Arc<AgentDefinition>, DefinitionError>)> {
        Vec::new()
    }
}

pub struct Rig {
    /// For the test itself: without faults, and waiting for it lets no time pass.
    pub store: Store,
    pub faulty: Arc<Faulty>,
    pub clock: Arc<TestClock>,
    pub hub: Arc<ScriptedHub>,
    pub seen: Arc<Seen>,
    pub defined: Arc<Defined>,
    pub guests: Arc<ScriptedSandbox>,
    pub plugins: Arc<Plugins>,
    pub claims: Arc<Claims>,
    pub ended: Arc<Notify>,
    pub shutdown: CancellationToken,
    _folder: TempDir,
}

impl Rig {
    pub async fn start() -> Rig {
        let (folder, clock) = (TempDir::new().unwrap(), Arc::new(TestClock::start()));
        let mut policy = StorePolicy::default();
        policy.breaker.jitter = 0.0;
        policy.max_queue = FULL as u64;
        let sqlite = SqliteStore::open(SqliteConfig {
            path: folder.path().join("store.db"),
            owner: host("h1"),
            policy,
            clock: clock.clone(),
            wall: UnixMillis(1_750_000_000_000),
        })
        .unwrap();
        let real = sqlite.store();
        let (faulty, calm) = (Arc::new(Faulty::new(real.clone())), Arc::new(Faulty::new(real)));
        let store = Store {
            queue: calm.clone(),
            leadership: calm.clone(),
            effects: calm.clone(),
            agent_state: calm.clone(),
            agents: calm.clone(),
            plugins: calm.clone(),
            events: calm.clone(),
            hosts: calm,
        };
        let (guests, files) = (Arc::new(ScriptedSandbox::default()), Arc::new(Folder::default()));
        files.put("plugins/scripted", "scripted", 1);
        let plugins = Arc::new(Plugins::new(guests.clone(), store.plugins.clone(), files));
        plugins.load_all().await.unwrap();
        let claims = Arc::new(Claims::new(faulty.clone(), clock.clone(), ITEM, STORE_TIMEOUT));
        Rig {
            store,
            faulty,
            clock,
            hub: Arc::default(),
            seen: Arc::default(),
            defined: Arc::default(),
            guests,
            plugins,
            claims,
            ended: Arc::default(),
            shutdown: CancellationToken::new(),
            _folder: folder,
        }
    }

    pub fn election(&self, name: &str, tasks: Vec<Arc<dyn LeaderTask>>) -> (Election, Office) {
        self.wanted(name, 0, tasks)
    }

    /// One that is wanted so much as the leader.
    pub fn wanted(&self, name: &str, score: i32, tasks: Vec<Arc<dyn LeaderTask>>) -> (Election, Office) {
        let (office, seat) = election::open(Arc::new(move || Score(score)));
        let election = Election {
            leadership: self.faulty.clone(),
            events: self.faulty.clone(),
            telemetry: self.seen.clone(),
            clock: self.clock.clone(),
            config: ElectionConfig {
                lease: LEADER,
                renew_every: seconds(3),
                bid_every: seconds(1),
                look_every: seconds(5),
                call_timeout: STORE_TIMEOUT,
                stop_within: seconds(10),
            },
            holder: HolderId::fresh(host(name)),
            address: "http://127.0.0.1:9090".to_owned(),
            tasks,
            seat,
        };
        (election, office)
    }

    /// Lead with these tasks until the rig is told to shut down.
    pub fn lead(&self, tasks: Vec<Arc<dyn LeaderTask>>) -> (JoinHandle<anyhow::Result<()>>, Office) {
        let (election, office) = self.election("h1", tasks);
        (tokio::spawn(election.run(self.shutdown.clone())), office)
    }

    pub fn intake(&self) -> Arc<Intake> {
        Arc::new(Intake::new(
            self.faulty.clone(),
            self.defined.clone(),
            self.seen.clone(),
        ))
    }

    pub fn guest_services(&self) -> GuestServices {
        GuestServices {
            hub: self.hub.clone(),
            effects: self.faulty.clone(),
            agent_state: self.store.agent_state.clone(),
            telemetry: self.seen.clone(),
            runtime: Handle::current(),
            under_way: TaskTracker::new(),
        }
    }

    pub fn runner(&self) -> Arc<Runner> {
        Arc::new(Runner {
            queue: self.faulty.clone(),
            hub: self.hub.clone(),
            definitions: self.defined.clone(),
            plugins: self.plugins.clone(),
            budget: Budget::new(self.hub.clone(), self.seen.clone(), seconds(30)),
            guest_services: self.guest_services(),
            telemetry: self.seen.clone(),
            default_limits: Limits::default(),
            max_limits: Limits::default(),
            ended: self.ended.clone(),
            left: Default::default(),
            store_timeout: STORE_TIMEOUT,
        })
    }

    /// Claim and run with so many slots, and keep the leases, until the rig is told to shut down.
    pub fn run(&self, slots: usize) -> JoinHandle<anyhow::Result<()>> {
        let claims = self.claims.clone();
        // Not stopped with the dispatch: draining needs it.
        tokio::spawn(async move { claims.keep(CancellationToken::new()).await });
        let runner = self.runner();
        tokio::spawn(Arc::clone(&runner).regain(self.shutdown.clone()));
        tokio::spawn(self.dispatch(slots, runner).run(self.shutdown.clone()))
    }

    pub fn dispatch<R>(&self, slots: usize, runner: Arc<R>) -> Dispatch<R> {
        Dispatch {
            queue: self.faulty.clone(),
            claims: self.claims.clone(),
            clock: self.clock.clone(),
            runner,
            host: host("h1"),
            config: DispatchConfig {
                slots,
                idle_poll: seconds(1),
                grace: GRACE,
                call_timeout: STORE_TIMEOUT,
            },
        }
    }

    pub async fn submit(&self, item: &WorkItem) {
        self.store.queue.enqueue(None, vec![item.clone()]).await.unwrap();
    }

    pub async fn record(&self, item: &WorkItem) -> ItemRecord {
        self.store.queue.item(item.id).await.unwrap().expect("the item is kept")
    }

    pub async fn reaches(&self, item: &WorkItem, state: ItemState) -> ItemRecord {
        let deadline = Instant::now() + seconds(120);
        loop {
            let record = self.record(item).await;
            if record.state == state {
                at_rest().await;
                return record;
            }
            assert!(Instant::now() < deadline, "not {state} within two minutes: {record:?}");
            time::sleep(Duration::from_millis(10)).await;
        }
    }
}

pub fn host(name: &str) -> HostName {
    HostName::new(name).unwrap()
}

pub fn item(name: &str, task_type: TaskType) -> WorkItem {
    WorkItem {
        id: ItemId::fresh(),
        agent_id: AgentId::new(format!("id-{name}")).unwrap(),
        agent_name: AgentName::new(name).unwrap(),
        task_type,
        priority: task_type.default_priority(),
        inbox_count: 1,
        created_at: UnixMillis(1_750_000_000_000),
        attempt: 1,
        payload: (task_type == TaskType::Direct).then(|| "{}".to_owned()),
        min_interval: Duration::ZERO,
        trace_context: None,
    }
}
