//! The leader's lease and its terms.

use std::time::Duration;

use tokio::time::timeout;
use warren::{
    domain::{
        ids::{HolderId, Term},
        preference::Score,
    },
    ports::{
        leadership::{Acquired, Bid, Inherited},
        store::{Store, StoreError},
        work_queue::Fence,
    },
};

use super::{harness::Harness, support::*};

pub const TTL: Duration = Duration::from_secs(9);

pub fn bid(name: &str) -> Bid {
    Bid {
        holder: HolderId::fresh(host(name)),
        address: format!("{name}:9090"),
        ttl: TTL,
        score: Score(0),
        known: Term(0),
        waits: TTL,
    }
}

/// A bid of a host that is wanted so much.
fn wanted(name: &str, score: i32) -> Bid {
    Bid {
        score: Score(score),
        ..bid(name)
    }
}

/// How long the bidder has to leave the vacancy to others.
async fn waits(store: &Store, bid: &Bid) -> u128 {
    match store.leadership.acquire(bid).await.unwrap() {
        Acquired::Wait(span) => span.as_millis(),
        other => panic!("{other:?}"),
    }
}

async fn is_held(store: &Store, bid: &Bid) {
    let answer = store.leadership.acquire(bid).await.unwrap();
    assert!(matches!(answer, Acquired::Held(_)), "{answer:?}");
}

async fn candidates(store: &Store) -> Vec<(String, i32)> {
    let list = store.leadership.candidates().await.unwrap();
    list.iter().map(|c| (c.host.to_string(), c.score.0)).collect()
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
    let Acquired::Held(leader) = store.leadership.acquire(&b).await.unwrap() else {
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
    let mut waiters = [store.leadership.vacancies(), store.leadership.vacancies()];
    // Being heard from the beginning may be told as well; afterwards nothing is until something happens.
    let mut told = store.leadership.vacancies();
    while timeout(Duration::from_millis(200), told.changed()).await.is_ok() {}
    for waiter in &mut waiters {
        waiter.mark_unchanged();
        assert!(!waiter.has_changed().unwrap());
    }
    for _ in 0..2 {
        store.leadership.release(&first).await.unwrap();
    }
    for waiter in &mut waiters {
        timeout(DEADLINE, waiter.changed())
            .await
            .expect("all are told")
            .unwrap();
    }
    assert_eq!(store.leadership.leader().await.unwrap(), None);
}

pub async fn reservation_is_honoured<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let first = win(&store, &bid("a")).await;
    store.leadership.reserve(&first, &host("c"), seconds(2)).await.unwrap();
    store.leadership.release(&first).await.unwrap();
    assert_eq!(
        store.leadership.acquire(&bid("b")).await.unwrap(),
        Acquired::Wait(seconds(2))
    );
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

pub async fn the_best_that_waits_goes_first<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let [first, plain, better, best] =
        [("a", 9), ("b", 0), ("c", 1), ("d", 7)].map(|(name, score)| wanted(name, score));
    // Nobody waits yet: whoever comes first wins, whatever its score.
    let fence = win(&store, &first).await;
    for bid in [&plain, &best, &better] {
        is_held(&store, bid).await;
    }
    harness.advance(seconds(1));
    let now = [("d", 7), ("c", 1), ("b", 0)].map(|(name, score)| (name.to_owned(), score));
    assert_eq!(candidates(&store).await, now);
    store.leadership.release(&fence).await.unwrap();
    // By 50 ms for each point and 250 at most; the vacancy's beginning counts, not the bid's.
    assert_eq!(waits(&store, &better).await, 250);
    harness.advance(Duration::from_millis(100));
    assert_eq!(waits(&store, &plain).await, 150);
    let fence = win(&store, &best).await;
    assert_eq!(candidates(&store).await.len(), 2, "who leads waits no more");
    is_held(&store, &plain).await;
    is_held(&store, &better).await;

    // A lease that runs out is a vacancy from then on; the best has died with it.
    harness.advance(TTL - Duration::from_millis(1));
    is_held(&store, &plain).await;
    is_held(&store, &better).await;
    harness.advance(Duration::from_millis(11));
    assert_eq!(waits(&store, &plain).await, 40);
    harness.advance(Duration::from_millis(40));
    let second = win(&store, &plain).await;
    assert_eq!(second.term.0, fence.term.0 + 1);
}

pub async fn who_waits_no_more_holds_nobody_up<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let (plain, best) = (wanted("a", 0), wanted("b", 5));
    let fence = win(&store, &bid("x")).await;
    is_held(&store, &best).await;
    for _ in 0..2 {
        store.leadership.withdraw(&best.holder).await.unwrap();
    }
    assert_eq!(candidates(&store).await, []);
    store.leadership.release(&fence).await.unwrap();
    let fence = win(&store, &plain).await;

    // One that has died is forgotten when the time of its last bid is up.
    is_held(&store, &best).await;
    harness.advance(TTL - seconds(1));
    store.leadership.renew(&fence, TTL).await.unwrap();
    assert_eq!(candidates(&store).await.len(), 1);
    harness.advance(seconds(1));
    assert_eq!(candidates(&store).await, []);
    store.leadership.release(&fence).await.unwrap();
    win(&store, &plain).await;
}

pub async fn a_reservation_goes_before_preference<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let (chosen, best) = (wanted("a", 0), wanted("b", 5));
    let fence = win(&store, &bid("x")).await;
    is_held(&store, &chosen).await;
    is_held(&store, &best).await;
    store.leadership.reserve(&fence, &host("a"), seconds(2)).await.unwrap();
    store.leadership.release(&fence).await.unwrap();
    assert_eq!(waits(&store, &best).await, 2000);
    win(&store, &chosen).await;
}

/// I1, I7: a holder's terms grow whatever the store remembers, so that none of its old fences becomes good again.
pub async fn a_holder_s_terms_grow<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let a = bid("a");
    // As after a store that has lost its data: the bidder knows of terms that the store does not.
    let known = |term| Bid {
        known: Term(term),
        ..a.clone()
    };
    let first = win(&store, &known(41)).await;
    assert_eq!(first.term, Term(42));
    // As in a store that came back as it once was: the lease is held in a term that the bidder has left behind.
    let second = win(&store, &known(42)).await;
    assert_eq!(second.term, Term(43));
    assert_eq!(store.leadership.renew(&first, TTL).await, fenced(&first));
    assert_eq!(store.leadership.save_state(&first, "late").await, fenced(&first));
    store.leadership.renew(&second, TTL).await.unwrap();
    assert_eq!(win(&store, &known(42)).await, second, "a repeat");
}
