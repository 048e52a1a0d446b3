//! Bad days of a Redis: restarts, lost data, no memory, keys of the wrong type, the wrong server.

use std::{collections::BTreeSet, time::Instant};

use tempfile::TempDir;
use tokio::time::timeout;
use warren::{
    adapters::redis::{ConnectError, RedisConfig, RedisStore, StoreClock},
    domain::{
        ending::{Ending, Reason},
        ids::Term,
        work_item::ItemState,
    },
    ports::{
        leadership::{Acquired, Bid},
        store::{Store, StoreError, StorePolicy},
        work_queue::{Completed, Enqueued, Fence, Requeued},
    },
};

use super::{
    harness::Harness,
    leadership::bid,
    redis::{PREFIX, RedisHarness, Server, config, connect, url},
    support::*,
};

fn words(error: &StoreError) -> String {
    error.to_string()
}

/// Ask until the store answers again.
async fn back(store: &Store) {
    let deadline = Instant::now() + DEADLINE;
    while let Err(error) = store.queue.stats().await {
        assert!(Instant::now() < deadline, "{error}");
    }
}

#[tokio::test]
async fn forgotten_scripts_are_loaded_again() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    add_ready(&store, &direct("a")).await;
    let claimed = claim_one(&store).await;
    for what in ["SCRIPT", "FUNCTION"] {
        let _: () = harness.redis(&[what, "FLUSH"]).await;
    }
    assert!(renew(&store, &claimed).await);
    end(&store, &claimed, Reason::Ok).await;
}

#[tokio::test]
async fn what_an_upgrade_leaves_is_removed_and_loaded_again_where_it_is_still_used() {
    let harness = RedisHarness::fresh(policy()).await;
    let other_policy = StorePolicy {
        max_attempts: 7,
        ..policy()
    };
    let elsewhere = RedisConfig {
        key_prefix: "other:".to_owned(),
        ..config(harness.folder(), &policy(), StoreClock::Redis)
    };
    let libraries = async || -> BTreeSet<String> {
        let found: Vec<Vec<redis::Value>> = harness.redis(&["FUNCTION", "LIST"]).await;
        let name = |library: &Vec<redis::Value>| redis::from_redis_value(library[1].clone()).unwrap();
        found.iter().map(name).collect()
    };
    let old = harness.store();
    connect(elsewhere).await;
    let before = libraries().await;
    let new = connect(config(harness.folder(), &other_policy, StoreClock::Redis))
        .await
        .store();
    let after = libraries().await;
    assert_eq!((before.len(), after.len()), (2, 2), "{before:?} {after:?}");
    assert_eq!(
        before.intersection(&after).count(),
        1,
        "the other prefix keeps its own: {after:?}"
    );
    add_ready(&old, &direct("a")).await;
    assert_eq!(libraries().await.len(), 3);
    claim_one(&new).await;
}

#[tokio::test]
async fn a_full_server_that_has_lost_the_scripts_says_what_to_do() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    let item = direct("a");
    add_ready(&store, &item).await;
    let _: () = harness.redis(&["FUNCTION", "FLUSH"]).await;
    let _: () = harness.redis(&["CONFIG", "SET", "maxmemory", "1mb"]).await;
    let error = store.queue.stats().await.unwrap_err().to_string();
    for word in ["lost Warren's functions", "warren_", "KB", "CONFIG SET maxmemory"] {
        assert!(error.contains(word), "{word}: {error}");
    }
    let _: () = harness.redis(&["CONFIG", "SET", "maxmemory", "0"]).await;
    claim_item(&store, &item).await;
}

