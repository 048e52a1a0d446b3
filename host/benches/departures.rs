//! What it takes until a host that goes is made up for: the leader hands over or is killed; a host that runs items is killed
//! or told to end. Three hosts as operators run them, on one Redis that keeps everything (`appendfsync always`).
//!
//! `cargo bench -p warren --bench departures`; behind `--` parts with how often each is done, such as
//! `-- handover=50 crash=20`. The parts, and how often each is done unless parts are named, are in `PARTS`.

use std::{env, process::ExitCode, time::Duration};

use warren_tests::{binary, interrupt};

use self::{
    cluster::{Cluster, GRACE, SHORT_ITEM_LEASE, SHORT_LEASES, SHORT_TTL, SWEEP_EVERY},
    load_average::load_average,
};

#[path = "departures/cluster.rs"]
mod cluster;
#[path = "measuring/hosts.rs"]
mod hosts;
#[path = "departures/items.rs"]
mod items;
#[path = "departures/leaders.rs"]
mod leaders;
#[path = "departures/load.rs"]
mod load;
#[path = "measuring/load_average.rs"]
mod load_average;
#[path = "measuring/member.rs"]
mod member;
#[path = "departures/table.rs"]
mod table;
#[path = "departures/watch.rs"]
mod watch;

/// The last two are of hosts with short leases, the others of hosts with the leases of users.
const PARTS: [(&str, usize); 6] = [
    ("handover", 50),
    ("crash-at-default", 2),
    ("killed-at-default", 1),
    ("left", 5),
    ("crash", 20),
    ("killed", 5),
];
/// The defaults of `warren.toml`.
const TTL: Duration = Duration::from_secs(9);
const ITEM_LEASE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let wanted = match parse(env::args().skip(1)) {
        Ok(wanted) => wanted,
        Err(why) => {
            eprintln!("departures: {why}");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = interrupt::note_signals() {
        eprintln!("departures: can't listen for signals: {error}");
        return ExitCode::FAILURE;
    }
    binary::built_by_cargo(env!("CARGO_BIN_EXE_warren"));
    println!("load average before: {}", load_average());
    let [handover, crash, killed, left, short_crash, short_killed] = wanted;
    if handover + crash + killed + left > 0 {
        let mut cluster = Cluster::start(&[]);
        unless_none(handover, |times| leaders::handovers(&cluster.members, times));
        unless_none(crash, |times| leaders::crashes(&mut cluster.members, times, TTL));
        unless_none(killed, |times| {
            items::killed(&mut cluster.members, times, ITEM_LEASE, SWEEP_EVERY);
        });
        unless_none(left, |times| items::left(&mut cluster.members, times, GRACE));
    }
    if short_crash + short_killed > 0 {
        let mut cluster = Cluster::start(&SHORT_LEASES);
        unless_none(short_crash, |times| {
            leaders::crashes(&mut cluster.members, times, SHORT_TTL);
        });
        unless_none(short_killed, |times| {
            items::killed(&mut cluster.members, times, SHORT_ITEM_LEASE, SWEEP_EVERY);
        });
    }
    println!("load average after: {}", load_average());
    ExitCode::SUCCESS
}

fn unless_none(times: usize, part: impl FnOnce(usize)) {
    if times > 0 {
        part(times);
        println!();
    }
}

/// How often each part is to be done.
fn parse(given: impl Iterator<Item = String>) -> Result<[usize; PARTS.len()], String> {
    // Cargo adds `--bench`.
    let given: Vec<String> = given.filter(|argument| !argument.starts_with("--")).collect();
    let mut wanted = PARTS.map(|(_, times)| if given.is_empty() { times } else { 0 });
    for argument in given {
        let (name, times) = argument.split_once('=').unwrap_or((&argument, ""));
        let known = PARTS.iter().position(|(part, _)| *part == name);
        let known = known.ok_or_else(|| {
            let parts = PARTS.map(|(part, _)| part).join(", ");
            format!("there is no part {name:?}; there are {parts}")
        })?;
        wanted[known] = match times {
            "" => PARTS[known].1,
            times => times
                .parse()
                .map_err(|_| format!("{argument:?} does not say how often: {name}=5 would"))?,
        };
    }
    Ok(wanted)
}
