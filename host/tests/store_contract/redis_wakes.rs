//! Hosts that wait for work: the claim is sent with the wait, and what nobody needs is not asked.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use warren::{
    adapters::redis::StoreClock,
    domain::work_item::ItemState,
    ports::work_queue::{Claimed, GiveBack},
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

/// Until so many connections wait for a wake-up.
async fn until_blocked(harness: &RedisHarness, hosts: usize) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let clients: String = harness.redis(&["INFO", "clients"]).await;
        if clients.contains(&format!("blocked_clients:{hosts}\r")) {
            return;
        }
        assert!(Instant::now() < deadline, "{clients}");
    }
}

#[tokio::test]
async fn a_claim_goes_with_the_wait() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = connect(config(harness.folder(), &policy(), StoreClock::Redis))
        .await
        .store();
    let asked = request(&host("h1"), 4);
    let waiting = tokio::spawn({
        let (store, asked) = (store.clone(), asked.clone());
        async move { store.queue.claim_when_ready(&asked, seconds(3600)).await }
    });
    until_blocked(&harness, 1).await;
    let item = direct("a");
    add_ready(&harness.store(), &item).await;
    let claimed: Vec<Claimed> = timeout(DEADLINE, waiting).await.expect("woken").unwrap().unwrap();
    assert_eq!(claimed.iter().map(|c| c.item.id).collect::<Vec<_>>(), [item.id]);
    // A repeat tells the same, by either call.
    assert_eq!(store.queue.claim(&asked).await.unwrap(), claimed);
    let began = Instant::now();
    let nothing = request(&host("h1"), 4);
    let waited = store.queue.claim_when_ready(&nothing, Duration::from_millis(30)).await;
    assert_eq!(waited.unwrap(), []);
    assert!(began.elapsed() >= Duration::from_millis(30));
}

/// I9: whoever stops waiting takes nothing along.
#[tokio::test]
async fn a_wait_that_is_cut_claims_nothing_later() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = connect(config(harness.folder(), &policy(), StoreClock::Redis))
        .await
        .store();
    let waiting = tokio::spawn({
        let store = store.clone();
        async move {
            store
                .queue
                .claim_when_ready(&request(&host("h1"), 4), seconds(3600))
                .await
        }
    });
    until_blocked(&harness, 1).await;
    waiting.abort();
    until_blocked(&harness, 0).await;
    let item = direct("a");
    add_ready(&harness.store(), &item).await;
    let asked = request(&host("h2"), 1);
    let claimed = timeout(DEADLINE, store.queue.claim_when_ready(&asked, seconds(3600)))
        .await
        .expect("the wake-up is still there")
        .unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].item.id, item.id);
}

/// I7: a connection that is cut in the middle of a wait costs a moment, and the wait finds what came meanwhile.
#[tokio::test]
async fn a_wait_whose_connection_is_cut_goes_on() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = connect(config(harness.folder(), &policy(), StoreClock::Redis))
        .await
        .store();
    for round in 0..3 {
        let waiting = tokio::spawn({
            let store = store.clone();
            async move {
                store
                    .queue
                    .claim_when_ready(&request(&host("h1"), 4), seconds(3600))
                    .await
            }
        });
        until_blocked(&harness, 1).await;
        let _: i64 = harness
            .redis(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
            .await;
        until_blocked(&harness, 0).await;
        let item = direct(&format!("a{round}"));
        while store.queue.enqueue(None, vec![item.clone()]).await.is_err() {
            sleep(Duration::from_millis(10)).await;
        }
        let claimed = timeout(DEADLINE, waiting).await.expect("it ends").unwrap();
        // Cut once more, or what came.
        match claimed.as_deref() {
            Ok([claimed]) => assert_eq!(claimed.item.id, item.id),
            Ok([]) | Err(_) => {
                claim_item(&store, &item).await;
            }
            other => panic!("{other:?}"),
        }
    }
}

/// What a claim has found not to be there, a sweep need not look for.
#[tokio::test]
async fn an_idle_host_does_not_ask_twice() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = connect(config(harness.folder(), &policy(), StoreClock::Redis))
        .await
        .store();
    let looks = async || {
        let none = store
            .queue
            .claim_when_ready(&request(&host("h1"), 4), Duration::from_millis(5))
            .await;
        assert_eq!(none.unwrap(), []);
    };
    sweep(&store).await;
    looks().await;
    let before = commands(&harness).await;
    for _ in 0..10 {
        sweep(&store).await;
    }
    looks().await;
    // The wait, the claim, its one question; and what asks for these numbers.
    let spent = commands(&harness).await - before;
    assert!(spent <= 3 + 3, "{spent} commands");
    // What this host itself has put there is seen at once.
    let item = direct("a");
    add_ready(&store, &item).await;
    let claimed = claim_item(&store, &item).await;
    store
        .queue
        .give_back(
            item.id,
            claimed.token,
            GiveBack::PluginUnavailable {
                retry_after: Duration::from_millis(1),
            },
        )
        .await
        .unwrap();
    sleep(Duration::from_millis(5)).await;
    assert_eq!(sweep(&store).await.promoted, 1);
    assert_eq!(state(&store, &item).await, ItemState::Queued);
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
        waits.spawn(async move { wait_for_work(&store, seconds(3600)).await });
    }
    // All three block before the item comes.
    until_blocked(&harness, 3).await;
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
    let commands = async || commands(&harness).await;
    let (leads, follows) = (bid("a"), bid("b"));
    store.leadership.acquire(&leads).await.unwrap();
    let before = commands().await;
    // What a follower does in five seconds, with the waits of two.
    store.leadership.acquire(&follows).await.unwrap();
    let event = store.events.after(0, 10, seconds(2));
    let work = wait_for_work(&store, seconds(2));
    let (events, ()) = tokio::join!(event, work);
    assert_eq!(events.unwrap(), []);
    // The connections that ask for these numbers cost some themselves.
    let spent = commands().await - before;
    assert!(spent <= 12, "{spent} commands in two seconds");
}
