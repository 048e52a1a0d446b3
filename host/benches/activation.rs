//! What an activation costs: the guest that does nothing in Warren's sandbox, against the same component on bare
//! wasmtime (pooling allocator, resident memory kept, concurrency support off, a prebuilt `InstancePre`).
//!
//! `cargo bench -p warren --bench activation`. The variants take turns in one run, so that what else the machine does
//! falls on all of them.

#![allow(clippy::unwrap_used, reason = "a bench that can't start has nothing to measure")]

use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use warren_tests::guests;

use self::{bare::Bare, sandboxed::Warren};

#[path = "activation/bare.rs"]
mod bare;
#[path = "measuring/no_host.rs"]
mod no_host;
#[path = "activation/warren.rs"]
mod sandboxed;

const ROUNDS: usize = 40;
const A_ROUND: usize = 500;
/// Activations at a time, where there are many.
const IN_FLIGHT: usize = 16;

fn main() {
    let component = guests::component("guest-idle");
    let bare = Bare::new(&component);
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let other = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let warren = Warren::new(&runtime, component);

    let mut times = Times::default();
    for round in 0..=ROUNDS {
        let mut this = Times::default();
        for _ in 0..A_ROUND {
            this.sync.push(bare.activate_sync());
            this.stages.push(runtime.block_on(bare.activate()));
            this.spawned.push(timed(|| runtime.block_on(bare.activate_on(&other))));
            let mut inside = Duration::ZERO;
            this.warren.push(timed(|| inside = runtime.block_on(warren.activate())));
            this.inside.push(inside);
        }
        this.bare_many
            .push(timed(|| runtime.block_on(bare.activate_many(&other))) / A_ROUND as u32);
        this.warren_many
            .push(timed(|| runtime.block_on(warren.activate_many())) / A_ROUND as u32);
        // The first round warms up.
        if round > 0 {
            times.add(this);
        }
    }
    times.print();
}

fn timed(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

/// Store, instantiation, call and drop.
type Stages = [Duration; 4];

#[derive(Default)]
struct Times {
    sync: Vec<Duration>,
    stages: Vec<Stages>,
    spawned: Vec<Duration>,
    warren: Vec<Duration>,
    inside: Vec<Duration>,
    bare_many: Vec<Duration>,
    warren_many: Vec<Duration>,
}

impl Times {
    fn add(&mut self, other: Times) {
        self.sync.extend(other.sync);
        self.stages.extend(other.stages);
        self.spawned.extend(other.spawned);
        self.warren.extend(other.warren);
        self.inside.extend(other.inside);
        self.bare_many.extend(other.bare_many);
        self.warren_many.extend(other.warren_many);
    }

    fn print(self) {
        let bare: Vec<Duration> = self.stages.iter().map(|stages| stages.iter().sum()).collect();
        println!("{:<58} {:>9} {:>9}   (µs; {} each)", "", "median", "p99", bare.len());
        row("bare wasmtime, synchronous", &self.sync);
        let reference = row("bare wasmtime, asynchronous", &bare);
        for (stage, name) in ["store", "instantiate", "call", "drop"].into_iter().enumerate() {
            let times: Vec<Duration> = self.stages.iter().map(|stages| stages[stage]).collect();
            row(&format!("  of which: {name}"), &times);
        }
        let inside = row("Warren, from the place in the pool to the verdict", &self.inside);
        let spawned = row("bare wasmtime, on another runtime, one at a time", &self.spawned);
        let warren = row("Warren's `activate`, one at a time", &self.warren);
        let many = row(
            &format!("bare wasmtime, on another runtime, {IN_FLIGHT} at a time"),
            &self.bare_many,
        );
        let warrens_many = row(
            &format!("Warren's `activate`, {IN_FLIGHT} at a time"),
            &self.warren_many,
        );
        println!();
        ratio("the activation itself, against bare wasmtime", inside, reference);
        ratio(
            "`activate`, one at a time, against bare wasmtime on another runtime",
            warren,
            spawned,
        );
        ratio(
            "`activate`, many at a time, against bare wasmtime on another runtime",
            warrens_many,
            many,
        );
        ratio(
            "`activate`, many at a time, against bare wasmtime alone",
            warrens_many,
            reference,
        );
    }
}

fn row(name: &str, times: &[Duration]) -> f64 {
    let mut sorted: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e6).collect();
    sorted.sort_by(f64::total_cmp);
    let (median, p99) = (sorted[sorted.len() / 2], sorted[sorted.len() * 99 / 100]);
    println!("{name:<58} {median:>9.1} {p99:>9.1}");
    median
}

fn ratio(name: &str, of: f64, to: f64) {
    println!("{:<72} {:>6.2} ×", name, of / to);
}
