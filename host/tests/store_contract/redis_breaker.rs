//! The breaker is written twice, in the domain and in the scripts: they must agree on every history.

use proptest::{
    prelude::Strategy,
    test_runner::{Config, TestRunner},
};
use tokio::runtime::Handle;
use warren::{
    domain::{breaker::Breaker, ending::Reason, time::UnixMillis, work_item::ItemState},
    ports::{
        store::{Store, StorePolicy},
        work_queue::{Claimed, ItemFilter},
    },
};

use super::{harness::Harness, redis::RedisHarness, support::*};

/// How an activation ends (`LeaseLost`: its lease runs out), and how long nothing happens afterwards.
fn history() -> impl Strategy<Value = Vec<(usize, u64)>> {
    proptest::collection::vec((0..Reason::ALL.len(), 0..1500u64), 1..60)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_and_domain_agree() {
    let handle = Handle::current();
    let checking = tokio::task::spawn_blocking(move || {
        let config = Config {
            cases: 12,
            failure_persistence: None,
            ..Config::default()
        };
        TestRunner::new(config).run(&history(), |steps| {
            handle.block_on(run(steps));
            Ok(())
        })
    });
    if let Err(failure) = checking.await.unwrap() {
        panic!("{failure}");
    }
}

async fn run(steps: Vec<(usize, u64)>) {
    let policy = StorePolicy {
        max_attempts: 1,
        ..policy()
    };
    let harness = RedisHarness::fresh(policy.clone()).await;
    let store = harness.store();
    let mut model = Breaker::default();
    for (reason, pause) in steps {
        let reason = Reason::ALL[reason];
        let claimed = ready(&harness, &store).await;
        if reason == Reason::LeaseLost {
            harness.advance(LEASE);
            sweep(&store).await;
            model.lease_lost(UnixMillis(harness.now()), &policy.breaker, 0.5);
        } else {
            end(&store, &claimed, reason).await;
            model.ended(UnixMillis(harness.now()), reason, &policy.breaker, 0.5);
        }
        assert_eq!(known(&store, "a").await.breaker, model, "after {reason}");
        harness.advance(seconds(pause));
    }
}

/// Claim an item of the agent, as soon as its breaker allows it.
async fn ready(harness: &RedisHarness, store: &Store) -> Claimed {
    let stats = store.queue.stats().await.unwrap();
    if stats.queued.values().sum::<u64>() + stats.delayed == 0 {
        add(store, &direct("a")).await;
    }
    loop {
        sweep(store).await;
        if let Some(claimed) = claim(store, 1).await.pop() {
            return claimed;
        }
        let delayed = ItemFilter {
            state: Some(ItemState::Delayed),
            limit: 10,
            ..ItemFilter::default()
        };
        let waiting = store.queue.items(&delayed).await.unwrap();
        let due = waiting
            .iter()
            .filter_map(|record| record.due_at)
            .min()
            .expect("it is delayed");
        harness.advance(due.since(UnixMillis(harness.now())));
    }
}
