//! What an item costs the Redis server: commands, round trips and CPU time for enqueueing, claiming and completing it, by
//! as many at a time as a host has at that moment; beside scripts that do the least possible work for the same steps, in the
//! same run on the same server. Then the same with few and many items queued and breakers open, and an idle host's load.
//!
//! `cargo bench -p warren --bench redis`; a number behind `--` is the greatest depth (10⁵ unless it is given).

#![allow(clippy::unwrap_used, reason = "a bench that can't start has nothing to measure")]

use tokio::runtime::Builder;
use warren::domain::work_item::TaskType;

use self::{
    least::Least,
    queue::Queue,
    scripts::BODY,
    server::{Cost, Meter, Server},
};

#[path = "redis/idle.rs"]
mod idle;
#[path = "measuring/items.rs"]
mod items;
#[path = "redis/least.rs"]
mod least;
#[path = "redis/queue.rs"]
mod queue;
#[path = "measuring/least.rs"]
mod scripts;
#[path = "redis/server.rs"]
mod server;

/// How items come and go.
#[derive(Clone, Copy)]
pub enum Way {
    /// Enqueued by the idle host that runs them: each is claimed in the same call.
    Own,
    /// So many at a time, by anybody.
    Batch(usize),
}
const WAYS: [Way; 5] = [Way::Own, Way::Batch(1), Way::Batch(8), Way::Batch(32), Way::Batch(64)];
/// Items of one round, a multiple of every batch; and rounds, in which the variants take turns.
const ITEMS: usize = 512;
const ROUNDS: usize = 8;
const DEPTHS: [usize; 4] = [100, 10_000, 100_000, 1_000_000];
const DEEPEST: usize = 100_000;
/// One claim in so many goes to a lower priority, as hosts have it by default.
const FAIRNESS: u32 = 10;
/// As many at a time as a busy host claims.
const BUSY: usize = 32;
const STEPS: [&str; 3] = ["enqueue", "claim", "complete"];

type Steps = [Cost; 3];

fn main() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let deepest = std::env::args()
        .filter_map(|arg| arg.parse().ok())
        .next()
        .unwrap_or(DEEPEST);
    let server = Server::start();
    let mut meter = Meter::new(&server);
    for kind in [TaskType::Inbox, TaskType::Discovery, TaskType::Direct] {
        for way in WAYS {
            runtime.block_on(against_the_least(&server, &mut meter, kind, way));
        }
    }
    println!(
        "{BUSY} inbox items at a time, beside so many that are queued and as many agents (10⁴ at most) whose breaker is open"
    );
    for depth in DEPTHS.into_iter().filter(|depth| *depth <= deepest) {
        runtime.block_on(at_depth(depth));
    }
    println!();
    runtime.block_on(idle::report());
}

async fn against_the_least(server: &Server, meter: &mut Meter, kind: TaskType, way: Way) {
    let (batch, words, prefix) = match way {
        Way::Own => (1, "an idle host's own".to_owned(), format!("{kind:?}own:")),
        Way::Batch(batch) => (batch, format!("{batch} at a time"), format!("{kind:?}{batch}:")),
    };
    let queue = Queue::connect(server, &prefix, FAIRNESS).await;
    let (mut one, mut many) = (Least::new(server, 1), Least::new(server, batch));
    let mut sums = [Steps::default(), Steps::default(), Steps::default()];
    for round in 0..=ROUNDS {
        let costs = [
            queue.run(meter, kind, ITEMS, way).await,
            one.run(meter, ITEMS, BODY),
            many.run(meter, ITEMS, BODY),
        ];
        // The first round warms up.
        if round > 0 {
            for (sum, cost) in sums.iter_mut().zip(costs) {
                add(sum, &cost);
            }
        }
    }
    print(&format!("{} items, {words}", kind.as_str()), &sums);
}

fn add(sum: &mut Steps, cost: &Steps) {
    for (sum, cost) in sum.iter_mut().zip(cost) {
        *sum += *cost;
    }
}

fn print(what: &str, sums: &[Steps; 3]) {
    let items = (ITEMS * ROUNDS) as f64;
    println!(
        "{:<36} {:>8} {:>8} {:>8} {:>9} {:>9} {:>8} {:>8}",
        what, "trips", "commands", "CPU", "least", "…batched", "× least", "…batched"
    );
    let total = |steps: &Steps| {
        steps.iter().fold(Cost::default(), |mut sum, cost| {
            sum += *cost;
            sum
        })
    };
    let all = sums.each_ref().map(total);
    for step in 0..=STEPS.len() {
        let of = |variant: usize| sums[variant].get(step).unwrap_or(&all[variant]);
        let (warren, one, many) = (of(0), of(1), of(2));
        println!(
            "{:<36} {:>8.2} {:>8.2} {:>8.1} {:>9.1} {:>9.1} {:>8.2} {:>8.2}",
            STEPS.get(step).unwrap_or(&"an item, all three"),
            warren.calls / items,
            warren.commands / items,
            warren.cpu / items,
            one.cpu / items,
            many.cpu / items,
            warren.cpu / one.cpu,
            warren.cpu / many.cpu,
        );
    }
    println!("(of one item; CPU time of the server in µs)\n");
}

/// With so many items queued that this work does not touch, and so many agents whose breaker is open.
async fn at_depth(depth: usize) {
    let server = Server::start();
    let mut meter = Meter::new(&server);
    let queue = Queue::connect(&server, "", 0).await;
    queue.fill(depth).await;
    let mut sum = Steps::default();
    for round in 0..=ROUNDS {
        let cost = queue.run(&mut meter, TaskType::Inbox, ITEMS, Way::Batch(BUSY)).await;
        if round > 0 {
            add(&mut sum, &cost);
        }
    }
    let items = (ITEMS * ROUNDS) as f64;
    let [enqueue, claim, complete] = sum.map(|cost| cost.cpu / items);
    println!(
        "{depth:>9} queued: enqueue {enqueue:>5.1}, claim {claim:>5.1}, complete {complete:>5.1}, together {:>5.1}",
        enqueue + claim + complete
    );
}
