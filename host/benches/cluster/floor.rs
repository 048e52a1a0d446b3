//! What Redis can do: two scripts for each item, for 50 callers that wait for each answer. They share a connection, so that
//! what they send at the same time travels together: with a connection each, the server would mostly be reading and
//! writing sockets.
//!
//! Two readings of it: scripts that do nothing, and scripts that do the least that a queue can do for a claim and a
//! completion.

use std::sync::Arc;

use redis::{Client, Cmd, aio::MultiplexedConnection};
use tokio::task::JoinSet;

use super::{
    items::agent,
    least::{BODY, KEYS, LEASE, scripts},
};

const CALLERS: usize = 50;
/// Items of one enqueueing call.
const ENQUEUED: usize = 500;

#[derive(Clone)]
pub struct Floor {
    connection: MultiplexedConnection,
    calls: Arc<Calls>,
}

/// Of the scripts; those of `enqueue` and `complete` lack what they are for.
struct Calls {
    nothing: [Cmd; 2],
    enqueue: Cmd,
    claim: Cmd,
    complete: Cmd,
}

impl Floor {
    pub async fn new(url: &str) -> Floor {
        let client = Client::open(url).unwrap();
        let connection = client.get_multiplexed_async_connection().await.unwrap();
        let load = async |text: &str, keys: &[&str]| -> Cmd {
            let mut load = redis::cmd("SCRIPT");
            let load = load.arg("LOAD").arg(text);
            let hash: String = load.query_async(&mut connection.clone()).await.unwrap();
            let mut call = redis::cmd("EVALSHA");
            call.arg(hash).arg(keys.len()).arg(keys);
            call
        };
        let ([enqueue, ..], [_, claim, complete]) = (scripts(ENQUEUED), scripts(1));
        let mut claim = load(claim, &KEYS).await;
        claim.arg(LEASE);
        let calls = Calls {
            nothing: [load("return 1", &[]).await, load("return 2", &[]).await],
            enqueue: load(enqueue, &KEYS).await,
            claim,
            complete: load(complete, &KEYS).await,
        };
        Floor {
            connection,
            calls: Arc::new(calls),
        }
    }

    /// So many items, of which nothing is done.
    pub async fn nothing(&self, items: usize) {
        let one = |mut floor: Floor| async move {
            for call in &floor.calls.nothing {
                let _: i64 = call.query_async(&mut floor.connection).await.unwrap();
            }
        };
        self.share(items, one).await;
    }

    /// Enqueue what [`Floor::least`] takes.
    pub async fn enqueue(&self, items: usize) {
        let numbers: Vec<usize> = (0..items).collect();
        for some in numbers.chunks(ENQUEUED) {
            let mut call = self.calls.enqueue.clone();
            for number in some {
                // As long as an item's id.
                call.arg(format!("{:0>36}", agent(*number))).arg(BODY);
            }
            let _: i64 = call.query_async(&mut self.connection.clone()).await.unwrap();
        }
    }

    /// So many items, each claimed and completed.
    pub async fn least(&self, items: usize) {
        let one = |mut floor: Floor| async move {
            let claim = &floor.calls.claim;
            let (id, _body): (String, String) = claim.query_async(&mut floor.connection).await.unwrap();
            let mut complete = floor.calls.complete.clone();
            let _: i64 = complete.arg(id).query_async(&mut floor.connection).await.unwrap();
        };
        self.share(items, one).await;
    }

    /// Do this so many times, by all callers at once.
    async fn share<F>(&self, items: usize, one: impl Fn(Floor) -> F + Clone + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let (floor, one) = (self.clone(), one.clone());
            let share = items / CALLERS + usize::from(caller < items % CALLERS);
            callers.spawn(async move {
                for _ in 0..share {
                    one(floor.clone()).await;
                }
            });
        }
        callers.join_all().await;
    }

    /// How long a PING takes.
    pub async fn ping(&self) {
        redis::cmd("PING")
            .query_async::<()>(&mut self.connection.clone())
            .await
            .unwrap();
    }
}
