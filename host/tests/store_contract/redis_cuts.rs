//! Connections to Redis that break, and servers that change behind an address: what was answered holds, what was not is
//! asked again, and hosts come back by themselves.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::{task::JoinSet, time::timeout};
use warren::{
    adapters::redis::{RedisConfig, StoreClock},
    domain::{
        ending::{Ending, Reason},
        work_item::ItemState,
    },
    ports::{
        leadership::Acquired,
        store::{Store, StoreError},
        work_queue::{Enqueued, Fence, GiveBack},
    },
};

use super::{
    leadership::bid,
    model::{START, seen::Seen},
    redis::{Operator, Server, config, connect, free_port},
    redis_forwarder::Forwarder,
    support::*,
};

fn socket(folder: &Path) -> PathBuf {
    folder.join("redis.sock")
}

fn standing_still() -> StoreClock {
    StoreClock::ByHand(Arc::new(|| START))
}

/// Ask until the store answers again.
async fn back(store: &Store) {
    let deadline = Instant::now() + DEADLINE;
    while let Err(error) = store.queue.stats().await {
        assert!(Instant::now() < deadline, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn unavailable<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> String {
    match answer.unwrap_err() {
        StoreError::Unavailable(words) => words,
        other => panic!("{other:?}"),
    }
}

/// Make a call again and again, until it is answered.
macro_rules! until_answered {
    ($call:expr) => {{
        let deadline = Instant::now() + DEADLINE * 3;
        loop {
            match $call.await {
                Ok(answer) => break answer,
                Err(StoreError::Unavailable(words)) => assert!(Instant::now() < deadline, "{words}"),
                Err(error) => panic!("{error}"),
            }
        }
    }};
}

/// Make a call whose answer is lost on the way, and again: what that is answered.
macro_rules! lost_and_repeated {
    ($front:expr, $call:expr) => {{
        $front.swallow_an_answer();
        unavailable($call.await);
        assert!($front.has_swallowed(), "it was done, and then cut");
        $call.await.unwrap()
    }};
}

#[tokio::test]
async fn an_answer_that_was_lost_is_given_again() {
    let folder = TempDir::new().unwrap();
    let _server = Server::start(folder.path(), &[]);
    let direct_way = config(folder.path(), &policy(), standing_still());
    connect(direct_way.clone()).await;
    let front = Forwarder::start(folder.path(), &socket(folder.path()));
    let store = connect(RedisConfig {
        url: front.url().into(),
        ..direct_way
    })
    .await
    .store();
    let queue = &store.queue;

    let (first, second) = (direct("a"), inbox("b", 1));
    let items = vec![first.clone(), second.clone(), inbox("b", 3)];
    let added = lost_and_repeated!(front, queue.enqueue(None, items.clone()));
    let queued = Enqueued::Added(ItemState::Queued);
    let merged = Enqueued::Merged {
        into: second.id,
        news: true,
    };
    assert_eq!(added, [queued.clone(), queued, merged]);

    let asked = request(&host("h1"), 2);
    let claims = lost_and_repeated!(front, queue.claim(&asked));
    assert_eq!(
        claims.iter().map(|c| c.item.id).collect::<Vec<_>>(),
        [first.id, second.id]
    );
    assert_eq!(queue.stats().await.unwrap().active, 2);

    let failed = completion(&claims[0], Ending::new(Reason::Trap, "once"));
    let retry = lost_and_repeated!(front, queue.complete(&failed));
    assert_eq!(queue.complete(&failed).await.unwrap(), retry);
    let agent = known(&store, "a").await;
    assert_eq!((agent.breaker.failures, agent.endings[&Reason::Trap]), (1, 1));

    let token = claims[1].token;
    lost_and_repeated!(front, queue.give_back(second.id, token, GiveBack::Shutdown));
    assert_eq!(state(&store, &second).await, ItemState::Queued);
    let bidder = bid("h1");
    let won = lost_and_repeated!(front, store.leadership.acquire(&bidder));
    assert!(matches!(won, Acquired::Won(term) if term.0 == 1), "{won:?}");
}

/// Kill connections again and again while hosts work: each item is done once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_connections_lose_nothing() {
    const ITEMS: usize = 60;
    let folder = TempDir::new().unwrap();
    let _server = Server::start(folder.path(), &["--appendfsync", "no"]);
    let store = connect(config(folder.path(), &policy(), StoreClock::Redis))
        .await
        .store();
    let mut operator = Operator::of(folder.path()).await;
    let mut work = JoinSet::new();
    for n in 0..ITEMS {
        let store = store.clone();
        work.spawn(async move {
            let item = direct(&format!("a{n}"));
            until_answered!(store.queue.enqueue(None, vec![item.clone()]));
        });
    }
    for _ in 0..4 {
        let store = store.clone();
        work.spawn(async move {
            loop {
                let asked = request(&host("h1"), 3);
                for claimed in until_answered!(store.queue.claim(&asked)) {
                    let ended = completion(&claimed, Ending::new(Reason::Ok, ""));
                    until_answered!(store.queue.complete(&ended));
                }
                if until_answered!(store.queue.stats()).done == ITEMS as u64 {
                    return;
                }
            }
        });
    }
    let killing = tokio::spawn(async move {
        for _ in 0..20 {
            for kind in ["normal", "pubsub"] {
                operator
                    .ask::<i64>(&["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"])
                    .await;
            }
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    });
    timeout(DEADLINE * 3, work.join_all()).await.expect("all is done");
    killing.await.unwrap();
    for n in 0..ITEMS {
        let agent = until_answered!(store.agents.agent(&format!("a{n}")));
        let endings = agent.expect("it is known").endings;
        assert_eq!(endings.into_iter().collect::<Vec<_>>(), [(Reason::Ok, 1)], "a{n}");
    }
}

#[tokio::test]
async fn a_paused_server_answers_a_repeat() {
    let folder = TempDir::new().unwrap();
    let _server = Server::start(folder.path(), &[]);
    let store = connect(RedisConfig {
        call_timeout: Duration::from_millis(300),
        ..config(folder.path(), &policy(), StoreClock::Redis)
    })
    .await
    .store();
    let item = direct("a");
    let mut operator = Operator::of(folder.path()).await;
    operator.ask::<()>(&["CLIENT", "PAUSE", "1000", "ALL"]).await;
    let words = unavailable(store.queue.enqueue(None, vec![item.clone()]).await);
    assert!(words.contains("300 ms"), "{words}");
    let added = until_answered!(store.queue.enqueue(None, vec![item.clone()]));
    assert_eq!(added, [Enqueued::Added(ItemState::Queued)]);
    assert_eq!(store.queue.stats().await.unwrap().queued.values().sum::<u64>(), 1);
}

/// What a server refuses only to new connections must not keep a host away once it is over.
#[tokio::test]
async fn hosts_come_back_after_they_were_refused() {
    let folder = TempDir::new().unwrap();
    let _server = Server::start(folder.path(), &[]);
    let store = connect(config(folder.path(), &policy(), StoreClock::Redis))
        .await
        .store();
    let mut operator = Operator::of(folder.path()).await;
    let refusals = [
        (
            ["requirepass", "another"],
            ["requirepass", ""],
            "check the user and the password",
        ),
        (["maxclients", "1"], ["maxclients", "1000"], "Redis"),
    ];
    for (refuse, allow, expected) in refusals {
        operator.ask::<()>(&["CONFIG", "SET", refuse[0], refuse[1]]).await;
        operator
            .ask::<i64>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
            .await;
        let words = refused_with(&store, expected).await;
        assert!(!words.contains("another"), "{words}");
        operator.ask::<()>(&["CONFIG", "SET", allow[0], allow[1]]).await;
        back(&store).await;
        add_ready(&store, &direct(refuse[0])).await;
    }
}

/// Ask until it is refused with these words. Whoever asks at the very moment of the cut hears only of that.
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

#[tokio::test]
async fn a_replica_is_refused_and_a_failover_keeps_what_was_copied() {
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let port = free_port();
    let primary = Server::start(one.path(), &["--port", &port, "--bind", "127.0.0.1"]);
    let direct_way = config(one.path(), &policy(), standing_still());
    connect(direct_way.clone()).await;
    let _replica = Server::start(
        other.path(),
        &[
            "--replicaof",
            &format!("127.0.0.1 {port}"),
            "--repl-diskless-sync-delay",
            "0",
        ],
    );
    let front = Forwarder::start(one.path(), &socket(one.path()));
    let store = connect(RedisConfig {
        url: front.url().into(),
        ..direct_way
    })
    .await
    .store();
    let mut operator = Operator::of(other.path()).await;
    operator.until(&["INFO", "replication"], "master_link_status:up").await;

    let bidder = bid("h1");
    let Acquired::Won(term) = store.leadership.acquire(&bidder).await.unwrap() else {
        panic!("it is free")
    };
    let fence = Fence {
        holder: bidder.holder.clone(),
        term,
    };
    for name in ["a", "b", "c"] {
        add_ready(&store, &direct(name)).await;
    }
    let claims = claim(&store, 2).await;
    end(&store, &claims[0], Reason::Trap).await;
    let before = Seen::read(&store).await;
    let copied: i64 = Operator::of(one.path()).await.ask(&["WAIT", "1", "5000"]).await;
    assert_eq!(copied, 1);

    // The replica, before it is more than that.
    front.lead_to(&socket(other.path()));
    let words = refused_with(&store, "read-only replica").await;
    assert!(words.contains("primary"), "{words}");
    let error = warren::adapters::redis::RedisStore::connect(config(other.path(), &policy(), standing_still())).await;
    let words = error.err().expect("it can't be written to").to_string();
    assert!(
        words.contains("read-only replica") && words.contains("redis.sock"),
        "{words}"
    );

    drop(primary);
    let idle = tokio::spawn({
        let store = store.clone();
        async move { store.queue.wait_for_work(seconds(3600)).await }
    });
    operator.ask::<()>(&["REPLICAOF", "NO", "ONE"]).await;
    back(&store).await;
    assert_eq!(Seen::read(&store).await, before);
    assert!(renew(&store, &claims[1]).await);
    end(&store, &claims[1], Reason::Ok).await;
    store.leadership.renew(&fence, seconds(9)).await.unwrap();
    add_ready(&store, &direct("d")).await;
    timeout(DEADLINE, idle)
        .await
        .expect("woken by the new primary")
        .unwrap();
    assert_eq!(claim(&store, 9).await.len(), 2, "what was queued and what came");
}

/// A server that can't answer says why, and what to do.
#[tokio::test]
async fn a_script_that_never_ends_is_named() {
    let folder = TempDir::new().unwrap();
    let _server = Server::start(folder.path(), &["--busy-reply-threshold", "30"]);
    let store = connect(config(folder.path(), &policy(), StoreClock::Redis))
        .await
        .store();
    add_ready(&store, &direct("a")).await;
    let mut operator = Operator::of(folder.path()).await;
    let endless = tokio::spawn({
        let mut other = Operator::of(folder.path()).await;
        async move { other.try_ask::<()>(&["EVAL", "while true do end", "0"]).await }
    });
    let words = refused_with(&store, "BUSY").await;
    assert!(words.contains("SCRIPT KILL"), "{words}");
    operator.ask::<()>(&["SCRIPT", "KILL"]).await;
    endless.await.unwrap().unwrap_err();
    back(&store).await;
    claim_one(&store).await;
}

#[tokio::test]
async fn a_server_that_reads_its_data_is_waited_for() {
    let folder = TempDir::new().unwrap();
    let files = ["--appendonly", "no", "--loading-process-events-interval-bytes", "1024"];
    let server = Server::start(folder.path(), &files);
    let settings = config(folder.path(), &policy(), StoreClock::Redis);
    let store = connect(settings.clone()).await.store();
    add_ready(&store, &direct("a")).await;
    let mut operator = Operator::of(folder.path()).await;
    for n in 0..300 {
        operator
            .ask::<()>(&["SET", &format!("filler{n}"), &"x".repeat(200)])
            .await;
    }
    operator.ask::<()>(&["SAVE"]).await;
    drop(server);
    let slowly: Vec<&str> = files.into_iter().chain(["--key-load-delay", "3000"]).collect();
    let _server = Server::start(folder.path(), &slowly);
    let words = refused_with(&store, "reading its data").await;
    assert!(words.contains("wait"), "{words}");
    back(&store).await;
    claim_one(&store).await;
}
