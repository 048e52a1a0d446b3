//! What idle hosts ask of Redis: three hosts as operators run them, with nothing to do, for half a minute at a time. Nothing
//! is left out: looks for work, bids and renewals, heartbeats, sweeps, the leader's census, discovery, the watch on the store.
//!
//! `cargo bench -p warren --bench idle`; a number behind `--` is how many seconds each part is watched (30 unless it is given).
//! Commands are counted twice, by Redis's own accounts and by listening (`MONITOR`), which also tells who sent them.

use std::{
    env,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use redis::{Client, Connection};
use rustix::process::Signal;
use warren_tests::{
    SOON, binary, eventually,
    host::Agent,
    hub::HubProcess,
    interrupt,
    redis::{Keeps, RedisServer},
};

use self::{
    accounts::Accounts,
    heard::{Count, Heard},
    load_average::load_average,
};

#[path = "measuring/accounts.rs"]
mod accounts;
#[path = "idle/heard.rs"]
mod heard;
#[path = "measuring/hosts.rs"]
mod hosts;
#[path = "measuring/load_average.rs"]
mod load_average;
#[path = "measuring/member.rs"]
mod member;

const HOSTS: usize = 3;
const SECONDS: u64 = 30;
/// The first look at everything is behind a host by then.
const SETTLED: Duration = Duration::from_secs(6);
const PASSWORD: &str = "of-the-bench";

fn main() -> ExitCode {
    let given: Vec<String> = env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let span = match given.as_slice() {
        [] => Duration::from_secs(SECONDS),
        [seconds] if seconds.parse::<u64>().is_ok_and(|seconds| seconds > 0) => {
            Duration::from_secs(seconds.parse().unwrap_or(SECONDS))
        }
        other => {
            eprintln!("idle: {other:?} is no number of seconds");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = interrupt::note_signals() {
        eprintln!("idle: can't listen for signals: {error}");
        return ExitCode::FAILURE;
    }
    binary::built_by_cargo(env!("CARGO_BIN_EXE_warren"));
    println!("load average before: {}", load_average());
    report(span);
    println!("load average after: {}", load_average());
    ExitCode::SUCCESS
}

fn report(span: Duration) {
    let (hub, redis) = (HubProcess::start(&["echo"]), RedisServer::start(Keeps::Everything, &[]));
    let client = Client::open(redis.url()).expect("the address of a Redis");
    let mut to_redis = client.get_connection().expect("Redis takes connections");
    let reading = Accounts::of_reading(&mut to_redis);
    let mut watched = |span| watched(&mut to_redis, span, reading);
    let nobody = watched(span / 2);
    for n in 1..=HOSTS {
        let password = format!(">{PASSWORD}");
        let _: String = redis.command(&["ACL", "SETUSER", &format!("h{n}"), "on", &password, "~*", "&*", "+@all"]);
    }
    let url = |name: &str| format!("redis://{name}:{PASSWORD}@{}", redis.address());
    let mut members = hosts::start(HOSTS, url, &hub, &[Agent::echo("echo")], &[]);
    wait(SETTLED);
    let all = watched(span);
    let heard = heard::listen(&redis, span);
    let leader = hosts::leader(&members);
    by_host(&heard, &members[leader].name, span);
    for follower in (0..HOSTS).filter(|at| *at != leader) {
        members[follower].process.signal(Signal::TERM);
        members[follower].process.wait_exit(SOON);
    }
    wait(SETTLED);
    let alone = watched(span);
    println!(
        "\n{:<44} {:>14} {:>16} {:>12}",
        "by INFO, a second", "commands in all", "of them scripts", "CPU (µs)"
    );
    let line =
        |name: &str, of: Accounts| println!("{name:<44} {:>14.2} {:>16.2} {:>12.0}", of.total, of.scripts, of.cpu);
    line("Redis without hosts", nobody);
    line("three hosts, a host", per_host(all - nobody));
    line("the leader alone", alone - nobody);
    let followers = all - alone;
    line("a follower (the difference)", followers.per_second((HOSTS - 1) as f64));
    println!(
        "(`total_commands_processed` counts a script and what it executes: {:.2} a second and host; `commandstats` has {:.2})",
        all.total / HOSTS as f64,
        (all.scripts + all.others) / HOSTS as f64
    );
}

fn per_host(of: Accounts) -> Accounts {
    of.per_second(HOSTS as f64)
}

/// What a second of it costs the server.
fn watched(to_redis: &mut Connection, span: Duration, reading: Accounts) -> Accounts {
    let before = Accounts::read(to_redis);
    wait(span);
    (Accounts::read(to_redis) - before - reading).per_second(span.as_secs_f64())
}

/// Time passes; an end by Ctrl-C is noticed.
fn wait(span: Duration) {
    let until = Instant::now() + span;
    eventually("the end of a stretch of time", span + SOON, || {
        thread::sleep(Duration::from_millis(100).min(span));
        (Instant::now() >= until).then_some(())
    });
}

fn by_host(heard: &Heard, leader: &str, span: Duration) {
    let seconds = span.as_secs_f64();
    println!(
        "\n{:<44} {:>14} {:>16} {:>12}",
        "by listening, a second", "sent by the host", "inside of scripts", "together"
    );
    let line = |name: &str, count: Count| {
        let (sent, inside) = (count.sent as f64 / seconds, count.inside as f64 / seconds);
        println!("{name:<44} {sent:>14.2} {inside:>16.2} {:>12.2}", sent + inside);
    };
    for (user, asked) in heard.iter().filter(|(user, _)| user.starts_with('h')) {
        let sum = asked.values().fold(Count::default(), |sum, count| Count {
            sent: sum.sent + count.sent,
            inside: sum.inside + count.inside,
        });
        let role = if user == leader { "leads" } else { "follows" };
        line(&format!("{user}, which {role}"), sum);
        for (what, count) in asked {
            line(&format!("    {what}"), *count);
        }
    }
}
