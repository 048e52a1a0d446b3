//! One per agent and task type.

use warren::{
    domain::{ending::Reason, work_item::ItemState},
    ports::work_queue::Enqueued,
};

use super::{harness::Harness, support::*};

pub async fn same_agent_and_type_merge<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let first = inbox("a", 3);
    add_ready(&store, &first).await;
    add_ready(&store, &inbox("b", 1)).await;
    let merged = |news| Enqueued::Merged { into: first.id, news };
    assert_eq!(add(&store, &inbox("a", 2)).await, merged(false));
    assert_eq!(add(&store, &inbox("a", 3)).await, merged(false));
    assert_eq!(add(&store, &inbox("a", 5)).await, merged(true));
    assert_eq!(
        record(&store, first.id).await.item.inbox_count,
        5,
        "the larger count stays"
    );
    add_ready(&store, &discovery("a")).await;
    let claimed = claim_item(&store, &first).await;
    assert_eq!((claimed.item.inbox_count, claimed.item.attempt), (5, 1));
}

pub async fn direct_never_merges<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    for _ in 0..3 {
        add_ready(&store, &direct("a")).await;
    }
    assert_eq!(store.queue.stats().await.unwrap().queued.values().sum::<u64>(), 3);
}

pub async fn news_behind_an_active_item<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let active = inbox("a", 3);
    add_ready(&store, &active).await;
    let claimed = claim_item(&store, &active).await;
    let into = active.id;
    assert_eq!(
        add(&store, &inbox("a", 3)).await,
        Enqueued::Merged { into, news: false }
    );
    let news = inbox("a", 4);
    assert_eq!(add(&store, &news).await, Enqueued::Added(ItemState::Waiting));
    let into = news.id;
    assert_eq!(
        add(&store, &inbox("a", 4)).await,
        Enqueued::Merged { into, news: false }
    );
    assert_eq!(add(&store, &inbox("a", 6)).await, Enqueued::Merged { into, news: true });
    end(&store, &claimed, Reason::Ok).await;
    assert_eq!(claim_item(&store, &news).await.item.inbox_count, 6);

    let found = discovery("b");
    add_ready(&store, &found).await;
    claim_item(&store, &found).await;
    let into = found.id;
    assert_eq!(
        add(&store, &discovery("b")).await,
        Enqueued::Merged { into, news: false }
    );
}

pub async fn merges_into_delayed_and_held<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    run_direct(&store, "a", Reason::Upstream).await;
    let cooling = inbox("a", 1);
    assert_eq!(add(&store, &cooling).await, Enqueued::Added(ItemState::Delayed));
    let into = cooling.id;
    assert_eq!(add(&store, &inbox("a", 2)).await, Enqueued::Merged { into, news: true });
    assert_eq!(state(&store, &cooling).await, ItemState::Delayed);

    let held = inbox("b", 1);
    add_ready(&store, &held).await;
    assert!(store.agents.set_paused(&agent("b"), true).await.unwrap());
    assert_eq!(state(&store, &held).await, ItemState::Held);
    let into = held.id;
    assert_eq!(add(&store, &inbox("b", 2)).await, Enqueued::Merged { into, news: true });
}

pub async fn repeats_get_the_first_answer<H: Harness>() {
    let mut tight = policy();
    tight.max_queue = 2;
    let harness = H::fresh(tight).await;
    let store = harness.store();
    let paused = direct("p");
    add_ready(&store, &paused).await;
    store.agents.set_paused(&agent("p"), true).await.unwrap();
    let (added, merged, skipped) = (inbox("a", 1), inbox("a", 2), inbox("p", 1));
    let full = inbox("late", 1);
    let batch = vec![added.clone(), merged, skipped, full];
    let first = store.queue.enqueue(None, batch.clone()).await.unwrap();
    assert_eq!(first[0], Enqueued::Added(ItemState::Queued));
    assert_eq!(
        first[1],
        Enqueued::Merged {
            into: added.id,
            news: true
        }
    );
    assert!(
        matches!(&first[2], Enqueued::Skipped { reason } if reason.contains("paused")),
        "{first:?}"
    );
    assert_eq!(first[3], Enqueued::Full { limit: 2 });
    assert_eq!(store.queue.enqueue(None, batch.clone()).await.unwrap(), first);
    // Whatever has happened meanwhile: room, a resumed agent, an item that ended.
    store.agents.set_paused(&agent("p"), false).await.unwrap();
    for claimed in claim(&store, 2).await {
        end(&store, &claimed, Reason::Ok).await;
    }
    assert_eq!(store.queue.enqueue(None, batch).await.unwrap(), first);
    assert_eq!(state(&store, &added).await, ItemState::Done);
    claim_none(&store).await;
}
