//! Calls that come at the same time go to Redis as one, and are answered each by itself.

use std::time::Duration;

use futures_util::future::join_all;
use warren::{
    adapters::redis::StoreClock,
    domain::{
        ending::{Ending, Reason},
        ids::{ClaimToken, ItemId},
        time::BootTime,
        work_item::{ItemState, Priority, WorkItem},
    },
    ports::{
        standing_claim::StandingClaim,
        store::{Store, StoreError},
        work_queue::{ClaimRequest, Claimed, Completed, Completion, Enqueued},
    },
};

use super::{
    harness::Harness,
    redis::{PREFIX, RedisHarness, config, connect},
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
    let _ = tokio::time::timeout(Duration::ZERO, waiting).await;
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
        store.queue.wait_for_end(item.id, Duration::ZERO).await.unwrap();
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

/// A claim of one item that stands, as of an idle host.
fn stand(store: &Store, avoid: &[&str]) -> StandingClaim {
    let request = ClaimRequest {
        avoid: avoid.iter().map(|name| agent(name)).collect(),
        ..request(&host("h1"), 1)
    };
    store.queue.stand(request, Box::new(|| Some(BootTime::default())))
}

/// What it has claimed; nothing if it stood until now.
async fn brought(standing: StandingClaim) -> Option<Vec<Claimed>> {
    Some(standing.end().await?.unwrap().1)
}

fn ids(claimed: &[Claimed]) -> Vec<ItemId> {
    claimed.iter().map(|claimed| claimed.item.id).collect()
}

#[tokio::test]
async fn a_claim_that_stands_takes_the_best_of_what_is_enqueued_here() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    for name in ["a", "b", "low"] {
        run_direct(&store, name, Reason::Ok).await;
    }
    let low = || WorkItem {
        priority: Priority::Low,
        ..inbox("low", 1)
    };
    for n in 0..20 {
        for items in [
            vec![direct("a")],
            vec![inbox("b", 1)],
            vec![low(), direct("a"), direct("b")],
        ] {
            let best = items.iter().min_by_key(|item| item.priority).unwrap().id;
            let standing = stand(&store, &[]);
            let added = store.queue.enqueue(None, items.clone()).await.unwrap();
            assert_eq!(added, vec![Enqueued::Added(ItemState::Queued); items.len()]);
            let mut claimed = brought(standing).await.expect("it went");
            assert_eq!(ids(&claimed), [best], "round {n}");
            assert_eq!(claimed[0].waited, Duration::ZERO);
            // The others are there for whoever is woken.
            claimed.extend(claim(&store, 9).await);
            assert_eq!(claimed.len(), items.len());
            for claimed in claimed {
                end(&store, &claimed, Reason::Ok).await;
            }
        }
    }
}

#[tokio::test]
async fn a_claim_that_stands_takes_nothing_from_others() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    for name in ["a", "b"] {
        run_direct(&store, name, Reason::Ok).await;
    }
    // What another host enqueues is told by a wake-up.
    let other = connect(config(harness.folder(), &policy(), StoreClock::Redis)).await;
    let standing = stand(&store, &[]);
    let first = direct("a");
    add_ready(&other.store(), &first).await;
    store.queue.wait_for_work(seconds(3600)).await;
    // What is ready comes before what is enqueued then.
    add_ready(&store, &direct("b")).await;
    assert_eq!(brought(standing).await, Some(Vec::new()));
    let claimed = claim(&store, 2).await;
    assert_eq!(claimed[0].item.id, first.id);
    for claimed in claimed {
        end(&store, &claimed, Reason::Ok).await;
    }
    let standing = stand(&store, &["a"]);
    add_ready(&store, &direct("a")).await;
    assert_eq!(brought(standing).await, None, "it is left to others");
    claim_one(&store).await;
}

/// A call that comes late claims nothing that its sender would not hear of.
#[tokio::test]
async fn a_claim_that_has_been_made_again_is_not_made_a_second_time() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    for name in ["a", "b"] {
        run_direct(&store, name, Reason::Ok).await;
    }
    let request = request(&host("h1"), 1);
    add_ready(&store, &direct("a")).await;
    let claimed = store.queue.claim(&request).await.unwrap();
    let standing = store
        .queue
        .stand(request.clone(), Box::new(|| Some(BootTime::default())));
    let late = direct("b");
    add_ready(&store, &late).await;
    assert_eq!(brought(standing).await, Some(Vec::new()));
    assert_eq!(state(&store, &late).await, ItemState::Queued);
    assert_eq!(store.queue.claim(&request).await.unwrap(), claimed);
}

/// A key of the wrong type refuses the call before it has written anything.
#[tokio::test]
async fn a_claim_that_goes_along_writes_all_or_nothing() {
    for name in ["warren:leases", "work:active", "warren:ages", "warren:order"] {
        let key = &format!("{PREFIX}{name}");
        let harness = RedisHarness::fresh(policy()).await;
        let store = harness.store();
        run_direct(&store, "a", Reason::Ok).await;
        let _: () = harness.redis(&["SET", key, "wrong"]).await;
        let standing = stand(&store, &[]);
        let item = inbox("a", 1);
        let refused = store.queue.enqueue(None, vec![item.clone()]).await.unwrap_err();
        assert!(refused.to_string().contains(key), "{refused}");
        assert!(standing.end().await.unwrap().is_err());
        let _: () = harness.redis(&["DEL", key]).await;
        assert_eq!(store.queue.item(item.id).await.unwrap(), None, "{key}");
        add_ready(&store, &item).await;
        assert_eq!(claim_one(&store).await.item.id, item.id);
    }
}
