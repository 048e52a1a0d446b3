//! The keys that operators of old know, and a Python coordinator on the same Redis.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use warren::{
    domain::{
        ending::Reason,
        work_item::{ItemState, Priority},
    },
    ports::{
        agent_records::BreakerCommand,
        leadership::Acquired,
        store::{Store, StoreError, StorePolicy},
        work_queue::{Claimed, Enqueued, Fence, ItemFilter},
    },
};

use super::{
    harness::Harness,
    leadership::bid,
    redis::{PREFIX, RedisHarness},
    support::*,
};

fn key(name: &str) -> String {
    format!("{PREFIX}{name}")
}

async fn list(harness: &RedisHarness, name: &str) -> Vec<String> {
    harness.redis(&["LRANGE", &key(name), "0", "-1"]).await
}

async fn hash(harness: &RedisHarness, name: &str) -> BTreeMap<String, String> {
    harness.redis(&["HGETALL", &key(name)]).await
}

async fn push(harness: &RedisHarness, entry: &str) {
    let _: i64 = harness.redis(&["LPUSH", &key("work:queue:high"), entry]).await;
}

/// What a Python coordinator pushes.
fn of_python(name: &str, inbox_count: u32, created_at: f64) -> String {
    let entry = json!({
        "agent_id": format!("id-{name}"), "agent_name": name, "task_type": "inbox", "priority": "high",
        "inbox_count": inbox_count, "created_at": created_at,
    });
    entry.to_string()
}

fn no_retries() -> StorePolicy {
    StorePolicy {
        max_attempts: 1,
        ..policy()
    }
}

async fn open(store: &Store, name: &str) {
    for _ in 0..policy().breaker.threshold {
        run_direct(store, name, Reason::Trap).await;
    }
}

async fn kinds(store: &Store) -> Vec<String> {
    let events = store.events.after(0, 100, Duration::ZERO).await.unwrap();
    events.into_iter().map(|event| event.kind).collect()
}

#[tokio::test]
async fn ready_items_show_in_the_lists_of_old() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    let (first, second) = (inbox("a", 3), inbox("b", 1));
    for item in [&first, &second, &discovery("c"), &direct("d")] {
        add_ready(&store, item).await;
    }
    let high = list(&harness, "work:queue:high").await;
    assert_eq!((high.len(), list(&harness, "work:queue:normal").await.len()), (2, 1));
    let oldest: Value = serde_json::from_str(&high[1]).unwrap();
    let expected = json!({
        "id": first.id.to_string(), "agent_id": "id-a", "agent_name": "a", "task_type": "inbox", "priority": "high",
        "inbox_count": 3, "created_at": 1_700_000_000.0,
    });
    assert_eq!(oldest, expected, "taken right");
    let claims = claim(&store, 2).await;
    let active = hash(&harness, "work:active").await;
    assert_eq!(
        active.into_iter().collect::<Vec<_>>(),
        [
            ("id-a".to_owned(), "h1".to_owned()),
            ("id-b".to_owned(), "h1".to_owned())
        ]
    );
    assert!(list(&harness, "work:queue:high").await.is_empty());
    end(&store, &claims[0], Reason::Ok).await;
    harness.advance(LEASE + seconds(1));
    sweep(&store).await;
    assert!(hash(&harness, "work:active").await.is_empty());
    assert_eq!(list(&harness, "work:queue:high").await.len(), 1, "recovered");
    store.agents.set_paused(&agent("b"), true).await.unwrap();
    assert!(list(&harness, "work:queue:high").await.is_empty(), "held");
}

#[tokio::test]
async fn breakers_show_as_backoff_and_failures() {
    let harness = RedisHarness::fresh(no_retries()).await;
    let store = harness.store();
    run_direct(&store, "a", Reason::Trap).await;
    assert_eq!(hash(&harness, "work:failures").await["id-a"], "1");
    assert!(hash(&harness, "work:backoff").await.is_empty());
    open(&store, "b").await;
    let until = (harness.now() / 1000 + 60).to_string();
    assert_eq!(hash(&harness, "work:backoff").await["id-b"], until);
    store
        .agents
        .command_breaker(&agent("a"), BreakerCommand::ForceOpen)
        .await
        .unwrap();
    let far: i64 = hash(&harness, "work:backoff").await["id-a"].parse().unwrap();
    assert!(far > harness.now() / 1000 + 10 * 365 * 86_400);
    for name in ["a", "b"] {
        store
            .agents
            .command_breaker(&agent(name), BreakerCommand::Reset)
            .await
            .unwrap();
    }
    assert!(hash(&harness, "work:backoff").await.is_empty() && hash(&harness, "work:failures").await.is_empty());
}

