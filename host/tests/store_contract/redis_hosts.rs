//! The registry of hosts in Redis: what it costs, what somebody may have written into it, and another system's runners.

use std::collections::BTreeSet;

use warren::{
    domain::ids::HolderId,
    ports::{hosts::Presence, store::StoreError},
};

use super::{
    harness::Harness,
    redis::{PREFIX, RedisHarness},
    support::*,
};

fn key(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// How often clients have sent a command since the server was told to count anew.
async fn calls(harness: &RedisHarness, command: &str) -> u64 {
    let stats: String = harness.redis(&["INFO", "commandstats"]).await;
    let line = stats
        .lines()
        .find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.and_then(|rest| rest.split(',').next()?.parse().ok()).unwrap_or(0)
}

/// An idle host's beat is one call, and no more work the more hosts there are.
#[tokio::test]
async fn a_beat_costs_one_call() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    let h1 = HolderId::fresh(host("h1"));
    for n in 0..20 {
        let other = HolderId::fresh(host(&format!("other-{n}")));
        store.hosts.beat(&other, "{}", seconds(9)).await.unwrap();
    }
    store.hosts.beat(&h1, "{}", seconds(9)).await.unwrap();
    let _: () = harness.redis(&["CONFIG", "RESETSTAT"]).await;
    for _ in 0..10 {
        store.hosts.beat(&h1, "{}", seconds(9)).await.unwrap();
    }
    assert_eq!(calls(&harness, "fcall").await, 10);
    assert_eq!(calls(&harness, "hset").await, 10);
    for command in ["hget", "hexists", "hgetall", "hdel", "eval", "evalsha", "scan"] {
        assert_eq!(calls(&harness, command).await, 0, "{command}");
    }
}

/// What somebody wrote by hand is shown, hurts nobody, and is forgotten when the next host comes.
#[tokio::test]
async fn odd_entries_are_shown_and_then_forgotten() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    let h1 = HolderId::fresh(host("h1"));
    store.hosts.beat(&h1, "{}", seconds(9)).await.unwrap();
    for (holder, value) in [("a", "nonsense"), ("b/1", ""), ("c/2", "b 99999999999999999999 x {}")] {
        let _: () = harness.redis(&["HSET", &key("warren:hosts"), holder, value]).await;
    }
    let listed = store.hosts.list().await.unwrap();
    let odd: Vec<(&str, Presence, &str)> = listed
        .iter()
        .filter(|seen| seen.holder != h1.to_string())
        .map(|seen| (seen.holder.as_str(), seen.presence, seen.body.as_str()))
        .collect();
    assert_eq!(
        odd,
        [
            ("a", Presence::Silent, "nonsense"),
            ("b/1", Presence::Silent, ""),
            ("c/2", Presence::Silent, "b 99999999999999999999 x {}"),
        ]
    );
    // Its own entry, changed under it.
    let _: () = harness
        .redis(&["HSET", &key("warren:hosts"), &h1.to_string(), "nonsense"])
        .await;
    store.hosts.leave(&h1).await.unwrap();
    let h2 = HolderId::fresh(host("h2"));
    store.hosts.beat(&h2, "{}", seconds(9)).await.unwrap();
    let holders: Vec<String> = store
        .hosts
        .list()
        .await
        .unwrap()
        .into_iter()
        .map(|seen| seen.holder)
        .collect();
    assert_eq!(holders, [h1.to_string(), h2.to_string()]);
}

#[tokio::test]
async fn a_key_of_the_wrong_type_is_named() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    let _: () = harness.redis(&["SET", &key("warren:hosts"), "x"]).await;
    let h1 = HolderId::fresh(host("h1"));
    for result in [
        store.hosts.beat(&h1, "{}", seconds(9)).await,
        store.hosts.leave(&h1).await,
        store.hosts.list().await.map(drop),
    ] {
        let Err(StoreError::Corrupt(words)) = result else {
            panic!("{result:?}");
        };
        assert!(
            words.contains("warren:hosts holds a string, but Warren keeps a hash"),
            "{words}"
        );
    }
}

/// Beats go on in a Redis that is full, so that an operator sees who is there.
#[tokio::test]
async fn beats_go_on_when_redis_is_full() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    let _: () = harness.redis(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let h1 = HolderId::fresh(host("h1"));
    store.hosts.beat(&h1, "{}", seconds(9)).await.unwrap();
    store.hosts.leave(&h1).await.unwrap();
    assert_eq!(store.hosts.list().await.unwrap()[0].presence, Presence::Left);
}

/// Look through everything; the runners that were met, and how many looks it took.
async fn look_around(harness: &RedisHarness) -> (BTreeSet<String>, usize) {
    let store = harness.store();
    let (mut met, mut from, mut looks) = (BTreeSet::new(), String::new(), 0);
    loop {
        let found = store.hosts.foreign_runners(&from).await.unwrap();
        met.extend(found.ids);
        looks += 1;
        from = found.next;
        if from.is_empty() {
            return (met, looks);
        }
        assert!(looks < 100, "it comes to an end");
    }
}

#[tokio::test]
async fn python_runners_are_found_by_their_heartbeats() {
    let harness = RedisHarness::fresh(policy()).await;
    for name in ["runner:heartbeat:py-1", "runner:heartbeat:py 2\n\u{1b}[31m"] {
        let _: () = harness.redis(&["SET", &key(name), "1750000000.5", "EX", "60"]).await;
    }
    // Another cluster's, and what only looks like one.
    for name in [
        "runner:heartbeat:other",
        "{test}:runner:heartbeats",
        "{tes?}:runner:heartbeat:x",
    ] {
        let _: () = harness.redis(&["SET", name, "1"]).await;
    }
    let (met, looks) = look_around(&harness).await;
    assert_eq!(met, BTreeSet::from(["py 2[31m".to_owned(), "py-1".to_owned()]));
    assert_eq!(looks, 1);
}

/// In a large shared Redis one look costs a bounded part of it, and the next goes on where it ended.
#[tokio::test]
async fn a_look_is_bounded() {
    let harness = RedisHarness::fresh(policy()).await;
    let fill = "for n = 1, 1000 do redis.call('SET', 'somebody:' .. ARGV[1] .. n, '') end";
    for part in 0..30 {
        let _: () = harness.redis(&["EVAL", fill, "0", &format!("{part}:")]).await;
    }
    let _: () = harness.redis(&["SET", &key("runner:heartbeat:py-1"), "1"]).await;
    let _: () = harness.redis(&["CONFIG", "RESETSTAT"]).await;
    let (met, looks) = look_around(&harness).await;
    assert_eq!(met, BTreeSet::from(["py-1".to_owned()]));
    assert!((2..=3).contains(&looks), "{looks}");
    let scans = calls(&harness, "scan").await;
    assert!(scans <= 20 * looks as u64, "{scans}");
}
