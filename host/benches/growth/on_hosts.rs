//! The same stores with a real host on each: what it costs Redis while it has nothing to do, and how long operators wait.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use warren_tests::{SOON, eventually, hub::HubProcess};

use super::{
    header, line,
    member::Member,
    stop_if_asked,
    store::{Filled, Many, OPEN_FOR},
};

/// The first look at everything is behind a host by then.
const SETTLED: Duration = Duration::from_secs(6);
const WATCHED: Duration = Duration::from_secs(30);
/// Of each request, of which the median is told.
const REQUESTS: usize = 9;
/// One that takes longer is made once.
const LONG: Duration = Duration::from_secs(1);

/// The hosts, in the order of the stores; and the Hub that they share.
pub struct Hosts {
    members: Vec<Member>,
    _hub: HubProcess,
}

/// One on each store; waits until each leads. Where items are ready they have the role coordinator only: they would run them.
pub fn start(groups: &[Vec<Filled>]) -> Hosts {
    let hub = HubProcess::start(&[]);
    let open_for = format!("\"{}s\"", OPEN_FOR.as_secs());
    let members: Vec<Member> = groups
        .iter()
        .flatten()
        .map(|filled| host(filled, &hub, &open_for))
        .collect();
    for (member, filled) in members.iter().zip(groups.iter().flatten()) {
        member.process.wait_ready();
        eventually(format!("that the host on {} leads", filled.name()), SOON, || {
            member.leads().then_some(())
        });
    }
    Hosts { members, _hub: hub }
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

/// What they cost the servers, all watched at the same time.
pub fn idle(groups: &mut [Vec<Filled>]) {
    pass(SETTLED);
    let mut before = groups
        .iter_mut()
        .flatten()
        .map(Filled::read)
        .collect::<Vec<_>>()
        .into_iter();
    pass(WATCHED);
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

/// How long requests to the hosts' API take, and how much memory the hosts use after them.
pub fn asked(groups: &[Vec<Filled>], hosts: &Hosts) {
    let mut members = hosts.members.iter();
    for group in groups {
        let members: Vec<&Member> = members.by_ref().take(group.len()).collect();
        header(group, "until a host has answered (ms)");
        let paths = [
            "status",
            "queue",
            "hosts",
            "leader",
            "agents?limit=100",
            "items?limit=100",
            "items?state=dead&limit=100",
        ];
        for path in paths {
            let times: Vec<f64> = members.iter().map(|member| median(member, path)).collect();
            line(&format!("GET /api/v1/{path}"), &times);
        }
        let one = |(member, filled): (&&Member, &Filled)| {
            median(member, &format!("agents/{}", Filled::agent(filled.in_the_middle(0))))
        };
        let times: Vec<f64> = members.iter().zip(group).map(one).collect();
        line("GET /api/v1/agents/{name}", &times);
        let megabytes: Vec<f64> = members
            .iter()
            .map(|member| resident(member.process.process_id()))
            .collect();
        line("memory of the host after it (MB)", &megabytes);
        println!();
    }
}

/// In ms; not a number if the host has refused to answer, which a table shows as such.
fn median(member: &Member, path: &str) -> f64 {
    let api = member.process.api();
    let mut times = Vec::new();
    while times.len() < REQUESTS {
        stop_if_asked();
        let asked = Instant::now();
        let answer = api.get(&format!("/api/v1/{path}"));
        if answer.status != 200 {
            println!("GET /api/v1/{path} is answered {}: {}", answer.status, answer.body);
            return f64::NAN;
        }
        let took = asked.elapsed();
        times.push(took.as_secs_f64() * 1e3);
        if took > LONG {
            break;
        }
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn resident(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("a host lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kilobytes.expect("Linux says how much memory a process uses") / 1024.0
}

/// Time passes; an end by Ctrl-C is noticed.
fn pass(span: Duration) {
    let until = Instant::now() + span;
    while Instant::now() < until {
        stop_if_asked();
        thread::sleep(Duration::from_millis(100));
    }
}
