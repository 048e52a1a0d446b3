//! The event stream.

use std::time::Duration;

use tokio::time::timeout;
use warren::{
    domain::event::NewEvent,
    ports::store::{Store, StorePolicy},
};

use super::{harness::Harness, support::*};

async fn append(store: &Store, detail: &str) {
    let event = NewEvent {
        kind: "became_leader",
        host: Some(host("h1")),
        agent: None,
        item: None,
        detail: detail.to_owned(),
    };
    store.events.append(event).await.unwrap();
}

async fn after(store: &Store, seq: u64, limit: u32) -> Vec<(u64, String)> {
    let events = store.events.after(seq, limit, Duration::ZERO).await.unwrap();
    events.into_iter().map(|event| (event.seq, event.detail)).collect()
}

pub async fn in_order_and_after<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    assert_eq!(store.events.latest().await.unwrap(), 0);
    for detail in ["a", "b", "c"] {
        append(&store, detail).await;
    }
    let all = after(&store, 0, 10).await;
    assert_eq!(
        all.iter().map(|(_, detail)| detail.as_str()).collect::<Vec<_>>(),
        ["a", "b", "c"]
    );
    assert!(all.is_sorted_by(|a, b| a.0 < b.0));
    assert_eq!(after(&store, 0, 2).await, all[..2]);
    assert_eq!(after(&store, all[0].0, 10).await, all[1..]);
    assert_eq!(store.events.latest().await.unwrap(), all[2].0);
    let first = store.events.after(0, 1, Duration::ZERO).await.unwrap().remove(0);
    assert_eq!(
        (first.kind.as_str(), first.host, first.agent),
        ("became_leader", Some(host("h1")), None)
    );
}

pub async fn waits_for_the_next<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    append(&store, "a").await;
    let seq = store.events.latest().await.unwrap();
    assert_eq!(
        store.events.after(seq, 10, Duration::from_millis(20)).await.unwrap(),
        []
    );
    let waiter = tokio::spawn({
        let store = store.clone();
        async move { store.events.after(seq, 10, seconds(3600)).await }
    });
    tokio::task::yield_now().await;
    append(&store, "b").await;
    let events = timeout(DEADLINE, waiter).await.expect("woken").unwrap().unwrap();
    assert_eq!((events.len(), events[0].detail.as_str()), (1, "b"));
}

pub async fn bounded<H: Harness>() {
    let keep_ten = StorePolicy {
        keep_events: 10,
        ..policy()
    };
    let harness = H::fresh(keep_ten).await;
    let store = harness.store();
    for n in 0..25 {
        append(&store, &n.to_string()).await;
    }
    sweep(&store).await;
    let kept = after(&store, 0, 100).await;
    assert_eq!(kept.len(), 10);
    assert_eq!(kept[9], (store.events.latest().await.unwrap(), "24".to_owned()));
}