#[tokio::test]
async fn a_restarted_server_is_found_again() {
    let mut harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    let item = direct("a");
    add_ready(&store, &item).await;
    let claimed = claim_one(&store).await;
    let waiter = tokio::spawn({
        let store = store.clone();
        async move { store.queue.wait_for_end(item.id, seconds(3600)).await }
    });
    let idle = tokio::spawn({
        let store = store.clone();
        async move { store.queue.wait_for_work(seconds(3600)).await }
    });
    harness
        .restart(async || {
            let error = store.queue.stats().await.unwrap_err();
            assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        })
        .await;
    back(&store).await;
    assert_eq!(end(&store, &claimed, Reason::Ok).await, Completed::Done);
    add_ready(&store, &direct("b")).await;
    timeout(DEADLINE, idle)
        .await
        .expect("woken over a new connection")
        .unwrap();
    // The wait failed with the server, or it heard of the end over a new connection.
    let ended = timeout(DEADLINE, waiter).await.expect("it ends").unwrap();
    assert!(matches!(ended, Err(StoreError::Unavailable(_))) || ended.unwrap().unwrap().state == ItemState::Done);
}

#[tokio::test]
async fn lost_data_is_another_incarnation_and_fences_the_leader() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    let before = store.queue.health().await.unwrap().incarnation;
    let bidder = bid("a");
    let Acquired::Won(term) = store.leadership.acquire(&bidder).await.unwrap() else {
        panic!("it is free")
    };
    let fence = Fence {
        holder: bidder.holder.clone(),
        term,
    };
    add_ready(&store, &direct("a")).await;
    let claimed = claim_one(&store).await;
    let _: () = harness.redis(&["FLUSHALL"]).await;
    assert_eq!(
        store.leadership.renew(&fence, seconds(9)).await,
        Err(StoreError::Fenced { term })
    );
    assert_eq!(try_end(&store, &claimed, Reason::Ok).await, Err(StoreError::StaleClaim));
    assert!(!renew(&store, &claimed).await);
    assert_ne!(store.queue.health().await.unwrap().incarnation, before);
    // The terms begin anew for whoever has heard of none, and the fence of the old term 1 is no good for the new one; nor,
    // once it leads again, is the old leader's own.
    let Acquired::Won(other) = store.leadership.acquire(&bid("b")).await.unwrap() else {
        panic!("it is free")
    };
    assert_eq!(other, term);
    let stale = async || store.queue.enqueue(Some(&fence), vec![inbox("x", 1)]).await;
    assert_eq!(stale().await, Err(StoreError::Fenced { term }));
    let _: () = harness.redis(&["FLUSHALL"]).await;
    let again = Bid {
        known: term,
        ..bidder.clone()
    };
    assert_eq!(
        store.leadership.acquire(&again).await,
        Ok(Acquired::Won(Term(term.0 + 1)))
    );
    assert_eq!(stale().await, Err(StoreError::Fenced { term }));
    add_ready(&store, &direct("a")).await;
    claim_one(&store).await;
}

#[tokio::test]
async fn a_full_redis_drains() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    let (first, second) = (direct("a"), direct("b"));
    for item in [&first, &second] {
        add_ready(&store, item).await;
    }
    let claimed = claim_item(&store, &first).await;
    let _: () = harness.redis(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let refused = store.queue.enqueue(None, vec![direct("c")]).await.unwrap_err();
    assert!(
        matches!(refused, StoreError::Unavailable(_)) && words(&refused).contains("maxmemory"),
        "{refused}"
    );
    assert!(renew(&store, &claimed).await);
    end(&store, &claimed, Reason::Ok).await;
    let claimed = claim_item(&store, &second).await;
    end(&store, &claimed, Reason::Ok).await;
    sweep(&store).await;
    assert_eq!(store.queue.stats().await.unwrap().done, 2);
    let _: () = harness.redis(&["CONFIG", "SET", "maxmemory", "0"]).await;
    add_ready(&store, &direct("c")).await;
}

