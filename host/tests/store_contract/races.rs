//! Many at once, with the history checked.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};
use warren::{
    domain::{
        ending::{Ending, Reason},
        ids::{AgentId, ItemId},
        work_item::WorkItem,
    },
    ports::{
        leadership::Acquired,
        store::{Store, StoreError},
        work_queue::Fence,
    },
};

use super::{harness::Harness, leadership::bid, support::*};

/// What the workers of a race saw.
#[derive(Default)]
struct History {
    /// Agents that somebody runs, from the answer to the claim to just before the completion.
    running: Mutex<HashSet<AgentId>>,
    /// How often the completion of an item was accepted.
    accepted: Mutex<HashMap<ItemId, u32>>,
    done: AtomicUsize,
}

impl History {
    fn started(&self, agent: &AgentId) {
        assert!(
            self.running.lock().unwrap().insert(agent.clone()),
            "two claims of {agent} at once"
        );
    }

    fn stopped(&self, agent: &AgentId) {
        assert!(self.running.lock().unwrap().remove(agent));
    }

    fn accepted(&self, item: ItemId) {
        *self.accepted.lock().unwrap().entry(item).or_default() += 1;
        self.done.fetch_add(1, Ordering::SeqCst);
    }

    /// Every one of these was accepted once, and nothing else.
    fn check(&self, items: &[WorkItem]) {
        let accepted = self.accepted.lock().unwrap();
        assert_eq!(accepted.len(), items.len());
        for item in items {
            assert_eq!(accepted.get(&item.id), Some(&1), "{}", item.id);
        }
    }
}

fn many(items: usize, agents: usize) -> Vec<WorkItem> {
    (0..items).map(|n| direct(&format!("a{}", n % agents))).collect()
}

/// Claim, renew and complete until `total` items are done. Whether a claim may be lost on the way is the case's business.
async fn work(store: Store, history: Arc<History>, total: usize, may_lose: bool) {
    let deadline = Instant::now() + 3 * DEADLINE;
    while history.done.load(Ordering::SeqCst) < total {
        assert!(
            Instant::now() < deadline,
            "{} of {total} done",
            history.done.load(Ordering::SeqCst)
        );
        let claims = claim(&store, 3).await;
        if claims.is_empty() {
            store.queue.wait_for_work(Duration::from_millis(5)).await;
            continue;
        }
        for claimed in &claims {
            if !may_lose {
                history.started(&claimed.item.agent_id);
            }
        }
        for claimed in &claims {
            let held = renew(&store, claimed).await;
            assert!(held || may_lose);
            if !may_lose {
                history.stopped(&claimed.item.agent_id);
            }
            match try_end(&store, claimed, Reason::Ok).await {
                Ok(_) => history.accepted(claimed.item.id),
                Err(error) => assert!(may_lose && error == StoreError::StaleClaim, "{error}"),
            }
        }
    }
}

async fn race(store: &Store, items: &[WorkItem], may_lose: bool, disturb: impl AsyncFn()) -> Arc<History> {
    let history = Arc::new(History::default());
    let mut tasks = JoinSet::new();
    for chunk in items.chunks(items.len() / 4 + 1) {
        let (store, chunk) = (store.clone(), chunk.to_vec());
        tasks.spawn(async move {
            for item in chunk {
                add(&store, &item).await;
            }
        });
    }
    for _ in 0..6 {
        tasks.spawn(work(store.clone(), history.clone(), items.len(), may_lose));
    }
    while !tasks.is_empty() {
        disturb().await;
        if let Ok(Some(ended)) = timeout(Duration::from_millis(1), tasks.join_next()).await {
            ended.unwrap();
        }
    }
    history
}

pub async fn every_item_is_done_once<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let items = many(200, 40);
    let history = race(&store, &items, false, async || {
        sweep(&store).await;
    })
    .await;
    history.check(&items);
    let stats = store.queue.stats().await.unwrap();
    assert_eq!((stats.done, stats.active, stats.waiting, stats.delayed), (200, 0, 0, 0));
}

