//! What an item costs from its enqueueing to its end, through the whole runner with the guest that does nothing: real
//! dispatch, runner and claims on a SQLite store, the real sandbox, and a development Hub in another process that is told
//! of every activation over loopback HTTP. Against the same without the runner: items that are completed as soon as
//! they are claimed. And where an item's time and the host's CPU time go.
//!
//! `cargo bench -p warren --bench runner`. Both take turns in one run. The budget answers are in the host's memory, as
//! they are for 30 s in operation. Log lines are written, and thrown away.

#![allow(clippy::unwrap_used, reason = "a bench that can't start has nothing to measure")]

use std::{collections::BTreeMap, io, time::Duration};

use tokio::runtime::Builder;
use warren::{domain::work_item::TaskType, ports::work_queue::Enqueued};
use warren_tests::guests;

use self::{
    cost::Cost,
    items::item,
    seams::{STAGES, Seen},
    spread::Spread,
    wiring::Wired,
};

#[path = "measuring/cost.rs"]
mod cost;
#[path = "runner/hub.rs"]
mod hub;
#[path = "measuring/items.rs"]
mod items;
#[path = "runner/seams.rs"]
mod seams;
#[path = "measuring/spread.rs"]
mod spread;
#[path = "measuring/store.rs"]
mod store;
#[path = "measuring/threads.rs"]
mod threads;
#[path = "measuring/used.rs"]
mod used;
#[path = "runner/wiring.rs"]
mod wiring;

/// Activations at a time (32 is the default), and the items of a round.
const SLOTS: [(usize, usize); 2] = [(1, 150), (32, 2000)];
const ROUNDS: usize = 5;
/// Several times as many as there are slots, so that no item has to wait for its agent.
const AGENTS: usize = 256;
/// What the leader enqueues at a time.
const ENQUEUED: usize = 200;

fn main() {
    tracing_subscriber::fmt().with_writer(io::sink).init();
    // As many threads, and named, as a host has.
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("warren-host")
        .enable_all()
        .build()
        .unwrap();
    let component = guests::component("guest-idle");
    let wired = runtime.block_on(async { tokio::spawn(Wired::new(component, AGENTS)).await.unwrap() });
    let wired = std::sync::Arc::new(wired);
    for (slots, items) in SLOTS {
        let mut nothing = Rounds::default();
        let mut whole = Rounds::default();
        for round in 0..=ROUNDS {
            let (first, second) = runtime.block_on(async {
                // In a task, as a host: what `block_on` itself runs is on another thread.
                let wired = wired.clone();
                let turns = async move {
                    (
                        turn(&wired, slots, items, false).await,
                        turn(&wired, slots, items, true).await,
                    )
                };
                tokio::spawn(turns).await.unwrap()
            });
            // The first round warms up: definitions, budget answers, connections.
            if round > 0 {
                nothing.add(first);
                whole.add(second);
            }
        }
        print(slots, items, &nothing, &whole);
    }
}

/// One measurement of so many items.
struct Turn {
    items: usize,
    cost: Cost,
    seen: Seen,
    threads: BTreeMap<String, Duration>,
    hub: Duration,
}

async fn turn(wired: &Wired, slots: usize, items: usize, whole: bool) -> Turn {
    let running = if whole {
        wired.run(slots)
    } else {
        wired.run_nothing(slots)
    };
    let (threads, hub) = (threads::cpu(), wired.hub.cpu());
    let (seen, cost) = cost::of(async {
        let numbers: Vec<usize> = (0..items).collect();
        for some in numbers.chunks(ENQUEUED) {
            let items = some.iter().map(|n| item(n % AGENTS, TaskType::Direct)).collect();
            let answers = wired.queue.enqueue(None, items).await.unwrap();
            assert!(answers.iter().all(|answer| matches!(answer, Enqueued::Added(_))));
        }
        wired.seams.take(items).await
    })
    .await;
    let turn = Turn {
        items,
        cost,
        seen,
        threads: used::between(&threads, threads::cpu()),
        hub: wired.hub.cpu().saturating_sub(hub),
    };
    running.stop().await;
    turn
}

#[derive(Default)]
struct Rounds(Vec<Turn>);

impl Rounds {
    fn add(&mut self, turn: Turn) {
        self.0.push(turn);
    }

    fn items(&self) -> f64 {
        self.0.iter().map(|turn| turn.items).sum::<usize>() as f64
    }

