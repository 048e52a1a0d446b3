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
    ports::{
        store::Store,
        work_queue::{ItemFilter, Requeued},
    },
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

/// All places of a filter, a page at a time, as somebody would who reads on.
async fn read_on(store: &Store, mut filter: ItemFilter) -> Vec<ItemId> {
    let mut read = Vec::new();
    loop {
        let page = store.queue.page(&filter).await.unwrap();
        assert!(page.items.len() <= filter.limit as usize);
        read.extend(page.items.iter().map(|record| record.item.id));
        match page.next {
            Some(next) => filter.after = Some(next),
            None => return read,
        }
    }
}

pub async fn pages_go_on_where_the_last_one_ended<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let mut items = Vec::new();
    for n in 0..7 {
        let item = direct(&format!("a{}", n % 2));
        add(&store, &item).await;
        items.push(item.id);
    }
    let filter = ItemFilter {
        limit: 3,
        ..ItemFilter::default()
    };
    let newest_first: Vec<_> = items.iter().rev().copied().collect();
    assert_eq!(read_on(&store, filter.clone()).await, newest_first);
    let oldest_first = ItemFilter {
        oldest_first: true,
        ..filter.clone()
    };
    assert_eq!(read_on(&store, oldest_first.clone()).await, items);
    let of_one = ItemFilter {
        agent: Some(agent("a1")),
        limit: 1,
        ..oldest_first
    };
    assert_eq!(read_on(&store, of_one).await, [items[1], items[3], items[5]]);

    // What comes meanwhile shows on no later page.
    let first = store.queue.page(&filter).await.unwrap();
    add(&store, &direct("a0")).await;
    let second = ItemFilter {
        after: first.next,
        ..filter
    };
    let second = store.queue.page(&second).await.unwrap();
    let ids: Vec<_> = second.items.iter().map(|record| record.item.id).collect();
    assert_eq!(ids, newest_first[3..6]);
}

pub async fn dead_items_are_read_in_both_directions<H: Harness>() {
    let mut once = policy();
    once.max_attempts = 1;
    let harness = H::fresh(once).await;
    let store = harness.store();
    assert_eq!(store.queue.stats().await.unwrap().oldest_dead, None);
    let mut dead = Vec::new();
    for (n, reason) in [Reason::Trap, Reason::GuestError, Reason::Trap, Reason::Deadline]
        .into_iter()
        .enumerate()
    {
        // Others in between.
        run_direct(&store, &format!("fine{n}"), Reason::Ok).await;
        let item = direct(&format!("a{n}"));
        add(&store, &item).await;
        let claimed = claim_item(&store, &item).await;
        end(&store, &claimed, reason).await;
        harness.advance(seconds(10));
        dead.push(item.id);
    }
    assert_eq!(store.queue.stats().await.unwrap().oldest_dead, Some(seconds(40)));
    let filter = ItemFilter {
        state: Some(ItemState::Dead),
        limit: 3,
        oldest_first: true,
        ..ItemFilter::default()
    };
    assert_eq!(read_on(&store, filter.clone()).await, dead);
    let newest_first = ItemFilter {
        oldest_first: false,
        ..filter.clone()
    };
    assert_eq!(
        read_on(&store, newest_first).await,
        dead.iter().rev().copied().collect::<Vec<_>>()
    );
    let trapped = ItemFilter {
        reason: Some(Reason::Trap),
        limit: 1,
        ..filter.clone()
    };
    assert_eq!(read_on(&store, trapped).await, [dead[0], dead[2]]);

    // One that is put back and dies again has a new place, behind the others: who reads on meets it once more at the end.
    store.queue.requeue_dead(&dead[..1]).await.unwrap();
    assert_eq!(store.queue.stats().await.unwrap().oldest_dead, Some(seconds(30)));
    let claimed = claim_one(&store).await;
    assert_eq!(claimed.item.id, dead[0]);
    end(&store, &claimed, Reason::Trap).await;
    assert_eq!(read_on(&store, filter).await, [dead[1], dead[2], dead[3], dead[0]]);
}

/// The bad day: somebody requeues 10,000 dead letters at once, into a queue that holds fewer.
pub async fn ten_thousand_dead_items_are_requeued_as_far_as_there_is_room<H: Harness>() {
    const ALL: usize = 10_000;
    const ROOM: usize = 9_000;
    let mut once = policy();
    (once.max_attempts, once.max_queue) = (1, ROOM as u64);
    let harness = H::fresh(once).await;
    let store = harness.store();
    for n in 0..ALL / 500 {
        let items: Vec<_> = (0..500).map(|m| direct(&format!("a{}", n * 500 + m))).collect();
        store.queue.enqueue(None, items).await.unwrap();
        let claims = claim(&store, 500).await;
        assert_eq!(claims.len(), 500);
        let ends = claims.iter().map(|claimed| end(&store, claimed, Reason::Trap));
        futures_util::future::join_all(ends).await;
    }
    let mut filter = ItemFilter {
        state: Some(ItemState::Dead),
        limit: 500,
        oldest_first: true,
        ..ItemFilter::default()
    };
    let (mut ready, mut full, mut pages) = (0, 0, 0);
    loop {
        let page = store.queue.page(&filter).await.unwrap();
        pages += 1;
        let ids: Vec<_> = page.items.iter().map(|record| record.item.id).collect();
        for answer in store.queue.requeue_dead(&ids).await.unwrap() {
            match answer {
                Requeued::Ready => ready += 1,
                Requeued::Full => full += 1,
                Requeued::NotDead => panic!("nobody else touches them"),
            }
        }
        match page.next {
            Some(next) => filter.after = Some(next),
            None => break,
        }
    }
    assert_eq!((ready, full), (ROOM, ALL - ROOM));
    assert!(pages <= ALL / 500 + 1, "{pages} pages");
    let stats = store.queue.stats().await.unwrap();
    assert_eq!(
        (stats.queued[&Priority::High], stats.dead),
        (ROOM as u64, (ALL - ROOM) as u64)
    );
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