#[tokio::test]
async fn records_that_nobody_can_read_stop_nobody() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    let (broken, worse, good) = (inbox("a", 1), direct("b"), direct("c"));
    let (cut, lame) = (direct("d"), direct("e"));
    for item in [&broken, &worse, &cut, &good, &lame] {
        add_ready(&store, item).await;
    }
    let data = format!("{PREFIX}warren:data");
    // Cut behind what a claim looks at first.
    let whole: String = harness.redis(&["HGET", &data, &format!("m{}", cut.id)]).await;
    let _: i64 = harness
        .redis(&["HSET", &data, &format!("m{}", cut.id), &whole[..whole.len() - 12]])
        .await;
    let whole: String = harness.redis(&["HGET", &data, "aid-e"]).await;
    assert!(whole.starts_with("p\n"), "{whole:?}");
    let _: i64 = harness.redis(&["HSET", &data, "aid-e", &whole[..60]]).await;
    let _: i64 = harness
        .redis(&["HSET", &data, &format!("m{}", broken.id), "not packed"])
        .await;
    let _: i64 = harness
        .redis(&["HSET", &data, &format!("i{}", worse.id), "not an item"])
        .await;
    let _: i64 = harness.redis(&["HSET", &data, "aid-c", "not packed"]).await;
    claim_item(&store, &good).await;
    let claimed = claim_item(&store, &lame).await;
    let done = store
        .queue
        .complete(&completion(&claimed, Ending::new(Reason::Ok, "")))
        .await;
    assert_eq!(done, Ok(Completed::Done), "what is known of its agent was made anew");
    for item in [&broken, &worse, &cut] {
        let letter = record(&store, item.id).await;
        assert_eq!(letter.state, ItemState::Dead, "{letter:?}");
        assert!(!letter.note.is_empty());
    }
    let stats = store.queue.stats().await.unwrap();
    assert_eq!((stats.dead, stats.active), (3, 1));
    let shown: i64 = harness.redis(&["LLEN", &format!("{PREFIX}work:queue:high")]).await;
    assert_eq!(shown, 0);
}

/// Of what is claimed and of what is delayed: the sweeps go on, and the agents are free.
#[tokio::test]
async fn records_that_nobody_can_read_any_more_hold_nobody() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    let names = ["a", "b", "c", "d"];
    let items = names.map(direct);
    for item in &items {
        add_ready(&store, item).await;
    }
    let mut claimed = Vec::new();
    for item in &items {
        claimed.push(claim_item(&store, item).await);
    }
    let waits = direct("a");
    assert_eq!(add(&store, &waits).await, Enqueued::Added(ItemState::Waiting));
    for late in [1, 3] {
        assert!(matches!(
            end(&store, &claimed[late], Reason::Trap).await,
            Completed::Retry { .. }
        ));
    }
    // Of one, nothing at all can be read.
    let lost = direct("e");
    add_ready(&store, &lost).await;
    claim_item(&store, &lost).await;
    let data = format!("{PREFIX}warren:data");
    let _: i64 = harness
        .redis(&[
            "HSET",
            &data,
            &format!("i{}", lost.id),
            "{\"agent_id\":\"\t\",\"task_type\":\"weird\"",
        ])
        .await;
    for item in [&items[0], &items[1], &lost] {
        let _: i64 = harness
            .redis(&["HSET", &data, &format!("m{}", item.id), "a\tgarbled"])
            .await;
    }
    harness.advance(seconds(3600));
    let swept = sweep(&store).await;
    let recovered: Vec<_> = swept.recovered.iter().map(|(item, ..)| *item).collect();
    assert_eq!((recovered, swept.promoted), (vec![items[2].id], 1));
    for item in [&items[0], &items[1]] {
        let letter = record(&store, item.id).await;
        assert_eq!(
            (letter.state, letter.item.agent_id.clone()),
            (ItemState::Dead, item.agent_id.clone())
        );
        assert!(letter.note.contains("unreadable"), "{letter:?}");
    }
    assert_eq!(record(&store, lost.id).await.state, ItemState::Dead);
    assert_eq!(store.queue.stats().await.unwrap().dead, 3);
    let stale = completion(&claimed[0], Ending::new(Reason::Ok, ""));
    assert_eq!(store.queue.complete(&stale).await, Err(StoreError::StaleClaim));
    // What waited for it is ready, and so is what comes.
    add_ready(&store, &direct("b")).await;
    add_ready(&store, &direct("e")).await;
    let mut agents: Vec<_> = claim(&store, 9).await.into_iter().map(|c| c.item.agent_id).collect();
    agents.sort();
    assert_eq!(agents, ["a", "b", "c", "d", "e"].map(agent));
    let active: i64 = harness.redis(&["HLEN", &format!("{PREFIX}work:active")]).await;
    assert_eq!(active, 5);
    // The letters can be sent again.
    let requeued = store.queue.requeue_dead(&[items[0].id, items[1].id]).await.unwrap();
    assert!(
        requeued.iter().all(|requeued| *requeued == Requeued::Ready),
        "{requeued:?}"
    );
}

