//! Whether anything costs more because there is more of it: queued items, agents, open breakers; a hundred, ten thousand and a
//! million of each, on a Redis of its own. What the Redis server is asked, in CPU time: an item's enqueueing, claim and
//! completion; what idle hosts and operators ask for; and a host with nothing to do. The stores take turns in one run.
//!
//! `cargo bench -p warren --bench growth`; a number behind `--` is the greatest size (10⁴ unless it is given; 10⁶ takes some
//! minutes and 5 GB of memory).

#![allow(clippy::unwrap_used, reason = "a bench that can't start has nothing to measure")]

use std::{env, process::ExitCode, thread, time::Duration};

use tokio::runtime::Builder;
use warren_tests::{binary, hub::HubProcess, interrupt};

use self::{
    calls::Call,
    load_average::load_average,
    member::Member,
    store::{Filled, Many, OPEN_FOR},
};

#[path = "measuring/accounts.rs"]
mod accounts;
#[path = "growth/calls.rs"]
mod calls;
#[path = "measuring/items.rs"]
mod items;
#[path = "measuring/load_average.rs"]
mod load_average;
#[path = "measuring/member.rs"]
mod member;
#[path = "growth/store.rs"]
mod store;

const SIZES: [usize; 3] = [100, 10_000, 1_000_000];
const LARGEST: usize = 10_000;
/// Items of one round, and rounds, in which the stores take turns.
const ITEMS: usize = 512;
const ROUNDS: usize = 8;
/// As many at a time as a busy host claims.
const BATCH: usize = 32;
/// Of each call: fewer than half of the smallest size.
const CALLS: usize = 40;
const STEPS: [&str; 3] = ["enqueue", "claim", "complete"];
/// The first look at everything is behind a host by then.
const SETTLED: Duration = Duration::from_secs(6);
const WATCHED: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let given: Vec<String> = env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let largest = match given.as_slice() {
        [] => LARGEST,
        [number] if number.parse::<usize>().is_ok() => number.parse().unwrap_or(LARGEST),
        other => {
            eprintln!("growth: {other:?} is no size");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = interrupt::note_signals() {
        eprintln!("growth: can't listen for signals: {error}");
        return ExitCode::FAILURE;
    }
    binary::built_by_cargo(env!("CARGO_BIN_EXE_warren"));
    println!("load average before: {}", load_average());
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let mut groups: Vec<Vec<Filled>> = Vec::new();
    for many in [Many::Items, Many::Agents, Many::Breakers] {
        let sizes = SIZES.into_iter().filter(|size| *size <= largest);
        groups.push(
            sizes
                .map(|size| runtime.block_on(Filled::new(many, size, ITEMS)))
                .collect(),
        );
        stop_if_asked();
    }
    for group in &mut groups {
        runtime.block_on(report(group));
    }
    idle(&mut groups);
    println!("load average after: {}", load_average());
    ExitCode::SUCCESS
}

/// Drops everything by the panic, and with it all processes.
fn stop_if_asked() {
    assert!(!interrupt::interrupted(), "interrupted");
}

/// What calls and steps cost, side by side for all sizes.
async fn report(group: &mut [Filled]) {
    let mut calls = [[0.0; SIZES.len()]; Call::ALL.len()];
    // Before the steps: these take items from the head, and then nobody knows which ones are in the middle.
    for n in 0..=CALLS {
        for (at, call) in Call::ALL.into_iter().enumerate() {
            for (which, filled) in group
                .iter_mut()
                .enumerate()
                .filter(|(_, filled)| call.is_for(filled.many))
            {
                let mut before = filled.read();
                call.make(filled, n).await;
                let cpu = filled.lap(&mut before);
                // The first one warms up.
                if n > 0 {
                    calls[at][which] += cpu / CALLS as f64;
                }
            }
        }
        stop_if_asked();
    }
    let mut steps = [[0.0; SIZES.len()]; STEPS.len()];
    for round in 0..=ROUNDS {
        for (which, filled) in group.iter_mut().enumerate() {
            let cpu = filled.steps(ITEMS, BATCH).await;
            if round > 0 {
                for (sum, cpu) in steps.iter_mut().zip(cpu) {
                    sum[which] += cpu / (ITEMS * ROUNDS) as f64;
                }
            }
        }
        stop_if_asked();
    }
    header(group, "CPU time of the server (µs)");
    for (step, costs) in STEPS.into_iter().zip(&steps) {
        line(&format!("{step}, an item of {BATCH} at a time"), &costs[..group.len()]);
    }
    for (call, costs) in Call::ALL
        .into_iter()
        .zip(&calls)
        .filter(|(call, _)| call.is_for(group[0].many))
    {
        line(call.name(), &costs[..group.len()]);
    }
    println!();
}

fn header(group: &[Filled], what: &str) {
    print!("{what:<36}");
    for filled in group {
        print!(" {:>22}", filled.name());
    }
    println!();
}

/// Each with its ratio to the first.
fn line(name: &str, values: &[f64]) {
    print!("{name:<36}");
    for value in values {
        print!(" {value:>13.1} ({:>5.2}×)", value / values[0]);
    }
    println!();
}

/// What a host with nothing to do costs the server: one on each store, all at the same time. Where items are ready it has
/// the role coordinator only: it would run them.
fn idle(groups: &mut [Vec<Filled>]) {
    let hub = HubProcess::start(&[]);
    let open_for = format!("\"{}s\"", OPEN_FOR.as_secs());
    let hosts: Vec<Member> = groups
        .iter()
        .flatten()
        .map(|filled| host(filled, &hub, &open_for))
        .collect();
    for (host, filled) in hosts.iter().zip(groups.iter().flatten()) {
        host.process.wait_ready();
        warren_tests::eventually(
            format!("that the host on {} leads", filled.name()),
            warren_tests::SOON,
            || host.leads().then_some(()),
        );
    }
    pass(SETTLED);
    let before: Vec<_> = groups.iter_mut().flatten().map(Filled::read).collect();
    pass(WATCHED);
    let mut before = before.into_iter();
    for group in groups {
        let (mut cpu, mut commands) = (Vec::new(), Vec::new());
        for filled in group.iter_mut() {
            let spent = filled.read() - before.next().expect("every store was read");
            let a_second = spent.per_second(WATCHED.as_secs_f64());
            cpu.push(a_second.cpu);
            commands.push(a_second.total);
        }
        header(group, "an idle leader, a second");
        line("CPU time of the server (µs)", &cpu);
        line("commands, those in scripts too", &commands);
        println!();
    }
}

fn host(filled: &Filled, hub: &HubProcess, open_for: &str) -> Member {
    let mut settings = vec![
        ("queue.max_length", "100000000"),
        ("breaker.threshold", "1"),
        ("breaker.base", open_for),
        ("breaker.max", open_for),
    ];
    if filled.many == Many::Items {
        settings.push(("host.roles", "[\"coordinator\"]"));
    }
    Member::start("idle", &filled.server.url(), hub, &[], &settings)
}

/// Time passes; an end by Ctrl-C is noticed.
fn pass(span: Duration) {
    let until = std::time::Instant::now() + span;
    while std::time::Instant::now() < until {
        stop_if_asked();
        thread::sleep(Duration::from_millis(100));
    }
}
