//! A store that is opened again after its user was killed.

use warren::{
    domain::{ending::Reason, ids::PluginName, plugin::Digest, work_item::ItemState},
    ports::{
        leadership::{Acquired, Inherited},
        store::StoreError,
        work_queue::{Completed, Fence},
    },
};

use super::{harness::Harness, leadership::bid, support::*};

pub async fn everything_answered_is_there<H: Harness>() {
    let mut harness = H::fresh(policy()).await;
    let store = harness.store();
    let items: Vec<_> = (0..50).map(|n| direct(&format!("a{n}"))).collect();
    for item in &items {
        add_ready(&store, item).await;
    }
    let claims = claim(&store, 10).await;
    for claimed in &claims[..5] {
        end(&store, claimed, Reason::Ok).await;
    }
    let before = store.queue.stats().await.unwrap();
    let incarnation = store.queue.health().await.unwrap().incarnation;
    drop(store);
    harness.reopen().await;
    let store = harness.store();
    assert_eq!(store.queue.stats().await.unwrap(), before);
    assert_eq!(store.queue.health().await.unwrap().incarnation, incarnation);
    for item in &items {
        assert_eq!(record(&store, item.id).await.item, *item);
    }
    assert_eq!(claim(&store, 100).await.len(), 40);
}

pub async fn claims_go_on<H: Harness>() {
    let mut harness = H::fresh(policy()).await;
    let store = harness.store();
    for name in ["a", "b"] {
        add_ready(&store, &direct(name)).await;
    }
    let request = request(&host("h1"), 2);
    let claims = store.queue.claim(&request).await.unwrap();
    end(&store, &claims[0], Reason::Ok).await;
    drop(store);
    harness.reopen().await;
    let store = harness.store();
    assert_eq!(store.queue.claim(&request).await.unwrap(), claims[1..]);
    assert_eq!(
        end(&store, &claims[0], Reason::Ok).await,
        Completed::Done,
        "the repeat of what was accepted before"
    );
    assert!(renew(&store, &claims[1]).await);
    harness.advance(LEASE + seconds(1));
    assert_eq!(sweep(&store).await.recovered.len(), 1);
    assert_eq!(record(&store, claims[1].item.id).await.state, ItemState::Queued);
    assert_eq!(
        try_end(&store, &claims[1], Reason::Ok).await,
        Err(StoreError::StaleClaim)
    );
}

pub async fn time_does_not_go_back<H: Harness>() {
    let mut harness = H::fresh(policy()).await;
    harness.advance(seconds(100_000));
    let store = harness.store();
    add_ready(&store, &direct("a")).await;
    let before = store.queue.health().await.unwrap().now;
    drop(store);
    harness.reopen().await;
    let store = harness.store();
    assert!(store.queue.health().await.unwrap().now >= before);
    harness.advance(seconds(1));
    assert!(
        store.queue.health().await.unwrap().now >= before + seconds(1),
        "and it goes on"
    );
}

pub async fn leadership_and_state_stay<H: Harness>() {
    let mut harness = H::fresh(policy()).await;
    let store = harness.store();
    let bid = bid("h1");
    let Acquired::Won(term) = store.leadership.acquire(&bid).await.unwrap() else {
        panic!("it is free")
    };
    let fence = Fence {
        holder: bid.holder.clone(),
        term,
    };
    store.leadership.save_state(&fence, "kept").await.unwrap();
    let echo = PluginName::new("echo").unwrap();
    store.plugins.generation(&echo, &Digest([1; 32])).await.unwrap();
    drop(store);
    harness.reopen().await;
    let store = harness.store();
    store.leadership.renew(&fence, seconds(9)).await.unwrap();
    let body = "kept".to_owned();
    assert_eq!(
        store.leadership.load_state().await.unwrap(),
        Inherited::State { term, body }
    );
    store.leadership.release(&fence).await.unwrap();
    let Acquired::Won(next) = store.leadership.acquire(&bid).await.unwrap() else {
        panic!("it is free")
    };
    assert!(next > term);
    assert_eq!(store.plugins.generation(&echo, &Digest([2; 32])).await.unwrap(), 2);
}
