//! Many items and many agents: nothing is lost, no call keeps others waiting, and what one costs Redis stays the same.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use warren::{
    domain::{
        ending::{Ending, Reason},
        ids::ItemId,
        work_item::WorkItem,
    },
    ports::{
        store::{Store, StorePolicy},
        work_queue::{Claimed, Completed, Enqueued, Requeued},
    },
};

use super::{
    harness::Harness,
    redis::{RedisHarness, Shared},
    support::*,
};

/// How many tokens one claim carries here.
const AT_ONCE: usize = 500;

/// A store and what it is in, which ends with it.
async fn alone(policy: StorePolicy) -> (RedisHarness, Shared) {
    let place = RedisHarness::place().await;
    (RedisHarness::fresh_in(&place, policy).await, place)
}

async fn add_many(store: &Store, items: &[WorkItem]) {
    for part in items.chunks(1000) {
        let answers = store.queue.enqueue(None, part.to_vec()).await.unwrap();
        assert!(answers.iter().all(|answer| matches!(answer, Enqueued::Added(_))));
    }
}

fn one_each(agents: usize) -> Vec<WorkItem> {
    (0..agents).map(|n| direct(&format!("a{n}"))).collect()
}

async fn claim_all(store: &Store) -> Vec<Claimed> {
    let mut all = Vec::new();
    loop {
        let claims = claim(store, AT_ONCE).await;
        if claims.is_empty() {
            return all;
        }
        all.extend(claims);
    }
}

/// CPU time that Redis spends on fifty items, each enqueued, claimed and completed by itself.
async fn cost_of_fifty(harness: &RedisHarness, store: &Store) -> Duration {
    let spent = async || -> f64 {
        let info: String = harness.redis(&["INFO", "cpu"]).await;
        let of = |name: &str| -> f64 {
            let line = info.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap().trim().parse().unwrap()
        };
        of("used_cpu_user_main_thread:") + of("used_cpu_sys_main_thread:")
    };
    let before = spent().await;
    for n in 0..50 {
        let item = direct(&format!("cost{n}"));
        add_ready(store, &item).await;
        let claimed = claim_one(store).await;
        end(store, &claimed, Reason::Ok).await;
    }
    Duration::from_secs_f64(spent().await - before)
}

#[tokio::test]
async fn a_hundred_thousand_queued_items_cost_no_more_than_ten() {
    const ITEMS: usize = 100_000;
    let (harness, _place) = alone(StorePolicy {
        max_queue: 2 * ITEMS as u64,
        ..policy()
    })
    .await;
    let store = harness.store();
    add_many(&store, &one_each(10)).await;
    cost_of_fifty(&harness, &store).await;
    let few = cost_of_fifty(&harness, &store).await;
    let items = one_each(ITEMS);
    add_many(&store, &items).await;
    let many = cost_of_fifty(&harness, &store).await;
    // The rest is what a clock of the kernel's ticks may be off.
    assert!(many < few * 3 + Duration::from_millis(30), "{few:?}, then {many:?}");
    let stats = store.queue.stats().await.unwrap();
    assert_eq!(stats.queued.values().sum::<u64>(), (ITEMS + 10) as u64);
}

#[tokio::test]
async fn ten_thousand_agents_in_backoff_and_as_many_dead_letters() {
    const AGENTS: usize = 10_000;
    let mut policy = StorePolicy {
        max_queue: 2 * AGENTS as u64,
        ..policy()
    };
    policy.breaker.lease_losses = 1;
    let (harness, _place) = alone(policy.clone()).await;
    let store = harness.store();
    add_many(&store, &one_each(AGENTS)).await;
    assert_eq!(claim_all(&store).await.len(), AGENTS);
    // Every host dies at once: every breaker opens.
    harness.advance(LEASE);
    assert_eq!(sweep(&store).await.recovered.len(), AGENTS);
    let stats = store.queue.stats().await.unwrap();
    assert_eq!((stats.agents_in_backoff, stats.delayed), (AGENTS as u64, AGENTS as u64));
    claim_none(&store).await;
    assert_eq!(store.agents.in_backoff(20).await.unwrap().len(), 20);

    harness.advance(policy.breaker.base);
    assert_eq!(sweep(&store).await.promoted, AGENTS as u64);
    let probes = claim_all(&store).await;
    assert_eq!(probes.len(), AGENTS);
    assert!(probes.iter().all(|claimed| claimed.probe));
    for part in probes.chunks(AT_ONCE) {
        let mut ending = Ending::new(Reason::Upstream, "");
        ending.permanent = true;
        let all: Vec<_> = part.iter().map(|claimed| completion(claimed, ending.clone())).collect();
        for answer in join_all(all.iter().map(|ended| store.queue.complete(ended))).await {
            assert_eq!(answer, Ok(Completed::Dead));
        }
    }
    requeue_at_once(&store, probes.iter().map(|claimed| claimed.item.id).collect()).await;
}

/// Put all of them back with one call, while a host renews its claim.
async fn requeue_at_once(store: &Store, dead: Vec<ItemId>) {
    add_ready(store, &direct("other")).await;
    let held = claim_one(store).await;
    assert_eq!(store.queue.stats().await.unwrap().dead, dead.len() as u64);
    let requeueing = tokio::spawn({
        let (store, dead) = (store.clone(), dead.clone());
        async move { store.queue.requeue_dead(&dead).await.unwrap() }
    });
    while !requeueing.is_finished() {
        let asked = Instant::now();
        assert!(renew(store, &held).await);
        assert!(asked.elapsed() < Duration::from_secs(2), "others are kept waiting");
    }
    let answers = requeueing.await.unwrap();
    assert_eq!(answers, vec![Requeued::Ready; dead.len()]);
    let stats = store.queue.stats().await.unwrap();
    assert_eq!((stats.dead, stats.queued.values().sum::<u64>()), (0, dead.len() as u64));
}
