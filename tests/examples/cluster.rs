//! `cargo xtask cluster --hosts 3`: a private Redis, a development Hub and hosts with the bundled example agent, for people
//! who want to see a cluster and to kill parts of it. Ends with all of it at Ctrl-C, or when Redis or the Hub is gone.

use std::{env, process::ExitCode, thread, time::Duration};

use warren_tests::{
    cluster::{Cluster, ClusterSetup, TOKEN},
    host::Agent,
    interrupt,
};

const USAGE: &str = "Usage: cargo xtask cluster [--hosts N]\n\n  --hosts N  how many hosts (default 3)\n";
/// How often it is looked whether all parts still run.
const LOOK_EVERY: Duration = Duration::from_millis(300);

fn main() -> ExitCode {
    let hosts = match parse(env::args().skip(1)) {
        Ok(hosts) => hosts,
        Err(why) => {
            eprint!("cluster: {why}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = interrupt::note_signals() {
        eprintln!("cluster: can't listen for signals: {error}");
        return ExitCode::FAILURE;
    }
    let mut cluster = ClusterSetup::like_production(hosts).agent(Agent::echo("echo")).start();
    introduce(&cluster);
    let (mut seen, mut gone) = (0, vec![false; hosts]);
    loop {
        if interrupt::interrupted() {
            println!("stopping everything");
            return ExitCode::SUCCESS;
        }
        if let Some(part) = cluster.lost_part() {
            eprintln!("cluster: {part} has ended; stopping everything");
            return ExitCode::FAILURE;
        }
        for (at, gone) in gone.iter_mut().enumerate() {
            if !*gone && let Some(status) = cluster.members[at].host.exited() {
                println!("{} has ended: {status}", cluster.members[at].name);
                *gone = true;
            }
        }
        if gone.iter().all(|gone| *gone) {
            eprintln!("cluster: the last host has ended; stopping everything");
            return ExitCode::FAILURE;
        }
        seen = follow(&cluster, &gone, seen);
        thread::sleep(LOOK_EVERY);
    }
}

fn parse(mut given: impl Iterator<Item = String>) -> Result<usize, String> {
    match (given.next().as_deref(), given.next(), given.next()) {
        (None, ..) => Ok(3),
        (Some("--hosts"), Some(value), None) => match value.parse() {
            Ok(hosts @ 1..=20) => Ok(hosts),
            _ => Err(format!("--hosts is {value:?}; a number from 1 to 20 is allowed")),
        },
        (Some(other), ..) => Err(format!("{other:?} is not understood")),
    }
}

fn introduce(cluster: &Cluster) {
    println!("Hub    {}/  (mention @echo in a post)", cluster.hub.url());
    println!("Redis  {}", cluster.redis.url());
    for member in &cluster.members {
        println!(
            "{:<6} {}  (process {})",
            member.name,
            member.url(),
            member.host.process_id()
        );
    }
    let first = cluster.members[0].host.address();
    println!("\nWARREN_API_LISTEN={first} WARREN_API_TOKEN={TOKEN} warren status");
    println!("What happens follows. Ctrl-C stops all of it.\n");
}

/// Prints the events since `seen`, as the first host that answers tells them; the last of them.
fn follow(cluster: &Cluster, gone: &[bool], seen: u64) -> u64 {
    let alive = cluster.members.iter().zip(gone).filter(|(_, gone)| !**gone);
    for (member, _) in alive {
        let answer = member
            .hasty()
            .try_send("GET", &format!("/api/v1/events?after={seen}"), None);
        let Some(answer) = answer.ok().filter(|answer| answer.status == 200) else {
            continue;
        };
        let list = answer.json();
        for event in list["events"].as_array().into_iter().flatten() {
            let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
            let words = ["at", "kind", "host", "agent", "item", "detail"].map(text);
            println!(
                "{}",
                words
                    .iter()
                    .filter(|word| !word.is_empty())
                    .cloned()
                    .collect::<Vec<_>>()
                    .join("  ")
            );
        }
        return list["next"].as_u64().unwrap_or(seen);
    }
    seen
}
