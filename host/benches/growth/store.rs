//! A Redis with so many of something in it, and what steps and calls cost it.

use std::{collections::VecDeque, time::Duration};

use futures_util::future::join_all;
use redis::{Client, Connection};
use warren::{
    adapters::redis::{RedisConfig, RedisStore, StoreClock},
    domain::{
        ending::{Ending, Reason},
        ids::{AgentId, AgentName, ClaimToken, HostName},
        work_item::{TaskType, WorkItem},
    },
    ports::{
        store::{Store, StorePolicy},
        work_queue::{ClaimRequest, Claimed, Completed, Completion, Enqueued},
    },
};
use warren_tests::redis::{Keeps, RedisServer};

use super::{accounts::Accounts, items, stop_if_asked};

/// What one call of a script takes.
const FILLED_AT_ONCE: usize = 500;
/// One failure opens a breaker, for as long as the bench takes.
pub const OPEN_FOR: Duration = Duration::from_secs(3600);

/// What there is many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Many {
    /// Inbox items that are ready, each of an agent of its own.
    Items,
    /// Agents that have run once, and wait for nothing.
    Agents,
    /// The same, but their one activation failed, and their breakers are open.
    Breakers,
}

pub struct Filled {
    pub many: Many,
    pub size: usize,
    pub server: RedisServer,
    pub store: Store,
    /// Agents with nothing to do, whose items are to be enqueued next.
    spare: VecDeque<usize>,
    connection: Connection,
    reading: Accounts,
}

impl Filled {
    /// `spare` more agents are known beside those that it is filled with.
    pub async fn new(many: Many, size: usize, spare: usize) -> Filled {
        let server = RedisServer::start(Keeps::Nothing, &[]);
        let store = connect(&server).await.store();
        let mut filled = Filled {
            many,
            size,
            connection: Client::open(server.url()).unwrap().get_connection().unwrap(),
            reading: Accounts::default(),
            server,
            store,
            spare: (size..size + spare).collect(),
        };
        filled.reading = Accounts::of_reading(&mut filled.connection);
        let numbers: Vec<usize> = (0..size).collect();
        for some in numbers.chunks(FILLED_AT_ONCE) {
            stop_if_asked();
            filled.enqueue(some).await;
            match many {
                Many::Items => {}
                Many::Agents => filled.end_all(some.len(), Reason::Ok).await,
                Many::Breakers => filled.end_all(some.len(), Reason::Trap).await,
            }
        }
        filled
    }

    pub fn name(&self) -> String {
        let of = match self.many {
            Many::Items => "queued items",
            Many::Agents => "agents",
            Many::Breakers => "open breakers",
        };
        format!("{} {of}", self.size)
    }

    /// One that is in the middle of whatever there is.
    pub fn in_the_middle(&self, n: usize) -> usize {
        self.size / 2 + n
    }

    pub fn agent(number: usize) -> AgentId {
        AgentId::new(items::agent(number)).unwrap()
    }

    pub fn item(number: usize) -> WorkItem {
        items::item(number, TaskType::Inbox)
    }

    async fn enqueue(&self, agents: &[usize]) {
        let items: Vec<WorkItem> = agents.iter().map(|n| Filled::item(*n)).collect();
        for answer in self.store.queue.enqueue(None, items).await.unwrap() {
            assert!(matches!(answer, Enqueued::Added(_)), "{answer:?}");
        }
    }

    async fn claim(&self, most: usize) -> Vec<Claimed> {
        let request = ClaimRequest {
            host: HostName::new("bench").unwrap(),
            tokens: (0..most).map(|_| ClaimToken::fresh()).collect(),
            lease: Duration::from_secs(600),
            avoid: Vec::new(),
        };
        let claimed = self.store.queue.claim(&request).await.unwrap();
        assert_eq!(claimed.len(), most);
        claimed
    }

    async fn complete(&self, claimed: &[Claimed], reason: Reason) {
        join_all(claimed.iter().map(async |claimed| {
            let completion = Completion {
                item: claimed.item.id,
                token: claimed.token,
                ending: Ending::new(reason, ""),
                generation: Some("idle@1".to_owned()),
            };
            assert_eq!(self.store.queue.complete(&completion).await, Ok(Completed::Done));
        }))
        .await;
    }

    async fn end_all(&self, number: usize, reason: Reason) {
        let claimed = self.claim(number).await;
        self.complete(&claimed, reason).await;
    }

    /// CPU time of the server, in µs, for enqueueing, claiming and completing so many items, `batch` at a time.
    pub async fn steps(&mut self, number: usize, batch: usize) -> [f64; 3] {
        let agents: Vec<usize> = self.spare.drain(..number).collect();
        let mut cpu = [0.0; 3];
        let mut before = self.read();
        for some in agents.chunks(batch) {
            join_all(some.iter().map(|agent| self.enqueue(std::slice::from_ref(agent)))).await;
        }
        cpu[0] = self.lap(&mut before);
        let mut claimed = Vec::new();
        for _ in 0..number / batch {
            claimed.push(self.claim(batch).await);
        }
        cpu[1] = self.lap(&mut before);
        for some in &claimed {
            self.complete(some, Reason::Ok).await;
        }
        cpu[2] = self.lap(&mut before);
        self.spare.extend(
            claimed
                .iter()
                .flatten()
                .map(|claimed| number_of(&claimed.item.agent_name)),
        );
        cpu
    }

    pub fn read(&mut self) -> Accounts {
        Accounts::read(&mut self.connection)
    }

    /// CPU time since a reading, which becomes the next one.
    pub fn lap(&mut self, before: &mut Accounts) -> f64 {
        let now = self.read();
        let cpu = now.cpu - before.cpu - self.reading.cpu;
        *before = now;
        cpu
    }
}

/// Out of the name that `items` gives.
fn number_of(name: &AgentName) -> usize {
    name.as_str().rsplit('-').next().unwrap().parse().unwrap()
}

async fn connect(server: &RedisServer) -> RedisStore {
    let mut policy = StorePolicy {
        max_queue: 100_000_000,
        ..StorePolicy::default()
    };
    policy.breaker.threshold = 1;
    policy.breaker.base = OPEN_FOR;
    policy.breaker.max = OPEN_FOR;
    let config = RedisConfig {
        ca_file: None,
        url: server.url().into(),
        key_prefix: String::new(),
        policy,
        call_timeout: Duration::from_secs(30),
        clock: StoreClock::Redis,
    };
    RedisStore::connect(config).await.unwrap()
}
