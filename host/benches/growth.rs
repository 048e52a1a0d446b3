//! Whether anything costs more because there is more of it: queued items, agents, open breakers; a hundred, ten thousand and a
//! million of each, on a Redis of its own. What the Redis server is asked, in CPU time: an item's enqueueing, claim and
//! completion; what idle hosts and operators ask for; and a host with nothing to do. Then what operators wait for. The stores take turns in one run.
//!
//! `cargo bench -p warren --bench growth`; a number behind `--` is the greatest size (10⁴ unless it is given; 10⁶ takes some
//! minutes and 5 GB of memory).

#![allow(clippy::unwrap_used, reason = "a bench that can't start has nothing to measure")]

use std::{env, process::ExitCode};

use tokio::runtime::Builder;
use warren_tests::{binary, interrupt};

use self::{
    calls::Call,
    load_average::load_average,
    store::{Filled, Many},
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
#[path = "growth/on_hosts.rs"]
mod on_hosts;
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
        let fill = |size| runtime.block_on(Filled::new(many, size, ITEMS));
        let mut group: Vec<Filled> = sizes.map(fill).collect();
        runtime.block_on(report(&mut group));
        groups.push(group);
    }
    let hosts = on_hosts::start(&groups);
    on_hosts::idle(&mut groups);
    on_hosts::asked(&groups, &hosts);
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
        if value.is_nan() {
            print!(" {:>22}", "refused");
        } else {
            print!(" {value:>13.1} ({:>5.2}×)", value / values[0]);
        }
    }
    println!();
}