pub async fn one_claim_per_agent<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let items = many(120, 3);
    race(&store, &items, false, async || {}).await.check(&items);
}

pub async fn sweeps_race_completions<H: Harness>() {
    let mut tolerant = policy();
    tolerant.breaker.lease_losses = u32::MAX;
    let harness = H::fresh(tolerant).await;
    let store = harness.store();
    let items = many(120, 20);
    let rounds = AtomicUsize::new(0);
    let history = race(&store, &items, true, async || {
        // Every other round all leases run out under the workers' feet.
        if rounds.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
            harness.advance(LEASE + seconds(1));
        }
        sweep(&store).await;
    })
    .await;
    history.check(&items);
}

pub async fn repeats_of_everything<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let items = many(30, 30);
    let repeat = 3;
    let enqueued = join_all((0..repeat).map(|_| store.queue.enqueue(None, items.clone()))).await;
    assert!(enqueued.iter().all(|answer| answer == &enqueued[0] && answer.is_ok()));
    let request = request(&host("h1"), items.len());
    let claims = join_all((0..repeat).map(|_| store.queue.claim(&request))).await;
    assert!(claims.iter().all(|answer| answer == &claims[0]));
    let claims = claims[0].clone().unwrap();
    assert_eq!(claims.len(), items.len());
    for (n, claimed) in claims.iter().enumerate() {
        let completion = completion(
            claimed,
            Ending::new([Reason::Ok, Reason::Trap, Reason::Upstream][n % 3], ""),
        );
        let answers = join_all((0..repeat).map(|_| store.queue.complete(&completion))).await;
        assert!(
            answers.iter().all(|answer| answer == &answers[0] && answer.is_ok()),
            "{answers:?}"
        );
    }
    let stats = store.queue.stats().await.unwrap();
    assert_eq!((stats.done, stats.delayed, stats.active), (10, 20, 0));
    assert_eq!(known(&store, "a1").await.breaker.failures, 1, "counted once");
}

pub async fn one_winner_of_a_term<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let wins = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for n in 0..8 {
        let (store, wins) = (store.clone(), wins.clone());
        tasks.spawn(async move {
            let bid = bid(&format!("h{n}"));
            for _ in 0..20 {
                if let Acquired::Won(term) = store.leadership.acquire(&bid).await.unwrap() {
                    wins.lock().unwrap().push(term);
                    let holder = bid.holder.clone();
                    store.leadership.release(&Fence { holder, term }).await.unwrap();
                }
            }
        });
    }
    timeout(3 * DEADLINE, tasks.join_all()).await.unwrap();
    let wins = wins.lock().unwrap();
    let distinct: HashSet<_> = wins.iter().collect();
    assert!(!wins.is_empty());
    assert_eq!(distinct.len(), wins.len(), "no term was won twice");
}

/// Start a call and drop it, after it has been polled once.
async fn cancelled(call: impl Future) {
    let _ = timeout(Duration::ZERO, call).await;
}

pub async fn cancelled_calls_lose_nothing<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let items = many(20, 20);
    cancelled(store.queue.enqueue(None, items.clone())).await;
    store.queue.enqueue(None, items.clone()).await.unwrap();
    let request = request(&host("h1"), items.len());
    cancelled(store.queue.claim(&request)).await;
    let claims = store.queue.claim(&request).await.unwrap();
    assert_eq!(claims.len(), items.len());
    for claimed in &claims {
        let completion = completion(claimed, Ending::new(Reason::Ok, ""));
        cancelled(store.queue.complete(&completion)).await;
        store.queue.complete(&completion).await.unwrap();
    }
    cancelled(store.queue.wait_for_work(seconds(3600))).await;
    cancelled(store.queue.wait_for_end(items[0].id, seconds(3600))).await;
    let stats = store.queue.stats().await.unwrap();
    assert_eq!(
        (stats.done, stats.active, stats.queued.values().sum::<u64>()),
        (20, 0, 0)
    );
}
