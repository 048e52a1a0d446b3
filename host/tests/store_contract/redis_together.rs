//! Calls that come at the same time go to Redis as one, and are answered each by itself.

use std::{pin::pin, task::Poll};

use futures_util::{future::join_all, poll};
use tokio::join;
use warren::{
    adapters::redis::StoreClock,
    domain::{
        ending::{Ending, Reason},
        ids::ClaimToken,
        work_item::{ItemState, WorkItem},
    },
    ports::{
        store::StoreError,
        work_queue::{Completed, Completion, Enqueued},
    },
};

use super::{
    harness::Harness,
    redis::{RedisHarness, config, connect},
    support::*,
};

/// Calls of scripts so far.
async fn calls(harness: &RedisHarness) -> u64 {
    let stats: String = harness.redis(&["INFO", "commandstats"]).await;
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_fcall:calls="));
    line.unwrap().split(',').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn submits_and_ends_go_together() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    let items: Vec<WorkItem> = (0..50).map(|n| direct(&format!("a{n}"))).collect();
    let before = calls(&harness).await;
    let answers = join_all(items.iter().map(|item| add(&store, item))).await;
    assert!(
        answers
            .iter()
            .all(|answer| *answer == Enqueued::Added(ItemState::Queued)),
        "{answers:?}"
    );
    assert!(calls(&harness).await - before <= 2, "one by itself, and the rest");
    let claims = claim(&store, 50).await;
    let mut ends: Vec<Completion> = claims
        .iter()
        .map(|claimed| completion(claimed, Ending::new(Reason::Ok, "")))
        .collect();
    // One is stale, one fails, one comes twice.
    ends[7].token = ClaimToken::fresh();
    ends[8].ending = Ending::new(Reason::Trap, "oh");
    ends[9].generation = Some("p@1".to_owned());
    ends.push(ends[9].clone());
    let before = calls(&harness).await;
    let ended = join_all(ends.iter().map(|end| store.queue.complete(end))).await;
    assert!(calls(&harness).await - before <= 2);
    for (n, answer) in ended.into_iter().enumerate() {
        match n {
            7 => assert_eq!(answer, Err(StoreError::StaleClaim)),
            8 => assert!(matches!(answer, Ok(Completed::Retry { attempt: 2, .. })), "{answer:?}"),
            _ => assert_eq!(answer, Ok(Completed::Done)),
        }
    }
    let stats = store.queue.stats().await.unwrap();
    assert_eq!((stats.done, stats.active, stats.delayed), (48, 1, 1));
}

#[tokio::test]
async fn an_end_that_nobody_waits_for_any_more_is_one_all_the_same() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    let item = direct("a");
    add_ready(&store, &item).await;
    let claimed = claim_one(&store).await;
    let end = completion(&claimed, Ending::new(Reason::Ok, ""));
    let waiting = store.queue.complete(&end);
    // It is given up as soon as it has been asked.
    let _ = tokio::time::timeout(std::time::Duration::ZERO, waiting).await;
    let ended = store.queue.wait_for_end(item.id, DEADLINE).await.unwrap();
    assert_eq!(ended.unwrap().state, ItemState::Done);
}

#[tokio::test]
async fn who_comes_as_the_last_listener_leaves_misses_no_end() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    for n in 0..300 {
        let item = direct(&format!("a{n}"));
        add_ready(&store, &item).await;
        // Ends are listened to for somebody only: when this time is over, Redis is told to send no more of them.
        store
            .queue
            .wait_for_end(item.id, std::time::Duration::ZERO)
            .await
            .unwrap();
        let claimed = claim_one(&store).await;
        let end = completion(&claimed, Ending::new(Reason::Ok, ""));
        let (ended, done) = tokio::join!(
            tokio::time::timeout(DEADLINE, store.queue.wait_for_end(item.id, seconds(3600))),
            store.queue.complete(&end),
        );
        done.unwrap();
        assert_eq!(
            ended.expect("told").unwrap().unwrap().state,
            ItemState::Done,
            "round {n}"
        );
    }
}

#[tokio::test]
async fn wakes_up_again_while_there_is_something_left() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    for n in 0..3 {
        add_ready(&store, &direct(&format!("a{n}"))).await;
    }
    // However many wake-ups there were, who takes one item of several leaves one for the next who waits.
    for left in [3, 2, 1] {
        let waiting = store.queue.wait_for_work(seconds(3600));
        let woken = tokio::time::timeout(DEADLINE, waiting).await;
        assert!(woken.is_ok(), "{left} items are left");
        claim_one(&store).await;
    }
    claim_none(&store).await;
}

#[tokio::test]
async fn what_is_sent_from_here_is_found_by_a_claim_right_behind_it() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    let other = connect(config(harness.folder(), &policy(), StoreClock::Redis)).await;
    for n in 0..50 {
        let item = direct(&format!("a{n}"));
        let claim = async {
            store.queue.sent_from_here().await;
            claim(&store, 1).await
        };
        let (claimed, added) = join!(biased; claim, store.queue.enqueue(None, vec![item.clone()]));
        assert_eq!(added.unwrap(), [Enqueued::Added(ItemState::Queued)]);
        let claimed: Vec<_> = claimed.iter().map(|claimed| claimed.item.id).collect();
        assert_eq!(claimed, [item.id], "round {n}");
    }
    // What another host sends is told by a wake-up.
    let mut sent = pin!(store.queue.sent_from_here());
    assert_eq!(poll!(&mut sent), Poll::Pending);
    add_ready(&other.store(), &direct("another")).await;
    store.queue.wait_for_work(seconds(3600)).await;
    assert_eq!(poll!(sent), Poll::Pending);
}
