//! Long lists of old: they show what is ready whatever leaves them from where, and nothing that they need looks through all of one
//! at once.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use serde_json::{Value, json};
use warren::{
    domain::{
        ending::Reason,
        work_item::{ItemState, Priority, WorkItem},
    },
    ports::{
        agent_records::BreakerCommand,
        store::{Store, StorePolicy},
        work_queue::{Enqueued, ItemFilter},
    },
};

use super::{
    harness::Harness,
    redis::{PREFIX, RedisHarness},
    support::*,
};

const HIGH: &str = "work:queue:high";

fn key(name: &str) -> String {
    format!("{PREFIX}{name}")
}

fn roomy() -> StorePolicy {
    StorePolicy {
        max_queue: 100_000,
        max_attempts: 1,
        ..policy()
    }
}

async fn add_all(store: &Store, items: &[WorkItem]) {
    for part in items.chunks(500) {
        for answer in store.queue.enqueue(None, part.to_vec()).await.unwrap() {
            assert_eq!(answer, Enqueued::Added(ItemState::Queued));
        }
    }
}

/// The ids in the list, the newest first.
async fn shown(harness: &RedisHarness) -> Vec<String> {
    let entries: Vec<String> = harness.redis(&["LRANGE", &key(HIGH), "0", "-1"]).await;
    let id = |entry: String| {
        let item: Value = serde_json::from_str(&entry).unwrap();
        item["id"].as_str().unwrap_or("another system's").to_owned()
    };
    entries.into_iter().map(id).collect()
}

async fn length(harness: &RedisHarness) -> usize {
    harness.redis(&["LLEN", &key(HIGH)]).await
}