#[tokio::test]
async fn a_deleted_backoff_is_an_operators_reset() {
    let harness = RedisHarness::fresh(no_retries()).await;
    let store = harness.store();
    for name in ["a", "b", "c"] {
        open(&store, name).await;
    }
    let reset = async |name: &str| {
        let _: i64 = harness
            .redis(&["HDEL", &key("work:backoff"), &format!("id-{name}")])
            .await;
    };
    reset("a").await;
    add_ready(&store, &inbox("a", 1)).await;
    assert_eq!(known(&store, "a").await.breaker.failures, 0);
    let delayed = direct("b");
    assert_eq!(add(&store, &delayed).await, Enqueued::Added(ItemState::Delayed));
    reset("b").await;
    sweep(&store).await;
    assert_eq!(state(&store, &delayed).await, ItemState::Queued, "a sweep has seen it");
    assert_eq!(
        kinds(&store)
            .await
            .iter()
            .filter(|kind| *kind == "breaker_reset")
            .count(),
        2
    );
    // Once due, a missing field means half-open and nothing else.
    harness.advance(seconds(60));
    reset("c").await;
    sweep(&store).await;
    assert_eq!(known(&store, "c").await.breaker.failures, policy().breaker.threshold);
}

async fn claim_of(store: &Store, name: &str) -> Claimed {
    let claimed = claim_one(store).await;
    assert_eq!(claimed.item.agent_name.as_str(), name);
    claimed
}

#[tokio::test]
async fn items_of_a_python_coordinator_are_adopted() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    let now = harness.now() as f64 / 1000.0;
    push(&harness, &of_python("p", 2, now + 0.25)).await;
    push(&harness, &of_python("q", 1, now)).await;
    // Another of the same agent: merged, with the larger count.
    push(&harness, &of_python("p", 4, now + 1.0)).await;
    let claimed = claim_of(&store, "p").await;
    let item = &claimed.item;
    assert_eq!((item.inbox_count, item.attempt, item.priority), (4, 1, Priority::High));
    assert_eq!(item.created_at.0, harness.now() + 250);
    assert_eq!(record(&store, item.id).await.item, *item);
    let shown = list(&harness, "work:queue:high").await;
    assert!(
        shown.len() == 1 && shown[0].contains("\"id\":\"") && shown[0].contains("id-q"),
        "{shown:?}"
    );
    harness.advance(seconds(10));
    end(&store, &claimed, Reason::Ok).await;
    // Made before the activation that has just succeeded had started: it has seen what this one is about.
    push(&harness, &of_python("p", 4, now - 1.0)).await;
    claim_of(&store, "q").await;
    claim_none(&store).await;
    assert!(kinds(&store).await.contains(&"item_dropped".to_owned()));
    push(&harness, &of_python("p", 1, now + 1.0)).await;
    sweep(&store).await;
    claim_of(&store, "p").await;
    assert!(list(&harness, "work:queue:high").await.is_empty());
}

#[tokio::test]
async fn what_is_no_item_goes_to_the_dead_letters() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    let entries = [
        "",
        "no json",
        "[1,2]",
        "{}",
        "{\"agent_id\":7}",
        &of_python("Upper Case", 1, 1.0),
        &of_python("p", 1, 1.0).replace("inbox\"", "chat\""),
        &of_python("p", 1, 1.0).replace("\"inbox_count\":1", "\"inbox_count\":-1"),
        "{\"id\":\"0199aaaa-0000-7000-8000-000000000000\",\"agent_id\":\"x\"}",
    ];
    for entry in entries {
        push(&harness, entry).await;
    }
    add_ready(&store, &direct("other")).await;
    claim_one(&store).await;
    claim_none(&store).await;
    let dead = ItemFilter {
        state: Some(ItemState::Dead),
        limit: 100,
        ..ItemFilter::default()
    };
    let letters = store.queue.items(&dead).await.unwrap();
    assert_eq!(letters.len(), entries.len());
    for (letter, entry) in letters.iter().rev().zip(entries) {
        assert!(letter.note.contains("work:queue:high"), "{}", letter.note);
        if letter.item.agent_name.as_str() == "unreadable" {
            assert_eq!(letter.item.payload.as_deref(), Some(entry), "kept as it was");
        }
    }
    assert!(list(&harness, "work:queue:high").await.is_empty());
    let ids: Vec<_> = letters.iter().map(|letter| letter.item.id).collect();
    assert_eq!(store.queue.purge_dead(&ids).await.unwrap(), entries.len() as u64);
}

