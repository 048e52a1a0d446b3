//! The queue as hosts use it: items are submitted and completed one by one, by many at the same time; claims are for as
//! many as there are free slots.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use warren::{
    adapters::redis::{RedisConfig, RedisStore, StoreClock},
    domain::{
        ending::{Ending, Reason},
        ids::{AgentId, ClaimToken, HostName},
        time::BootTime,
        work_item::{Priority, TaskType, WorkItem},
    },
    ports::{
        agent_records::BreakerCommand,
        store::{Store, StorePolicy},
        work_queue::{ClaimRequest, Claimed, Completed, Completion, Enqueued, WorkQueue},
    },
};

use super::{
    Steps, Way, items,
    server::{Meter, Server},
};

/// What the leader enqueues at a time.
const ENQUEUED: usize = 200;

pub struct Queue {
    store: Store,
}

impl Queue {
    /// `fairness` as in the policy: with 0 claims leave lower priorities alone.
    pub async fn connect(server: &Server, prefix: &str, fairness: u32) -> Queue {
        Queue {
            store: store(server, prefix, fairness).await.store(),
        }
    }

    fn queue(&self) -> &Arc<dyn WorkQueue> {
        &self.store.queue
    }

    /// Queue so many items of the lowest priority, which are never reached, and force open the breakers of as many other
    /// agents, 10⁴ at most.
    pub async fn fill(&self, depth: usize) {
        let numbers: Vec<usize> = (1_000_000..1_000_000 + depth).collect();
        for some in numbers.chunks(ENQUEUED) {
            let low = |number: &usize| WorkItem {
                priority: Priority::Low,
                ..items::item(*number, TaskType::Direct)
            };
            self.enqueue(some.iter().map(low).collect()).await;
        }
        // An agent is known by its first item; its breaker opens while that is queued, and holds it.
        let others: Vec<usize> = (3_000_000..3_000_000 + depth.min(10_000)).collect();
        for some in others.chunks(ENQUEUED) {
            self.enqueue(some.iter().map(|n| items::item(*n, TaskType::Inbox)).collect())
                .await;
            for claimed in self.claim(some.len()).await {
                self.complete(&claimed).await;
            }
            join_all(some.iter().map(async |n| {
                let agent = AgentId::new(items::agent(*n)).unwrap();
                self.store
                    .agents
                    .command_breaker(&agent, BreakerCommand::ForceOpen)
                    .await
                    .unwrap();
            }))
            .await;
        }
    }

    async fn enqueue(&self, items: Vec<WorkItem>) {
        for answer in self.queue().enqueue(None, items).await.unwrap() {
            assert!(matches!(answer, Enqueued::Added(_)), "{answer:?}");
        }
    }

    /// The same of one, which is claimed along with that.
    async fn enqueue_own(&self, item: WorkItem) -> Vec<Claimed> {
        let standing = self.queue().stand(request(1), Box::new(|| Some(BootTime::default())));
        self.enqueue(vec![item]).await;
        let (_, claimed) = standing.end().await.unwrap().unwrap();
        claimed
    }

    async fn claim(&self, most: usize) -> Vec<Claimed> {
        let claimed = self.queue().claim(&request(most)).await.unwrap();
        assert_eq!(claimed.len(), most);
        claimed
    }

    async fn complete(&self, claimed: &Claimed) {
        let completion = Completion {
            item: claimed.item.id,
            token: claimed.token,
            ending: Ending::new(Reason::Ok, ""),
            generation: Some("idle@1".to_owned()),
        };
        assert_eq!(self.queue().complete(&completion).await, Ok(Completed::Done));
    }

    /// What enqueueing, claiming and completing so many items costs, each step for all of them.
    pub async fn run(&self, meter: &mut Meter, kind: TaskType, number: usize, way: Way) -> Steps {
        let items: Vec<WorkItem> = (0..number).map(|n| items::item(n, kind)).collect();
        let mut claimed = Vec::new();
        let mut steps = Steps::default();
        meter.begin();
        match way {
            Way::Own => {
                for item in items {
                    let own = self.enqueue_own(item).await;
                    // Of the first round no agent is known, and none is claimed along.
                    claimed.push(if own.is_empty() { self.claim(1).await } else { own });
                }
                steps[0] = meter.lap();
            }
            Way::Batch(batch) => {
                for some in items.chunks(batch) {
                    join_all(some.iter().map(|item| self.enqueue(vec![item.clone()]))).await;
                }
                steps[0] = meter.lap();
                for _ in 0..number / batch {
                    claimed.push(self.claim(batch).await);
                }
            }
        }
        steps[1] = meter.lap();
        for some in &claimed {
            join_all(some.iter().map(|claimed| self.complete(claimed))).await;
        }
        steps[2] = meter.lap();
        steps
    }
}

fn request(most: usize) -> ClaimRequest {
    ClaimRequest {
        host: HostName::new("bench").unwrap(),
        tokens: (0..most).map(|_| ClaimToken::fresh()).collect(),
        lease: Duration::from_secs(60),
        avoid: Vec::new(),
    }
}

pub async fn store(server: &Server, prefix: &str, fairness: u32) -> RedisStore {
    let config = RedisConfig {
        ca_file: None,
        url: server.url().into(),
        key_prefix: prefix.to_owned(),
        policy: StorePolicy {
            max_queue: 100_000_000,
            fairness,
            ..StorePolicy::default()
        },
        call_timeout: Duration::from_secs(30),
        clock: StoreClock::Redis,
    };
    RedisStore::connect(config).await.unwrap()
}
