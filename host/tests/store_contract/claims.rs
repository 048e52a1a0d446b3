//! What a claim gets, and in which order.

use warren::{
    domain::{
        ending::Reason,
        work_item::{ItemState, Priority, WorkItem},
    },
    ports::work_queue::{ClaimRequest, GiveBack},
};

use super::{harness::Harness, support::*};

pub async fn in_order_of_enqueueing<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let items: Vec<WorkItem> = (0..20).map(|n| direct(&format!("a{n}"))).collect();
    let answers = store.queue.enqueue(None, items.clone()).await.unwrap();
    assert_eq!(answers.len(), items.len());
    let mut claimed = claim(&store, 7).await;
    claimed.extend(claim(&store, 100).await);
    let ids: Vec<_> = claimed.iter().map(|c| c.item.id).collect();
    assert_eq!(ids, items.iter().map(|item| item.id).collect::<Vec<_>>());
    claim_none(&store).await;
}

pub async fn strictly_by_priority_without_a_share<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let with = |name: &str, priority| WorkItem {
        priority,
        ..direct(name)
    };
    let items = [
        with("a", Priority::Low),
        with("b", Priority::Normal),
        with("c", Priority::High),
        with("d", Priority::Low),
        with("e", Priority::High),
    ];
    for item in &items {
        add_ready(&store, item).await;
    }
    for expected in [2, 4, 1, 0, 3] {
        claim_item(&store, &items[expected]).await;
    }
}

pub async fn one_per_agent<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let (first, second, other) = (direct("a"), direct("a"), direct("b"));
    for item in [&first, &second, &other] {
        add_ready(&store, item).await;
    }
    let claims = claim(&store, 10).await;
    assert_eq!(
        claims.iter().map(|c| c.item.id).collect::<Vec<_>>(),
        [first.id, other.id]
    );
    assert_eq!(state(&store, &second).await, ItemState::Waiting);
    let third = direct("a");
    add(&store, &third).await;
    assert_eq!(
        state(&store, &third).await,
        ItemState::Waiting,
        "enqueued behind an active item"
    );
    end(&store, &claims[0], Reason::Ok).await;
    assert_eq!(
        state(&store, &second).await,
        ItemState::Queued,
        "ready in the same step"
    );
    assert_eq!(state(&store, &third).await, ItemState::Waiting);
    claim_item(&store, &second).await;
}

pub async fn ending_readies_the_best_waiting<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let active = direct("a");
    add_ready(&store, &active).await;
    let claimed = claim_item(&store, &active).await;
    let low = WorkItem {
        priority: Priority::Low,
        ..direct("a")
    };
    let high = direct("a");
    for item in [&low, &high] {
        add(&store, item).await;
    }
    end(&store, &claimed, Reason::Ok).await;
    let claimed = claim_item(&store, &high).await;
    end(&store, &claimed, Reason::Ok).await;
    claim_item(&store, &low).await;
}

pub async fn same_tokens_get_the_same_claims<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    for n in 0..5 {
        add_ready(&store, &direct(&format!("a{n}"))).await;
    }
    let request = request(&host("h1"), 3);
    let first = store.queue.claim(&request).await.unwrap();
    assert_eq!(first.len(), 3);
    harness.advance(seconds(1));
    assert_eq!(
        store.queue.claim(&request).await.unwrap(),
        first,
        "also what was answered of waiting times"
    );
    assert_eq!(store.queue.stats().await.unwrap().active, 3);
}

pub async fn ended_tokens_claim_nothing<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    for n in 0..9 {
        add_ready(&store, &direct(&format!("a{n}"))).await;
    }
    let request = request(&host("h1"), 3);
    let claims = store.queue.claim(&request).await.unwrap();
    end(&store, &claims[0], Reason::Ok).await;
    store
        .queue
        .give_back(claims[1].item.id, claims[1].token, GiveBack::Shutdown)
        .await
        .unwrap();
    assert_eq!(store.queue.claim(&request).await.unwrap(), claims[2..]);
    harness.advance(LEASE + seconds(1));
    sweep(&store).await;
    assert_eq!(
        store.queue.claim(&request).await.unwrap(),
        [],
        "all of its claims have ended"
    );
    assert_eq!(claim(&store, 9).await.len(), 8);
}

pub async fn avoided_agents_are_left<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let (avoided, other) = (direct("a"), direct("b"));
    for item in [&avoided, &other] {
        add_ready(&store, item).await;
    }
    let picky = ClaimRequest {
        avoid: vec![agent("a")],
        ..request(&host("h1"), 5)
    };
    let claims = store.queue.claim(&picky).await.unwrap();
    assert_eq!(claims.iter().map(|c| c.item.id).collect::<Vec<_>>(), [other.id]);
    let another = store.queue.claim(&request(&host("h2"), 5)).await.unwrap();
    assert_eq!(another[0].item.id, avoided.id, "ready for a host that can run it");
}

/// What a claim moves out of the way may make another item of its agent ready, before what the claim has walked past.
pub async fn what_a_claim_makes_ready_it_finds<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let (first, older) = (inbox("a", 1), direct("a"));
    let normal = WorkItem {
        priority: Priority::Normal,
        ..older
    };
    for item in [&first, &normal] {
        add_ready(&store, item).await;
    }
    let claimed = claim(&store, 2).await;
    assert_eq!(claimed.len(), 1, "the other waits behind it");
    let too_soon = WorkItem {
        min_interval: seconds(20),
        ..inbox("a", 2)
    };
    add(&store, &too_soon).await;
    add_ready(&store, &discovery("avoided")).await;
    end(&store, &claimed[0], Reason::Ok).await;
    let picky = ClaimRequest {
        avoid: vec![agent("avoided")],
        ..request(&host("h1"), 1)
    };
    let found = store.queue.claim(&picky).await.unwrap();
    assert_eq!(found.iter().map(|c| c.item.id).collect::<Vec<_>>(), [normal.id]);
    assert_eq!(state(&store, &too_soon).await, ItemState::Delayed);
}

pub async fn many_unready_items_do_not_hide_a_ready_one<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let mut items: Vec<WorkItem> = (0..1000).map(|_| direct("busy")).collect();
    let ready = direct("other");
    items.push(ready.clone());
    store.queue.enqueue(None, items).await.unwrap();
    claim_one(&store).await;
    claim_item(&store, &ready).await;
    claim_none(&store).await;
    assert_eq!(store.queue.stats().await.unwrap().waiting, 999);
}

pub async fn says_how_long_it_waited<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    add_ready(&store, &direct("a")).await;
    harness.advance(seconds(3));
    let claimed = claim_one(&store).await;
    assert_eq!((claimed.waited, claimed.probe), (seconds(3), false));
    add(&store, &direct("a")).await;
    harness.advance(seconds(20));
    end(&store, &claimed, Reason::Ok).await;
    harness.advance(seconds(2));
    assert_eq!(
        claim_one(&store).await.waited,
        seconds(2),
        "since it was ready, not since it was made"
    );
}
