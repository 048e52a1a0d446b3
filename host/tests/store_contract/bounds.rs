//! Queues have a maximum length.

use warren::{
    domain::{
        ending::{Ending, Reason},
        work_item::{ItemState, Priority},
    },
    ports::{
        store::StorePolicy,
        work_queue::{Enqueued, Requeued},
    },
};

use super::{harness::Harness, support::*};

fn at_most(max_queue: u64) -> StorePolicy {
    StorePolicy { max_queue, ..policy() }
}

pub async fn refuses_at_the_limit_and_says_it<H: Harness>() {
    let harness = H::fresh(at_most(3)).await;
    let store = harness.store();
    let merged = inbox("a", 1);
    add_ready(&store, &merged).await;
    add_ready(&store, &direct("b")).await;
    claim_one(&store).await;
    // Active ones don't count, waiting and held ones do.
    assert_eq!(add(&store, &direct("a")).await, Enqueued::Added(ItemState::Waiting));
    store.agents.set_paused(&agent("b"), true).await.unwrap();
    assert_eq!(add(&store, &direct("b")).await, Enqueued::Added(ItemState::Held));
    assert_eq!(add(&store, &direct("c")).await, Enqueued::Full { limit: 3 });
    let into = merged.id;
    assert_eq!(
        add(&store, &inbox("a", 1)).await,
        Enqueued::Merged { into, news: false },
        "merging needs no room"
    );
    add_ready(&store, &discovery("c")).await;
}

pub async fn room_shrinks_and_comes_back<H: Harness>() {
    let harness = H::fresh(at_most(5)).await;
    let store = harness.store();
    let room = async || -> Vec<(Priority, u64)> { store.queue.room().await.unwrap() };
    assert_eq!(
        room().await,
        [(Priority::High, 5), (Priority::Normal, 5), (Priority::Low, 5)]
    );
    add_ready(&store, &inbox("a", 1)).await;
    add_ready(&store, &discovery("b")).await;
    assert_eq!(
        room().await,
        [(Priority::High, 4), (Priority::Normal, 4), (Priority::Low, 5)]
    );
    for claimed in claim(&store, 2).await {
        end(&store, &claimed, Reason::Ok).await;
    }
    assert_eq!(
        room().await,
        [(Priority::High, 5), (Priority::Normal, 5), (Priority::Low, 5)]
    );
}

pub async fn requeue_respects_the_limit<H: Harness>() {
    let harness = H::fresh(at_most(2)).await;
    let store = harness.store();
    let mut dead = Vec::new();
    for n in 0..3 {
        let item = direct(&format!("a{n}"));
        add_ready(&store, &item).await;
        let claimed = claim_one(&store).await;
        let permanent = Ending {
            permanent: true,
            ..Ending::new(Reason::GuestError, "no")
        };
        store.queue.complete(&completion(&claimed, permanent)).await.unwrap();
        dead.push(item.id);
    }
    assert_eq!(
        store.queue.requeue_dead(&dead).await.unwrap(),
        [Requeued::Ready, Requeued::Ready, Requeued::Full]
    );
    let stats = store.queue.stats().await.unwrap();
    assert_eq!((stats.queued[&Priority::High], stats.dead), (2, 1));
}
