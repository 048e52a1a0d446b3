//! Servers that change their part, or die, while scripts run: what was answered and copied holds, what was not is done
//! again, nothing is half done, and hosts say what is wrong and come back.

use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::{task::JoinSet, time::timeout};
use warren::{
    adapters::redis::{RedisConfig, StoreClock},
    domain::{ending::Reason, work_item::WorkItem},
    ports::store::{Store, StoreError},
};

use super::{
    harness::Harness,
    model::seen::Seen,
    redis::{Operator, PREFIX, RedisHarness, Server, config, connect, free_port},
    redis_forwarder::Forwarder,
    support::*,
};

/// Ask until it is refused with these words.
async fn refused_with(store: &Store, expected: &str) -> String {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let words = match store.queue.sweep().await {
            Err(StoreError::Unavailable(words)) if words.contains(expected) => return words,
            other => format!("{other:?}"),
        };
        assert!(Instant::now() < deadline, "{words}");
    }
}

/// Write until it is done.
async fn added(store: &Store, item: &WorkItem) {
    let deadline = Instant::now() + DEADLINE * 3;
    while let Err(error) = store.queue.enqueue(None, vec![item.clone()]).await {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        assert!(Instant::now() < deadline, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The connections of a host outlive the change: behind a name or a balancer only new ones find the new primary.
#[tokio::test]
async fn a_primary_that_became_a_replica_is_left_for_the_new_one() {
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let ports = [free_port(), free_port()];
    let _first = Server::start(one.path(), &["--port", &ports[0], "--bind", "127.0.0.1"]);
    let mut old = Operator::of(one.path()).await;
    let _second = Server::start(
        other.path(),
        &[
            "--port",
            &ports[1],
            "--bind",
            "127.0.0.1",
            "--replicaof",
            &format!("127.0.0.1 {}", ports[0]),
            "--repl-diskless-sync-delay",
            "0",
        ],
    );
    let mut new = Operator::of(other.path()).await;
    let front = Forwarder::start(one.path(), &one.path().join("redis.sock"));
    let store = connect(RedisConfig {
        url: front.url().into(),
        ..config(one.path(), &policy(), StoreClock::Redis)
    })
    .await
    .store();
    new.until(&["INFO", "replication"], "master_link_status:up").await;
    let first = direct("a");
    add_ready(&store, &first).await;
    let claimed = claim_item(&store, &first).await;
    let idle = tokio::spawn({
        let store = store.clone();
        async move { store.queue.wait_for_work(seconds(3600)).await }
    });

    // As an operator hands over: the old one waits until everything is copied, and is a replica from then on.
    old.ask::<()>(&["FAILOVER", "TO", "127.0.0.1", &ports[1], "TIMEOUT", "10000"])
        .await;
    new.until(&["INFO", "replication"], "role:master").await;
    let words = refused_with(&store, "read-only replica").await;
    assert!(words.contains("primary"), "{words}");
    front.lead_new_ones_to(&other.path().join("redis.sock"));

    let second = direct("b");
    added(&store, &second).await;
    assert!(renew(&store, &claimed).await, "the claim is there, too");
    end(&store, &claimed, Reason::Ok).await;
    timeout(DEADLINE, idle)
        .await
        .expect("woken by the new primary")
        .unwrap();
    claim_item(&store, &second).await;
}

/// Another's script has written, so Redis may not end it: it has to die in the middle of it.
#[tokio::test]
async fn a_server_that_has_to_die_with_a_script_loses_that_script_only() {
    let mut harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    for name in ["a", "b"] {
        add_ready(&store, &direct(name)).await;
    }
    let claimed = claim_one(&store).await;
    let before = Seen::read(&store).await;
    let _: () = harness.redis(&["CONFIG", "SET", "busy-reply-threshold", "30"]).await;
    let mut endless = Operator::of(harness.folder()).await;
    let script = "redis.call('SET', KEYS[1], 'half') redis.call('DEL', KEYS[2]) while true do end";
    let (half, data) = (format!("{PREFIX}half"), format!("{PREFIX}warren:data"));
    let running = tokio::spawn(async move { endless.try_ask::<()>(&["EVAL", script, "2", &half, &data]).await });
    let words = refused_with(&store, "BUSY").await;
    assert!(
        words.contains("UNKILLABLE") && words.contains("SHUTDOWN NOSAVE"),
        "{words}"
    );
    let mut operator = Operator::of(harness.folder()).await;
    let refused = operator.try_ask::<()>(&["SCRIPT", "KILL"]).await.unwrap_err();
    assert_eq!(refused.code(), Some("UNKILLABLE"), "{refused}");
    harness.restart(async || {}).await;
    running.await.unwrap().unwrap_err();
    let after = direct("c");
    added(&store, &after).await;
    let kept: i64 = harness.redis(&["EXISTS", &format!("{PREFIX}half")]).await;
    assert_eq!(kept, 0);
    claim_item(&store, &direct_of(&before, "b")).await;
    assert!(renew(&store, &claimed).await);
    end(&store, &claimed, Reason::Ok).await;
}

fn direct_of(seen: &Seen, name: &str) -> WorkItem {
    let of_agent = seen.items.iter().find(|record| record.item.agent_id == agent(name));
    of_agent.expect("it is there").item.clone()
}

/// `kill -9` while many calls are under way, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_under_scripts_leaves_nothing_half_done() {
    const ROUNDS: usize = 6;
    const AGENTS: usize = 40;
    let mut harness = RedisHarness::fresh(policy()).await;
    let store = harness.store();
    let mut all: Vec<WorkItem> = Vec::new();
    for round in 0..ROUNDS {
        let items: Vec<WorkItem> = (0..AGENTS)
            .map(|n| match n % 3 {
                0 => direct(&format!("a{n}")),
                _ => inbox(&format!("a{n}"), 1),
            })
            .collect();
        all.extend(items.clone());
        let mut calls = JoinSet::new();
        for part in items.chunks(8).map(<[WorkItem]>::to_vec) {
            let store = store.clone();
            calls.spawn(async move {
                // A call without an answer is made again (DESIGN §3), a merged item answers as one.
                until_done(|| store.queue.enqueue(None, part.clone())).await;
            });
        }
        for worker in 0..4 {
            let store = store.clone();
            calls.spawn(async move {
                let request = request(&host(&format!("h{worker}")), 5);
                for claimed in until_done(|| store.queue.claim(&request)).await {
                    let reason = if worker % 2 == 0 { Reason::Ok } else { Reason::Upstream };
                    let ended = completion(&claimed, warren::domain::ending::Ending::new(reason, ""));
                    until_done(|| store.queue.complete(&ended)).await;
                }
            });
        }
        tokio::time::sleep(Duration::from_millis(3 * round as u64)).await;
        harness.restart(async || {}).await;
        while let Some(done) = calls.join_next().await {
            done.unwrap();
        }
        // Nobody may have noticed yet that the connection broke.
        until_done(|| store.queue.stats()).await;
        let seen = Seen::read(&store).await;
        super::redis_shows::agree(harness.beside().await, &seen).await.unwrap();
    }
    // All of it is there, and comes to its end.
    let deadline = Instant::now() + DEADLINE * 6;
    loop {
        harness.advance(policy().cool_down.max);
        sweep(&store).await;
        for claimed in claim(&store, 100).await {
            end(&store, &claimed, Reason::Ok).await;
        }
        let stats = store.queue.stats().await.unwrap();
        if stats.waiting + stats.delayed + stats.active + stats.queued.values().sum::<u64>() == 0 {
            break;
        }
        assert!(Instant::now() < deadline, "{stats:?}");
    }
    for item in all.iter().filter(|item| item.payload.is_some()) {
        let state = state(&store, item).await;
        assert_eq!(state.as_str(), "done", "{item:?}");
    }
}

/// The answer to a call that is made until there is one.
async fn until_done<T, F: Future<Output = Result<T, StoreError>>>(call: impl Fn() -> F) -> T {
    let deadline = Instant::now() + DEADLINE * 3;
    loop {
        match call().await {
            Ok(answer) => return answer,
            Err(StoreError::Unavailable(words)) => assert!(Instant::now() < deadline, "{words}"),
            Err(error) => panic!("{error}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
