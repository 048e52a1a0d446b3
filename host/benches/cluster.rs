//! One host on Redis: items per second, each in a fresh sandbox, through the real dispatch, claims, runner and sandbox,
//! against the same Redis answering two scripts per item to 50 concurrent callers; and how long an idle host takes from the
//! enqueueing of an item to the guest's first instructions, beside a PING.
//!
//! `cargo bench -p warren --bench cluster`. The variants take turns in one run, on a Redis of their own. The Hub answers
//! at once and from memory, as budgets do in operation; log lines are written, and thrown away.

#![allow(clippy::unwrap_used, reason = "a bench that can't start has nothing to measure")]

use std::{
    collections::BTreeMap,
    env, io,
    sync::Arc,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::{
    runtime::Builder,
    sync::mpsc,
    time::{sleep, timeout},
};
use warren::{
    adapters::redis::RedisStore,
    domain::work_item::TaskType,
    ports::work_queue::{Enqueued, WorkQueue},
};

use self::{cost::Cost, floor::Floor, items::item, redis_server::RedisServer, spread::Spread, wiring::Wired};

/// As the host's own program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[path = "measuring/cost.rs"]
mod cost;
#[path = "cluster/floor.rs"]
mod floor;
#[path = "cluster/hub.rs"]
mod hub;
#[path = "measuring/items.rs"]
mod items;
#[path = "measuring/least.rs"]
mod least;
#[path = "measuring/redis.rs"]
mod redis_server;
#[path = "measuring/spread.rs"]
mod spread;
#[path = "measuring/threads.rs"]
mod threads;
#[path = "measuring/used.rs"]
mod used;
#[path = "cluster/wiring.rs"]
mod wiring;

const ROUNDS: usize = 5;
/// Items of a round, all queued before it begins. As many agents, so that none waits for another of its agent and none
/// merges.
const ITEMS: usize = 5_000;
/// As the leader finds them.
const ENQUEUED: usize = 200;
/// Activations at a time.
const SLOTS: [u32; 3] = [32, 64, 128];
/// What is run: the guest that does nothing, and an agent that looks at its inbox and finds nothing to answer.
const WORK: [(&str, TaskType, &str); 3] = [
    (
        "direct items, a guest that does nothing",
        TaskType::Direct,
        "guest-idle",
    ),
    (
        "discovery items, a guest that does nothing",
        TaskType::Discovery,
        "guest-idle",
    ),
    ("inbox items, echo reads one notification", TaskType::Inbox, "echo"),
];
/// One at a time, on a host that has nothing else to do.
const LATENCIES: usize = 2_000;
const WARM_UP: usize = 100;
/// Long enough that everything sleeps again.
const PAUSE: Duration = Duration::from_millis(2);

fn main() {
    tracing_subscriber::fmt()
        .compact()
        .with_ansi(false)
        .with_writer(io::sink)
        .init();
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("warren-host")
        .enable_all()
        .build()
        .unwrap();
    let agents = Arc::new(wiring::definitions(ITEMS));
    let only = env::args().nth(1).filter(|arg| !arg.starts_with('-'));
    let wants = |part: &str| only.as_deref().is_none_or(|only| only == part);
    if wants("throughput") {
        for slots in SLOTS {
            let turns = throughput(Arc::clone(&agents), slots);
            runtime.block_on(async { tokio::spawn(turns).await.unwrap() });
        }
    }
    if wants("latency") {
        runtime.block_on(async { tokio::spawn(latency(agents)).await.unwrap() });
    }
}

/// What some items cost: this process, Redis, and this process's threads by name.
struct Turn {
    items: usize,
    cost: Cost,
    redis: Duration,
    threads: BTreeMap<String, Duration>,
}

async fn turn(redis: &RedisServer, items: usize, work: impl Future<Output = ()>) -> Turn {
    let (before, threads) = (redis.cpu(), threads::cpu());
    let ((), cost) = cost::of(work).await;
    Turn {
        items,
        cost,
        redis: redis.cpu() - before,
        threads: used::between(&threads, threads::cpu()),
    }
}

async fn throughput(agents: Arc<TempDir>, slots: u32) {
    let redis = RedisServer::start();
    let floor = Floor::new(&redis.url).await;
    let leader = wiring::connect(&redis.url).await;
    let (first, _unheard) = mpsc::unbounded_channel();
    let mut hosts = Vec::new();
    for (_, _, guest) in WORK {
        hosts.push(Wired::new(&redis.url, guest, agents.path(), slots, first.clone()).await);
    }
    let (mut nothing, mut least) = (Rounds::default(), Rounds::default());
    let mut whole = WORK.map(|_| Rounds::default());
    for round in 0..=ROUNDS {
        let mut turns = Vec::new();
        nothing.add(round, turn(&redis, 10 * ITEMS, floor.nothing(10 * ITEMS)).await);
        floor.enqueue(5 * ITEMS).await;
        least.add(round, turn(&redis, 5 * ITEMS, floor.least(5 * ITEMS)).await);
        for ((_, task_type, _), host) in WORK.iter().zip(&hosts) {
            enqueue(&leader, *task_type).await;
            let ran = turn(&redis, ITEMS, async {
                let running = host.run(slots);
                host.ended(ITEMS).await;
                // Stopping what waits for more is no part of it, and takes next to nothing.
                running.stop().await;
            });
            turns.push(ran.await);
        }
        for (rounds, turn) in whole.iter_mut().zip(turns) {
            rounds.add(round, turn);
        }
    }
    print(slots, &nothing, &least, &whole);
}

async fn enqueue(leader: &RedisStore, task_type: TaskType) {
    let numbers: Vec<usize> = (0..ITEMS).collect();
    for some in numbers.chunks(ENQUEUED) {
        let items = some.iter().map(|n| item(*n, task_type)).collect();
        let answers = leader.enqueue(None, items).await.unwrap();
        assert!(
            answers.iter().all(|answer| matches!(answer, Enqueued::Added(_))),
            "{answers:?}"
        );
    }
}

#[derive(Default)]
struct Rounds(Vec<Turn>);

impl Rounds {
    /// The first round warms up: definitions, budget answers, connections.
    fn add(&mut self, round: usize, turn: Turn) {
        if round > 0 {
            self.0.push(turn);
        }
    }

    /// Microseconds of an item, in the median round.
    fn each(&self, time: impl Fn(&Turn) -> Duration) -> f64 {
        Spread::of(self.0.iter().map(|turn| time(turn) / turn.items as u32)).median()
    }

    fn wall(&self) -> f64 {
        self.each(|turn| turn.cost.wall)
    }

    fn cpu(&self) -> f64 {
        self.each(|turn| turn.cost.cpu + turn.redis)
    }

    fn thread(&self, name: &str) -> f64 {
        self.each(|turn| turn.threads.get(name).copied().unwrap_or_default())
    }
}

fn print(slots: u32, nothing: &Rounds, least: &Rounds, whole: &[Rounds]) {
    println!("{slots} at a time ({ROUNDS} rounds of {ITEMS} items)");
    println!(
        "  {:<46} {:>8} {:>9} {:>6} {:>6} {:>6} {:>6}   {:>10} {:>10}",
        "", "items/s", "CPU/item", "Redis", "host", "guests", "cores", "of nothing", "of least"
    );
    let floors = [
        ("two scripts that do nothing, 50 callers", nothing),
        ("least claim and completion, 50 callers", least),
    ];
    let works = WORK.iter().map(|(name, ..)| *name).zip(whole);
    for (name, rounds) in floors.into_iter().chain(works) {
        println!(
            "  {name:<46} {:>8.0} {:>9.1} {:>6.1} {:>6.1} {:>6.1} {:>6.2}   {:>10.3} {:>10.3}",
            1e6 / rounds.wall(),
            rounds.cpu(),
            rounds.each(|turn| turn.redis),
            rounds.thread("warren-host"),
            rounds.thread("warren-guest"),
            rounds.cpu() / rounds.wall(),
            nothing.wall() / rounds.wall(),
            least.wall() / rounds.wall(),
        );
    }
    println!("(CPU times in µs per item; the last two: the share of the floors' items per second)\n");
}

async fn latency(agents: Arc<TempDir>) {
    let redis = RedisServer::start();
    let (first, mut heard) = mpsc::unbounded_channel();
    let wired = Wired::new(&redis.url, "guest-first", agents.path(), 32, first).await;
    let running = wired.run(32);
    let floor = Floor::new(&redis.url).await;
    let other = wiring::connect(&redis.url).await;
    let (mut pings, mut by_itself, mut by_another) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..LATENCIES + WARM_UP {
        sleep(PAUSE).await;
        let began = Instant::now();
        floor.ping().await;
        pings.push(began.elapsed());
        for (submitter, firsts) in [(wired.store(), &mut by_itself), (&other, &mut by_another)] {
            sleep(PAUSE).await;
            let began = Instant::now();
            let added = submitter.enqueue(None, vec![item(0, TaskType::Direct)]).await.unwrap();
            assert!(matches!(added[..], [Enqueued::Added(_)]), "{added:?}");
            let at: Instant = timeout(Duration::from_secs(5), heard.recv()).await.unwrap().unwrap();
            wired.ended(1).await;
            firsts.push(at - began);
        }
        if round + 1 == WARM_UP {
            pings.clear();
            by_itself.clear();
            by_another.clear();
        }
    }
    running.stop().await;
    println!("an idle host, one item at a time ({LATENCIES} items)");
    println!("  {:<68} {:>9} {:>9}", "", "median", "p99");
    for (name, times) in [
        ("PING", pings),
        ("from its own enqueueing to the guest's first words", by_itself),
        ("from another host's enqueueing to the guest's first words", by_another),
    ] {
        let spread = Spread::of(times);
        println!("  {name:<68} {:>9.0} {:>9.0}", spread.median(), spread.p99());
    }
    println!("(times in µs)");
}
