//! Hosts that wait for work: one wake-up is for one of them, and they cost Redis next to nothing.

use std::time::{Duration, Instant};

use tokio::time::timeout;
use warren::{
    adapters::redis::StoreClock,
    domain::{ending::Reason, work_item::ItemState},
    ports::work_queue::GiveBack,
};

use super::{
    harness::Harness,
    leadership::bid,
    redis::{RedisHarness, config, connect},
    support::*,
};

/// Commands so far, those inside of scripts included.
async fn commands(harness: &RedisHarness) -> u64 {
    let stats: String = harness.redis(&["INFO", "stats"]).await;
    let line = stats
        .lines()
        .find_map(|line| line.strip_prefix("total_commands_processed:"));
    line.unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn one_wake_up_wakes_one_host() {
    let harness = RedisHarness::fresh(policy()).await;
    let mut hosts = Vec::new();
    for _ in 0..3 {
        let store = connect(config(harness.folder(), &policy(), StoreClock::Redis)).await;
        hosts.push(store);
    }
    let mut waits = tokio::task::JoinSet::new();
    for host in &hosts {
        let store = host.store();
        waits.spawn(async move { store.queue.wait_for_work(seconds(3600)).await });
    }
    // All three block before the item comes.
    let deadline = Instant::now() + DEADLINE;
    loop {
        let clients: String = harness.redis(&["INFO", "clients"]).await;
        if clients.contains("blocked_clients:3") {
            break;
        }
        assert!(Instant::now() < deadline, "{clients}");
    }
    add_ready(&harness.store(), &direct("a")).await;
    timeout(DEADLINE, waits.join_next())
        .await
        .expect("one is woken")
        .unwrap()
        .unwrap();
    assert!(
        timeout(Duration::from_millis(200), waits.join_next()).await.is_err(),
        "and no other"
    );
    add_ready(&harness.store(), &direct("b")).await;
    timeout(DEADLINE, waits.join_next())
        .await
        .expect("the next is woken")
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn an_idle_host_costs_redis_next_to_nothing() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    let (leads, follows) = (bid("a"), bid("b"));
    store.leadership.acquire(&leads).await.unwrap();
    let before = commands(&harness).await;
    // What a follower does in five seconds, with the waits of two.
    store.leadership.acquire(&follows).await.unwrap();
    let event = store.events.after(0, 10, seconds(2));
    let work = store.queue.wait_for_work(seconds(2));
    let (events, ()) = tokio::join!(event, work);
    assert_eq!(events.unwrap(), []);
    // The connections that ask for these numbers cost some themselves.
    let spent = commands(&harness).await - before;
    assert!(spent <= 12, "{spent} commands in two seconds");
}

/// What a claim has found not to be there, a sweep need not look for.
#[tokio::test]
async fn an_idle_host_does_not_ask_twice() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = connect(config(harness.folder(), &policy(), StoreClock::Redis))
        .await
        .store();
    sweep(&store).await;
    assert_eq!(claim(&store, 4).await, []);
    let before = commands(&harness).await;
    for _ in 0..10 {
        sweep(&store).await;
    }
    for _ in 0..10 {
        assert_eq!(claim(&store, 4).await, []);
    }
    // A question for each claim; and what asks for these numbers.
    let spent = commands(&harness).await - before;
    assert!(spent <= 10 + 3, "{spent} commands");
    // What another host has put there is seen, whether the wake-up comes or not.
    let item = direct("b");
    add_ready(&harness.store(), &item).await;
    end(&store, &claim_item(&store, &item).await, Reason::Ok).await;
    // What this host itself has put there is seen at once.
    let item = direct("a");
    add_ready(&store, &item).await;
    let claimed = claim_item(&store, &item).await;
    let retry_after = Duration::from_millis(1);
    let why = GiveBack::PluginUnavailable { retry_after };
    store.queue.give_back(item.id, claimed.token, why).await.unwrap();
    tokio::time::sleep(5 * retry_after).await;
    assert_eq!(sweep(&store).await.promoted, 1);
    assert_eq!(state(&store, &item).await, ItemState::Queued);
}