#[tokio::test]
async fn prefixes_keep_clusters_apart() {
    let harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    let other = RedisConfig {
        key_prefix: "other:".to_owned(),
        ..config(harness.folder(), &policy(), StoreClock::Redis)
    };
    let other = connect(other).await.store();
    add_ready(&store, &direct("a")).await;
    claim_none(&other).await;
    assert_ne!(
        other.queue.health().await.unwrap().incarnation,
        store.queue.health().await.unwrap().incarnation
    );
    let keys: Vec<String> = harness.redis(&["KEYS", "*"]).await;
    assert!(
        keys.iter()
            .all(|key| key.starts_with(PREFIX) || key.starts_with("other:")),
        "{keys:?}"
    );
}

#[tokio::test]
async fn redis_time_is_the_stores_time() {
    let folder = TempDir::new().unwrap();
    let _server = Server::start(folder.path(), &[]);
    let store = connect(config(folder.path(), &policy(), StoreClock::Redis))
        .await
        .store();
    add_ready(&store, &direct("a")).await;
    let claimed = claim_one(&store).await;
    let first = store.queue.health().await.unwrap().now;
    assert!(first.0 > 1_700_000_000_000, "{first:?}");
    assert!(renew(&store, &claimed).await);
    end(&store, &claimed, Reason::Ok).await;
    assert!(store.queue.health().await.unwrap().now >= first);
}

#[tokio::test]
async fn what_can_not_be_used_is_refused_with_words() {
    let folder = TempDir::new().unwrap();
    let _server = Server::start(folder.path(), &["--requirepass", "hidden"]);
    let plain = config(folder.path(), &policy(), StoreClock::Redis);
    let with = |user: &str| RedisConfig {
        url: format!("{}?{user}", url(folder.path())).into(),
        ..plain.clone()
    };
    let good = with("pass=hidden");
    connect(good.clone()).await;
    for wrong in [plain.clone(), with("pass=gue%73s")] {
        let Err(error) = RedisStore::connect(wrong).await else {
            panic!("the password is wrong")
        };
        let words = error.to_string();
        assert!(words.contains("password") && words.contains("redis.sock"), "{words}");
        assert!(!words.contains("guess"), "{words}");
    }
    let Err(error) = RedisStore::connect(RedisConfig {
        url: "http://user:hidden@host".to_owned().into(),
        ..plain.clone()
    })
    .await
    else {
        panic!("no address of a Redis")
    };
    assert!(
        matches!(error, ConnectError::Address { .. }) && !error.to_string().contains("hidden"),
        "{error}"
    );
    // A newer Warren has been here: a minor step can be lived with, a major one can't.
    let client = redis::Client::open(good.url.expose()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut set = async |schema: &str| {
        let mut set = redis::cmd("HSET");
        set.arg(format!("{PREFIX}warren:meta")).arg("schema").arg(schema);
        set.query_async::<()>(&mut connection).await.unwrap();
    };
    set("1.7").await;
    connect(good.clone()).await;
    set("2.0").await;
    let Err(error) = RedisStore::connect(good).await else {
        panic!("the schema is newer")
    };
    assert!(
        error.to_string().contains("2.0") && error.to_string().contains("key_prefix"),
        "{error}"
    );
}
