//! The queue as it is looked at.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};
use warren::{
    domain::{
        ending::Reason,
        ids::{ItemId, PluginName},
        plugin::Digest,
        work_item::{ItemState, Priority, TaskType, WorkItem},
    },
    ports::work_queue::ItemFilter,
};

use super::{harness::Harness, support::*};

pub async fn health_names_the_incarnation<H: Harness>() {
    let (a, b) = (H::fresh(policy()).await, H::fresh(policy()).await);
    let first = a.store().queue.health().await.unwrap();
    assert!(!first.incarnation.is_empty() && !first.description.is_empty());
    a.advance(seconds(5));
    let later = a.store().queue.health().await.unwrap();
    assert_eq!(later.incarnation, first.incarnation);
    assert_eq!(later.now.since(first.now), seconds(5));
    assert_ne!(b.store().queue.health().await.unwrap().incarnation, first.incarnation);
}

pub async fn fields_survive<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let item = WorkItem {
        priority: Priority::Low,
        inbox_count: 7,
        payload: Some("a \"quoted\" päyload\0with\nlines".to_owned()),
        min_interval: Duration::from_millis(1500),
        trace_context: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        ..direct("a")
    };
    add_ready(&store, &item).await;
    let kept = record(&store, item.id).await;
    assert_eq!(
        (kept.item, kept.state, kept.host),
        (item.clone(), ItemState::Queued, None)
    );
    let claimed = claim_one(&store).await;
    assert_eq!(claimed.item, item);
    let kept = record(&store, item.id).await;
    assert_eq!((kept.state, kept.host), (ItemState::Active, Some(host("h1"))));
    end(&store, &claimed, Reason::Ok).await;
    let kept = record(&store, item.id).await;
    assert_eq!(
        (kept.state, kept.host, kept.reason),
        (ItemState::Done, None, Some(Reason::Ok))
    );
    assert!(kept.ended_at.is_some());
    assert_eq!(store.queue.item(ItemId::fresh()).await.unwrap(), None);
}

pub async fn lists_by_filter<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let items = [inbox("a", 1), direct("a"), inbox("b", 1), discovery("b")];
    for item in &items {
        add_ready(&store, item).await;
    }
    let claimed = claim_item(&store, &items[0]).await;
    end(&store, &claimed, Reason::Ok).await;
    let list = async |filter: ItemFilter| -> Vec<ItemId> {
        store
            .queue
            .items(&filter)
            .await
            .unwrap()
            .iter()
            .map(|r| r.item.id)
            .collect()
    };
    let all = ItemFilter {
        limit: 10,
        ..ItemFilter::default()
    };
    let [first, second, third, fourth] = items.map(|item| item.id);
    assert_eq!(list(all.clone()).await, [fourth, third, second, first], "newest first");
    assert_eq!(
        list(ItemFilter {
            limit: 2,
            ..all.clone()
        })
        .await,
        [fourth, third]
    );
    assert_eq!(
        list(ItemFilter {
            agent: Some(agent("a")),
            ..all.clone()
        })
        .await,
        [second, first]
    );
    assert_eq!(
        list(ItemFilter {
            state: Some(ItemState::Done),
            ..all.clone()
        })
        .await,
        [first]
    );
    assert_eq!(
        list(ItemFilter {
            task_type: Some(TaskType::Inbox),
            ..all.clone()
        })
        .await,
        [third, first]
    );
    let both = ItemFilter {
        agent: Some(agent("b")),
        task_type: Some(TaskType::Discovery),
        ..all
    };
    assert_eq!(list(both).await, [fourth]);
}

pub async fn statistics_add_up<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    for item in [inbox("a", 1), inbox("b", 1), discovery("c"), direct("d")] {
        add_ready(&store, &item).await;
    }
    harness.advance(seconds(7));
    let stats = store.queue.stats().await.unwrap();
    assert_eq!(
        stats.queued.values().copied().collect::<Vec<_>>(),
        [3, 1, 0],
        "every priority is named"
    );
    assert_eq!(stats.oldest_queued, Some(seconds(7)));
    let claims = claim(&store, 3).await;
    add(&store, &direct("a")).await;
    end(&store, &claims[1], Reason::Ok).await;
    let item = claims.iter().find(|c| c.item.task_type == TaskType::Direct).unwrap();
    end(&store, item, Reason::Trap).await;
    let stats = store.queue.stats().await.unwrap();
    assert_eq!(stats.queued[&Priority::Normal], 1);
    assert_eq!((stats.waiting, stats.delayed, stats.held), (1, 1, 0));
    assert_eq!((stats.active, stats.done, stats.dead), (1, 1, 0));
    assert_eq!(stats.agents_in_backoff, 0);
}

pub async fn wakes_who_waits_for_work<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let started = Instant::now();
    store.queue.wait_for_work(Duration::from_millis(20)).await;
    assert!(started.elapsed() >= Duration::from_millis(20), "nothing to wake for");
    // Before the wait…
    add_ready(&store, &direct("a")).await;
    timeout(DEADLINE, store.queue.wait_for_work(seconds(3600)))
        .await
        .expect("the wake-up is kept");
    // …and during it.
    let waiter = tokio::spawn({
        let store = store.clone();
        async move { store.queue.wait_for_work(seconds(3600)).await }
    });
    tokio::task::yield_now().await;
    add_ready(&store, &direct("b")).await;
    timeout(DEADLINE, waiter).await.expect("woken").unwrap();
}

pub async fn wakes_who_waits_for_an_end<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let item = direct("a");
    add_ready(&store, &item).await;
    let early = store
        .queue
        .wait_for_end(item.id, Duration::from_millis(20))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(early.state, ItemState::Queued, "what is known when the time is up");
    let queue = Arc::clone(&store.queue);
    let waiter = tokio::spawn(async move { queue.wait_for_end(item.id, seconds(3600)).await });
    let claimed = claim_one(&store).await;
    end(&store, &claimed, Reason::Ok).await;
    let ended = timeout(DEADLINE, waiter)
        .await
        .expect("woken")
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!((ended.state, ended.reason), (ItemState::Done, Some(Reason::Ok)));
    let again = store
        .queue
        .wait_for_end(ended.item.id, seconds(3600))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(again, ended, "what has ended is answered at once");
    assert_eq!(
        store.queue.wait_for_end(ItemId::fresh(), seconds(3600)).await.unwrap(),
        None
    );
}

pub async fn generations_are_numbered<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let plugins = harness.store().plugins;
    let (echo, other) = (PluginName::new("echo").unwrap(), PluginName::new("other").unwrap());
    for (plugin, digest, number) in [
        (&echo, 1, 1),
        (&echo, 2, 2),
        (&other, 2, 1),
        (&echo, 1, 1),
        (&echo, 3, 3),
    ] {
        assert_eq!(plugins.generation(plugin, &Digest([digest; 32])).await.unwrap(), number);
    }
}
