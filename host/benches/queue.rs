//! What claiming and completing an item costs on the SQLite store, one at a time and 64 at a time, with few and many
//! items queued; against the least possible work: a bare transaction that changes a row twice with `synchronous=FULL`.
//!
//! `cargo bench -p warren --bench queue`. The variants take turns in one run, on one disk.

#![allow(clippy::unwrap_used, reason = "a bench that can't start has nothing to measure")]

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::runtime::Builder;
use warren::{
    domain::{
        ending::{Ending, Reason},
        ids::{ClaimToken, ItemId},
        work_item::{TaskType, WorkItem},
    },
    ports::{
        store::StorePolicy,
        work_queue::{ClaimRequest, Completed, Completion, Enqueued, WorkQueue},
    },
};

use self::{cost::Cost, items::item, least::Least, spread::Spread};

#[path = "measuring/cost.rs"]
mod cost;
#[path = "measuring/items.rs"]
mod items;
#[path = "queue/least.rs"]
mod least;
#[path = "measuring/spread.rs"]
mod spread;
#[path = "measuring/store.rs"]
mod store;

const DEPTHS: [usize; 3] = [100, 10_000, 100_000];
/// Items at a time, and how often a round does that.
const BATCHES: [(usize, usize); 2] = [(1, 30), (64, 10)];
const ROUNDS: usize = 12;
/// What the leader enqueues at a time.
const ENQUEUED: usize = 200;

fn main() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let mut least = Least::new();
    let queues: Vec<Queue> = DEPTHS.iter().map(|depth| runtime.block_on(Queue::of(*depth))).collect();
    for (batch, times) in BATCHES {
        let mut once = Vec::new();
        let mut twice = Vec::new();
        let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); queues.len()];
        for round in 0..=ROUNDS {
            for _ in 0..times {
                let (first, second) = (least.once(batch), least.twice(batch));
                let measured: Vec<Cost> = queues
                    .iter()
                    .map(|queue| runtime.block_on(queue.claim_and_complete(batch)))
                    .collect();
                // The first round warms up.
                if round > 0 {
                    once.push(first);
                    twice.push(second);
                    for (all, cost) in costs.iter_mut().zip(measured) {
                        all.push(cost);
                    }
                }
            }
        }
        print(batch, &once, &twice, &costs);
    }
}

fn print(batch: usize, once: &[Duration], twice: &[Duration], costs: &[Vec<Cost>]) {
    println!(
        "{:<52} {:>9} {:>9} {:>9} {:>9} {:>7} {:>7}",
        format!("{batch} at a time ({} times each)", once.len()),
        "median",
        "p99",
        "items/s",
        "CPU/item",
        "× one",
        "× two"
    );
    let (once, twice) = (Spread::of(once.iter().copied()), Spread::of(twice.iter().copied()));
    let row = |name: &str, spread: &Spread, cpu: Option<f64>| {
        println!(
            "{name:<52} {:>9.0} {:>9.0} {:>9.0} {:>9} {:>7.2} {:>7.2}",
            spread.median(),
            spread.p99(),
            batch as f64 * 1e6 / spread.median(),
            cpu.map(|cpu| format!("{cpu:.0}")).unwrap_or_default(),
            spread.median() / once.median(),
            spread.median() / twice.median(),
        );
    };
    row("bare SQLite, both changes in one transaction", &once, None);
    row("bare SQLite, each change in its own", &twice, None);
    for (depth, costs) in DEPTHS.iter().zip(costs) {
        let spread = Spread::of(costs.iter().map(|cost| cost.wall));
        let cpu: Duration = costs.iter().map(|cost| cost.cpu).sum();
        let cpu = cpu.as_secs_f64() * 1e6 / (costs.len() * batch) as f64;
        row(&format!("Warren, claim + complete, {depth} queued"), &spread, Some(cpu));
    }
    println!("(times in µs)\n");
}

/// A store with so many items queued, each of an agent of its own.
struct Queue {
    queue: Arc<dyn WorkQueue>,
    _folder: TempDir,
}

impl Queue {
    async fn of(depth: usize) -> Queue {
        let folder = store::folder();
        let policy = StorePolicy {
            max_queue: u64::MAX,
            ..StorePolicy::default()
        };
        let queue = Queue {
            queue: store::open(&folder, policy).store().queue,
            _folder: folder,
        };
        let agents: Vec<usize> = (0..depth).collect();
        for some in agents.chunks(ENQUEUED) {
            queue
                .enqueue(some.iter().map(|n| item(*n, TaskType::Inbox)).collect())
                .await;
        }
        queue
    }

    async fn enqueue(&self, items: Vec<WorkItem>) {
        for answer in self.queue.enqueue(None, items).await.unwrap() {
            assert!(matches!(answer, Enqueued::Added(_)), "{answer:?}");
        }
    }

    /// As a host does: one call claims, one call completes each. Afterwards the queue is as deep as before.
    async fn claim_and_complete(&self, batch: usize) -> Cost {
        let request = ClaimRequest {
            host: store::host(),
            tokens: (0..batch).map(|_| ClaimToken::fresh()).collect(),
            lease: Duration::from_secs(60),
            avoid: Vec::new(),
        };
        let work = async {
            let claimed = self.queue.claim(&request).await.unwrap();
            let completions: Vec<Completion> = claimed
                .iter()
                .map(|claimed| Completion {
                    item: claimed.item.id,
                    token: claimed.token,
                    ending: Ending::new(Reason::Ok, ""),
                    generation: Some("idle@1".to_owned()),
                })
                .collect();
            let ended = join_all(completions.iter().map(|completion| self.queue.complete(completion))).await;
            (claimed, ended)
        };
        let ((claimed, ended), cost) = cost::of(work).await;
        assert_eq!(claimed.len(), batch);
        assert!(ended.iter().all(|ended| *ended == Ok(Completed::Done)), "{ended:?}");
        // New ones for the same agents.
        let again = claimed.into_iter().map(|claimed| WorkItem {
            id: ItemId::fresh(),
            ..claimed.item
        });
        self.enqueue(again.collect()).await;
        cost
    }
}