    /// Microseconds of an item, in the median round.
    fn wall(&self) -> f64 {
        Spread::of(self.0.iter().map(|turn| turn.cost.wall / turn.items as u32)).median()
    }

    /// Microseconds of an item, over all rounds.
    fn each(&self, time: impl Fn(&Turn) -> Duration) -> f64 {
        self.0.iter().map(time).sum::<Duration>().as_secs_f64() * 1e6 / self.items()
    }

    fn cpu(&self) -> f64 {
        self.each(|turn| turn.cost.cpu)
    }

    fn seen<T: Copy>(&self, which: impl Fn(&Seen) -> &Vec<T>) -> Vec<T> {
        self.0
            .iter()
            .flat_map(|turn| which(&turn.seen).iter().copied())
            .collect()
    }
}

fn print(slots: usize, items: usize, nothing: &Rounds, whole: &Rounds) {
    println!("{slots} at a time ({ROUNDS} rounds of {items} items)");
    println!("  {:<46} {:>9} {:>9}", "", "items/s", "CPU/item");
    for (name, rounds) in [("enqueue, claim, complete", nothing), ("the whole runner", whole)] {
        println!("  {name:<46} {:>9.0} {:>9.0}", 1e6 / rounds.wall(), rounds.cpu());
    }
    println!(
        "  {:<46} {:>7.2} × {:>7.2} ×",
        "the whole runner against the store alone",
        whole.wall() / nothing.wall(),
        whole.cpu() / nothing.cpu()
    );
    print_stages(whole);
    print_cpu(nothing, whole);
    println!("(times in µs)\n");
}

fn print_stages(whole: &Rounds) {
    let ways = whole.seen(|seen| &seen.ways);
    let total: Duration = ways.iter().flatten().sum();
    println!(
        "\n  {:<46} {:>9} {:>9} {:>9}",
        "an item's way", "median", "p99", "share"
    );
    for (stage, name) in STAGES.into_iter().enumerate() {
        let spread = Spread::of(ways.iter().map(|way| way[stage]));
        let sum: Duration = ways.iter().map(|way| way[stage]).sum();
        let share = 100.0 * sum.as_secs_f64() / total.as_secs_f64();
        println!(
            "  {name:<46} {:>9.0} {:>9.0} {share:>8.1}%",
            spread.median(),
            spread.p99()
        );
        if name.starts_with("sandbox") {
            let inside = Spread::of(whole.seen(|seen| &seen.inside));
            println!(
                "  {:<46} {:>9.0} {:>9.0}",
                "  of which the activation itself",
                inside.median(),
                inside.p99()
            );
        }
    }
    let all = Spread::of(ways.iter().map(|way| way.iter().sum()));
    println!(
        "  {:<46} {:>9.0} {:>9.0} {:>8.1}%",
        "all, from the claim on",
        all.median(),
        all.p99(),
        100.0
    );
    let enqueue = Spread::of(whole.seen(|seen| &seen.enqueues));
    let claims: usize = whole.0.iter().map(|turn| turn.seen.claims).sum();
    println!(
        "  {:<46} {:>9.0} {:>9.0}",
        format!("before that: enqueue, at most {ENQUEUED} at a time"),
        enqueue.median(),
        enqueue.p99()
    );
    println!(
        "  {:<46} {:>9.1}",
        "items that a claim took",
        whole.items() / claims as f64
    );
}

fn print_cpu(nothing: &Rounds, whole: &Rounds) {
    println!(
        "\n  {:<46} {:>9} {:>9} {:>9}",
        "CPU time of an item", "alone", "whole", "share"
    );
    let names = [
        ("store-write", "the store's writer: enqueue, claim, complete"),
        ("warren-host", "the host: dispatch, runner, Hub client, logs"),
        ("warren-guest", "guests: the sandbox"),
    ];
    let of = |rounds: &Rounds, name: &str| rounds.each(|turn| turn.threads.get(name).copied().unwrap_or_default());
    for (thread, name) in names {
        let (alone, in_whole) = (of(nothing, thread), of(whole, thread));
        println!(
            "  {name:<46} {alone:>9.0} {in_whole:>9.0} {:>8.1}%",
            100.0 * in_whole / whole.cpu()
        );
    }
    println!(
        "  {:<46} {:>9.0} {:>9.0}",
        "beside it, the development Hub's process",
        nothing.each(|turn| turn.hub),
        whole.each(|turn| turn.hub)
    );
}