#[tokio::test]
async fn lists_that_somebody_has_changed_are_mended() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    for name in ["a", "b", "c"] {
        add_ready(&store, &inbox(name, 1)).await;
    }
    let before = list(&harness, "work:queue:high").await;
    let _: i64 = harness.redis(&["DEL", &key("work:queue:high")]).await;
    sweep(&store).await;
    assert_eq!(list(&harness, "work:queue:high").await, before);
    // A copy of an entry is no second item.
    push(&harness, &before[1]).await;
    sweep(&store).await;
    assert_eq!(list(&harness, "work:queue:high").await.len(), 3);
    assert_eq!(claim(&store, 10).await.len(), 3);
    push(&harness, &before[1]).await;
    claim_none(&store).await;
    assert!(list(&harness, "work:queue:high").await.is_empty());
}

#[tokio::test]
async fn another_systems_leader_is_respected() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    let lease = key("coordinator:leader");
    let _: () = harness.redis(&["SET", &lease, "python-pod-7", "EX", "30"]).await;
    let bidder = bid("a");
    let Acquired::Held(leader) = store.leadership.acquire(&bidder).await.unwrap() else {
        panic!("it is held")
    };
    assert_eq!(
        (leader.holder.as_str(), leader.host.as_str()),
        ("python-pod-7", "python-pod-7")
    );
    assert!(leader.remaining > seconds(20), "{leader:?}");
    let _: i64 = harness.redis(&["DEL", &lease]).await;
    let Acquired::Won(term) = store.leadership.acquire(&bidder).await.unwrap() else {
        panic!("it is free")
    };
    let fence = Fence {
        holder: bidder.holder.clone(),
        term,
    };
    let shown: String = harness.redis(&["GET", &lease]).await;
    let left: i64 = harness.redis(&["PTTL", &lease]).await;
    assert_eq!(shown, bidder.holder.to_string());
    assert!((1..=9000).contains(&left));
    // Taken over by force: what we do as the leader is refused from then on (I1).
    let _: () = harness.redis(&["SET", &lease, "python-pod-7", "EX", "30"]).await;
    let refused = StoreError::Fenced { term };
    assert_eq!(store.leadership.renew(&fence, seconds(9)).await, Err(refused.clone()));
    assert_eq!(
        store
            .queue
            .enqueue(Some(&fence), vec![inbox("x", 1)])
            .await
            .unwrap_err(),
        refused
    );
    assert_eq!(store.leadership.leader().await.unwrap().unwrap().holder, "python-pod-7");
    store.leadership.release(&fence).await.unwrap();
    let shown: String = harness.redis(&["GET", &lease]).await;
    assert_eq!(shown, "python-pod-7", "theirs is not ours to release");
}

#[tokio::test]
async fn a_foreign_active_entry_keeps_the_agent_busy_while_its_runner_lives() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    let heartbeat = key("runner:heartbeat:runner-9");
    let _: i64 = harness.redis(&["HSET", &key("work:active"), "id-a", "runner-9"]).await;
    let _: () = harness.redis(&["SET", &heartbeat, "1"]).await;
    let item = inbox("a", 1);
    add_ready(&store, &item).await;
    let stays_busy_for = async |span: u64| {
        sweep(&store).await;
        harness.advance(seconds(span));
        sweep(&store).await;
        claim_none(&store).await;
        assert_eq!(state(&store, &item).await, ItemState::Delayed);
    };
    stays_busy_for(700).await;
    let _: i64 = harness.redis(&["DEL", &heartbeat]).await;
    stays_busy_for(59).await;
    harness.advance(seconds(1));
    sweep(&store).await;
    assert!(hash(&harness, "work:active").await.is_empty());
    harness.advance(seconds(5));
    sweep(&store).await;
    claim_item(&store, &item).await;
    assert_eq!(kinds(&store).await, ["foreign_claim_freed"]);
}
