//! The leader's lease and its terms.

use std::time::Duration;

use tokio::time::timeout;
use warren::{
    domain::ids::{HolderId, Term},
    ports::{
        leadership::{Acquired, Bid, Inherited},
        store::{Store, StoreError},
        work_queue::Fence,
    },
};

use super::{harness::Harness, support::*};

const TTL: Duration = Duration::from_secs(9);

pub fn bid(name: &str) -> Bid {
    Bid {
        holder: HolderId::fresh(host(name)),
        address: format!("{name}:9090"),
        ttl: TTL,
    }
}

async fn win(store: &Store, bid: &Bid) -> Fence {
    match store.leadership.acquire(bid).await.unwrap() {
        Acquired::Won(term) => Fence {
            holder: bid.holder.clone(),
            term,
        },
        held => panic!("{held:?}"),
    }
}

fn fenced<T>(fence: &Fence) -> Result<T, StoreError> {
    Err(StoreError::Fenced { term: fence.term })
}

pub async fn one_leader_and_growing_terms<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    assert_eq!(store.leadership.leader().await.unwrap(), None);
    // Two starts of one host are two holders.
    let (a, b) = (bid("h1"), bid("h1"));
    let first = win(&store, &a).await;
    harness.advance(seconds(2));
    let Acquired::Held(Some(leader)) = store.leadership.acquire(&b).await.unwrap() else {
        panic!("it is held")
    };
    assert_eq!(
        (&leader.host, leader.term, leader.address.as_str()),
        (&host("h1"), first.term, "h1:9090")
    );
    assert_eq!(
        (leader.holder.clone(), leader.remaining),
        (a.holder.to_string(), TTL - seconds(2))
    );
    assert_eq!(store.leadership.leader().await.unwrap(), Some(leader));
    harness.advance(TTL);
    assert_eq!(store.leadership.leader().await.unwrap(), None, "it ran out");
    let second = win(&store, &b).await;
    assert_eq!(second.term, Term(first.term.0 + 1));
}

pub async fn renewals_are_fenced<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let (a, b) = (bid("a"), bid("b"));
    let first = win(&store, &a).await;
    for _ in 0..3 {
        harness.advance(seconds(6));
        store.leadership.renew(&first, TTL).await.unwrap();
    }
    assert_eq!(
        store.leadership.leader().await.unwrap().unwrap().term,
        first.term,
        "renewing takes no term"
    );
    let forged = Fence {
        term: Term(first.term.0 + 1),
        ..first.clone()
    };
    assert_eq!(store.leadership.renew(&forged, TTL).await, fenced(&forged));
    harness.advance(TTL);
    assert_eq!(store.leadership.renew(&first, TTL).await, fenced(&first), "it ran out");
    let second = win(&store, &b).await;
    assert_eq!(store.leadership.renew(&first, TTL).await, fenced(&first));
    store.leadership.release(&first).await.unwrap();
    store.leadership.renew(&second, TTL).await.unwrap();
    // The same holder in a later term: its own old fence is no good either.
    store.leadership.release(&second).await.unwrap();
    let third = win(&store, &a).await;
    assert_eq!(store.leadership.renew(&first, TTL).await, fenced(&first));
    store.leadership.renew(&third, TTL).await.unwrap();
}

pub async fn fenced_enqueue<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let first = win(&store, &bid("a")).await;
    let enqueue = async |fence: &Fence| store.queue.enqueue(Some(fence), vec![inbox("x", 1)]).await;
    enqueue(&first).await.unwrap();
    harness.advance(TTL);
    assert_eq!(enqueue(&first).await, fenced(&first));
    let second = win(&store, &bid("b")).await;
    assert_eq!(enqueue(&first).await, fenced(&first));
    enqueue(&second).await.unwrap();
    assert_eq!(store.queue.stats().await.unwrap().queued.values().sum::<u64>(), 1);
}

pub async fn release_wakes<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let first = win(&store, &bid("a")).await;
    store.leadership.wait_for_vacancy(Duration::from_millis(20)).await;
    let waiter = tokio::spawn({
        let store = store.clone();
        async move { store.leadership.wait_for_vacancy(seconds(3600)).await }
    });
    tokio::task::yield_now().await;
    for _ in 0..2 {
        store.leadership.release(&first).await.unwrap();
    }
    timeout(DEADLINE, waiter).await.expect("woken").unwrap();
    assert_eq!(store.leadership.leader().await.unwrap(), None);
    timeout(DEADLINE, store.leadership.wait_for_vacancy(seconds(3600)))
        .await
        .expect("it is free");
}

pub async fn reservation_is_honoured<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let first = win(&store, &bid("a")).await;
    store.leadership.reserve(&first, &host("c"), seconds(2)).await.unwrap();
    store.leadership.release(&first).await.unwrap();
    assert_eq!(store.leadership.acquire(&bid("b")).await.unwrap(), Acquired::Held(None));
    let third = win(&store, &bid("c")).await;
    assert_eq!(
        store.leadership.reserve(&first, &host("b"), seconds(2)).await,
        fenced(&first)
    );
    store
        .leadership
        .reserve(&third, &host("gone"), seconds(2))
        .await
        .unwrap();
    store.leadership.release(&third).await.unwrap();
    harness.advance(seconds(2));
    win(&store, &bid("b")).await;
}

pub async fn state_is_inherited<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    assert_eq!(store.leadership.load_state().await.unwrap(), Inherited::Nothing);
    let first = win(&store, &bid("a")).await;
    store.leadership.save_state(&first, "{\"cursor\":1}").await.unwrap();
    store.leadership.release(&first).await.unwrap();
    assert_eq!(store.leadership.save_state(&first, "late").await, fenced(&first));
    win(&store, &bid("b")).await;
    assert_eq!(
        store.leadership.load_state().await.unwrap(),
        Inherited::State {
            term: first.term,
            body: "{\"cursor\":1}".to_owned()
        }
    );
}

pub async fn a_repeated_bid_extends<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let a = bid("a");
    let first = win(&store, &a).await;
    harness.advance(TTL - seconds(1));
    assert_eq!(win(&store, &a).await, first, "the same term");
    harness.advance(seconds(2));
    store.leadership.renew(&first, TTL).await.unwrap();
}