/// How often Redis has run a command.
async fn calls(harness: &RedisHarness, command: &str) -> u64 {
    let info: String = harness.redis(&["INFO", "commandstats"]).await;
    let name = format!("cmdstat_{command}:calls=");
    let line = info.lines().find_map(|line| line.strip_prefix(&name));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

async fn paused(store: &Store, items: &[WorkItem], paused: bool) {
    for item in items {
        assert!(store.agents.set_paused(&item.agent_id, paused).await.unwrap());
    }
}

/// Inbox items, and every third a direct one, which the lists don't show; all of one priority.
fn mixed(number: usize) -> Vec<WorkItem> {
    let one = |n| match n % 3 {
        0 => WorkItem {
            priority: Priority::High,
            ..direct(&format!("d{n}"))
        },
        _ => inbox(&format!("a{n}"), 1),
    };
    (0..number).map(one).collect()
}

#[tokio::test]
async fn what_leaves_the_middle_is_found_without_looking_through_all() {
    const ITEMS: usize = 9_000;
    let harness = RedisHarness::fresh(roomy()).await;
    let store = harness.store();
    let items = mixed(ITEMS);
    add_all(&store, &items).await;
    let inbox_items: Vec<&WorkItem> = items
        .iter()
        .filter(|item| item.agent_name.as_str().starts_with('a'))
        .collect();
    let mut expected: BTreeSet<String> = inbox_items.iter().map(|item| item.id.to_string()).collect();
    assert_eq!(length(&harness).await, expected.len());

    // From all over the queue, some of them neighbours.
    let chosen: Vec<WorkItem> = [1500, 1501, 1502, 2000, 2999, 3000, 4444]
        .map(|n| inbox_items[n].clone())
        .to_vec();
    let before = calls(&harness, "lrem").await;
    paused(&store, &chosen, true).await;
    assert_eq!(
        calls(&harness, "lrem").await,
        before,
        "LREM compares all entries up to the one that it seeks"
    );
    for item in &chosen {
        expected.remove(&item.id.to_string());
    }
    assert_eq!(shown(&harness).await.into_iter().collect::<BTreeSet<_>>(), expected);
    assert_eq!(length(&harness).await, expected.len(), "none twice");

    // They come back at the end that is taken from, and leave from there.
    paused(&store, &chosen, false).await;
    assert_eq!(length(&harness).await, expected.len() + chosen.len());
    paused(&store, &chosen[..2], true).await;
    assert_eq!(length(&harness).await, expected.len() + chosen.len() - 2);
    paused(&store, &chosen[..2], false).await;

    // All are claimed in their order, and the list shows what is left after each claim.
    let mut claimed = Vec::new();
    let mut left = inbox_items.len();
    loop {
        let claims = claim(&store, 100).await;
        if claims.is_empty() {
            break;
        }
        left -= claims
            .iter()
            .filter(|claim| claim.item.agent_name.as_str().starts_with('a'))
            .count();
        assert_eq!(length(&harness).await, left);
        claimed.extend(claims.into_iter().map(|claim| claim.item.id));
    }
    assert_eq!(claimed, items.iter().map(|item| item.id).collect::<Vec<_>>());
    assert_eq!(length(&harness).await, 0);
}

#[tokio::test]
async fn a_list_that_was_deleted_is_made_anew_in_parts_and_loses_nothing() {
    const ITEMS: usize = 12_000;
    let harness = RedisHarness::fresh(roomy()).await;
    let store = harness.store();
    let items: Vec<WorkItem> = (0..ITEMS).map(|n| inbox(&format!("a{n}"), 1)).collect();
    add_all(&store, &items).await;
    let _: i64 = harness.redis(&["DEL", &key(HIGH)]).await;
    sweep(&store).await;
    let begun = length(&harness).await;
    assert!(begun > 0 && begun < ITEMS, "{begun}: a sweep does a part of it");
    // Meanwhile another system pushes, the oldest are claimed, one returns, and one is paused.
    let foreign = json!({
        "agent_id": "id-p", "agent_name": "p", "task_type": "inbox", "priority": "high", "inbox_count": 1,
        "created_at": harness.now() as f64 / 1000.0,
    });
    let _: i64 = harness.redis(&["LPUSH", &key(HIGH), &foreign.to_string()]).await;
    let claims = claim(&store, 10).await;
    assert_eq!(claims.len(), 10);
    paused(&store, &items[20..21], true).await;
    harness.advance(LEASE);
    for _ in 0..10 {
        sweep(&store).await;
    }
    let mut expected: HashMap<String, usize> = HashMap::new();
    for item in items[..20].iter().chain(&items[21..]) {
        expected.insert(item.id.to_string(), 1);
    }
    let all = ItemFilter {
        agent: Some(agent("p")),
        limit: 10,
        ..ItemFilter::default()
    };
    let adopted = store.queue.items(&all).await.unwrap();
    assert_eq!(adopted.len(), 1, "what another system had pushed is there");
    expected.insert(adopted[0].item.id.to_string(), 1);
    let mut found: HashMap<String, usize> = HashMap::new();
    for id in shown(&harness).await {
        *found.entry(id).or_default() += 1;
    }
    assert_eq!(found.len(), expected.len());
    assert_eq!(found, expected);
}

#[tokio::test]
async fn many_entries_of_another_system_are_adopted_in_their_order() {
    const ENTRIES: usize = 1_300;
    let harness = RedisHarness::fresh(roomy()).await;
    let store = harness.store();
    let entry = |n: usize| {
        json!({
            "agent_id": format!("id-p{n}"), "agent_name": format!("p{n}"), "task_type": "inbox", "priority": "high",
            "inbox_count": 1, "created_at": harness.now() as f64 / 1000.0,
        })
        .to_string()
    };
    for n in 0..ENTRIES {
        let _: i64 = harness.redis(&["LPUSH", &key(HIGH), &entry(n)]).await;
    }
    let mut claimed = Vec::new();
    loop {
        sweep(&store).await;
        let claims = claim(&store, 500).await;
        if claims.is_empty() {
            break;
        }
        claimed.extend(claims.into_iter().map(|claim| claim.item.agent_name.to_string()));
    }
    assert_eq!(claimed, (0..ENTRIES).map(|n| format!("p{n}")).collect::<Vec<_>>());
    assert_eq!(length(&harness).await, 0);
}

#[tokio::test]
async fn a_reset_of_old_frees_all_items_of_the_agent() {
    const ITEMS: usize = 450;
    let harness = RedisHarness::fresh(roomy()).await;
    let store = harness.store();
    add_all(&store, &(0..ITEMS).map(|_| direct("a")).collect::<Vec<_>>()).await;
    store
        .agents
        .command_breaker(&agent("a"), BreakerCommand::ForceOpen)
        .await
        .unwrap();
    assert_eq!(store.queue.stats().await.unwrap().held, ITEMS as u64);
    let _: i64 = harness.redis(&["HDEL", &key("work:backoff"), "id-a"]).await;
    for _ in 0..10 {
        sweep(&store).await;
    }
    let stats = store.queue.stats().await.unwrap();
    let ready: u64 = stats.queued.values().sum();
    assert_eq!((ready, stats.held, stats.delayed), (ITEMS as u64, 0, 0));
}

#[tokio::test]
async fn a_reset_of_old_is_seen_behind_a_thousand_others() {
    const AGENTS: usize = 1_300;
    let mut policy = roomy();
    policy.breaker.threshold = 1;
    policy.breaker.jitter = 0.0;
    let harness = RedisHarness::fresh(policy.clone()).await;
    let store = harness.store();
    for n in 0..AGENTS {
        add_ready(&store, &direct(&format!("a{n}"))).await;
    }
    for claimed in claim(&store, AGENTS).await {
        end(&store, &claimed, Reason::Trap).await;
    }
    harness.advance(Duration::from_millis(1));
    run_direct(&store, "last", Reason::Trap).await;
    let waits = direct("last");
    assert_eq!(add(&store, &waits).await, Enqueued::Added(ItemState::Delayed));
    let _: i64 = harness.redis(&["HDEL", &key("work:backoff"), "id-last"]).await;
    for _ in 0..3 {
        sweep(&store).await;
    }
    assert_eq!(state(&store, &waits).await, ItemState::Queued);
}
