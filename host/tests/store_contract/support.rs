//! Words for the cases: items, and calls that must succeed.

use std::time::Duration;

use warren::{
    domain::{
        ending::{Ending, Reason},
        ids::{AgentId, AgentName, ClaimToken, HostName, ItemId},
        time::UnixMillis,
        work_item::{ItemRecord, ItemState, TaskType, WorkItem},
    },
    ports::{
        agent_records::AgentRecord,
        store::{Store, StoreError, StorePolicy},
        work_queue::{ClaimRequest, Claimed, Completed, Completion, Enqueued, Renewal, Swept},
    },
};

/// The lease of every claim that these helpers make.
pub const LEASE: Duration = Duration::from_secs(60);
/// How long a condition may take to come true.
pub const DEADLINE: Duration = Duration::from_secs(10);

pub fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub fn agent(name: &str) -> AgentId {
    AgentId::new(format!("id-{name}")).unwrap()
}

pub fn host(name: &str) -> HostName {
    HostName::new(name).unwrap()
}

fn item(name: &str, task_type: TaskType) -> WorkItem {
    WorkItem {
        id: ItemId::fresh(),
        agent_id: agent(name),
        agent_name: AgentName::new(name).unwrap(),
        task_type,
        priority: task_type.default_priority(),
        inbox_count: 0,
        created_at: UnixMillis(1_700_000_000_000),
        attempt: 1,
        payload: None,
        min_interval: Duration::ZERO,
        trace_context: None,
    }
}

pub fn inbox(name: &str, inbox_count: u32) -> WorkItem {
    WorkItem {
        inbox_count,
        ..item(name, TaskType::Inbox)
    }
}

pub fn discovery(name: &str) -> WorkItem {
    item(name, TaskType::Discovery)
}

pub fn direct(name: &str) -> WorkItem {
    WorkItem {
        payload: Some("{}".to_owned()),
        ..item(name, TaskType::Direct)
    }
}

/// A policy in which chance decides nothing that a case looks at.
pub fn policy() -> StorePolicy {
    let mut policy = StorePolicy {
        fairness: 0,
        ..StorePolicy::default()
    };
    policy.breaker.jitter = 0.0;
    policy
}

pub async fn add(store: &Store, item: &WorkItem) -> Enqueued {
    let mut answers = store.queue.enqueue(None, vec![item.clone()]).await.unwrap();
    assert_eq!(answers.len(), 1, "one answer per item");
    answers.remove(0)
}

pub async fn add_ready(store: &Store, item: &WorkItem) {
    assert_eq!(add(store, item).await, Enqueued::Added(ItemState::Queued), "{item:?}");
}

pub fn request(host: &HostName, tokens: usize) -> ClaimRequest {
    ClaimRequest {
        host: host.clone(),
        tokens: (0..tokens).map(|_| ClaimToken::fresh()).collect(),
        lease: LEASE,
        avoid: Vec::new(),
    }
}

pub async fn claim(store: &Store, most: usize) -> Vec<Claimed> {
    store.queue.claim(&request(&host("h1"), most)).await.unwrap()
}

pub async fn claim_one(store: &Store) -> Claimed {
    let mut claims = claim(store, 1).await;
    assert_eq!(claims.len(), 1, "something is ready");
    claims.remove(0)
}

pub async fn claim_none(store: &Store) {
    assert_eq!(claim(store, 1).await, [], "nothing is ready");
}

pub async fn claim_item(store: &Store, item: &WorkItem) -> Claimed {
    let claimed = claim_one(store).await;
    assert_eq!(claimed.item.id, item.id);
    claimed
}

pub fn completion(claimed: &Claimed, ending: Ending) -> Completion {
    Completion {
        item: claimed.item.id,
        token: claimed.token,
        ending,
        generation: None,
    }
}

pub async fn try_end(store: &Store, claimed: &Claimed, reason: Reason) -> Result<Completed, StoreError> {
    store
        .queue
        .complete(&completion(claimed, Ending::new(reason, "")))
        .await
}

pub async fn end(store: &Store, claimed: &Claimed, reason: Reason) -> Completed {
    try_end(store, claimed, reason).await.unwrap()
}

/// Run one new direct item of an agent to this end.
pub async fn run_direct(store: &Store, name: &str, reason: Reason) -> Completed {
    let item = direct(name);
    add(store, &item).await;
    let claimed = claim_item(store, &item).await;
    end(store, &claimed, reason).await
}

pub async fn renew(store: &Store, claimed: &Claimed) -> bool {
    let renewal = Renewal {
        item: claimed.item.id,
        token: claimed.token,
        generation: None,
    };
    store.queue.renew(&[renewal], LEASE).await.unwrap()[0]
}

/// Sweep until there is nothing more to do.
pub async fn sweep(store: &Store) -> Swept {
    let mut all = Swept::default();
    loop {
        let swept = store.queue.sweep().await.unwrap();
        all.recovered.extend(swept.recovered);
        all.promoted += swept.promoted;
        all.forgotten += swept.forgotten;
        if !swept.more {
            return all;
        }
    }
}

pub async fn record(store: &Store, id: ItemId) -> ItemRecord {
    store.queue.item(id).await.unwrap().expect("the item is kept")
}

pub async fn state(store: &Store, item: &WorkItem) -> ItemState {
    record(store, item.id).await.state
}

pub async fn known(store: &Store, name: &str) -> AgentRecord {
    store
        .agents
        .agent(agent(name).as_str())
        .await
        .unwrap()
        .expect("the agent is known")
}

pub async fn due(store: &Store, item: &WorkItem) -> Duration {
    let now = store.queue.health().await.unwrap().now;
    record(store, item.id).await.due_at.expect("it is delayed").since(now)
}
