//! Hosts as operators run them, on one Redis and one Hub.

use std::thread;

use warren_tests::{SOON, eventually, host::Agent, hub::HubProcess};

use super::member::Member;

/// `h1`, `h2`, …: that many hosts, each with what `url` says for its name; waits until all are ready and one leads.
pub fn start(
    number: usize,
    url: impl Fn(&str) -> String + Sync,
    hub: &HubProcess,
    agents: &[Agent],
    settings: &[(&str, &str)],
) -> Vec<Member> {
    let names: Vec<String> = (1..=number).map(|n| format!("h{n}")).collect();
    let members: Vec<Member> = thread::scope(|scope| {
        let url = &url;
        let starting: Vec<_> = names
            .iter()
            .map(|name| scope.spawn(move || Member::start(name, &url(name), hub, agents, settings)))
            .collect();
        starting
            .into_iter()
            .map(|starting| starting.join().expect("a host starts"))
            .collect()
    });
    for member in &members {
        member.process.wait_ready();
    }
    leader(&members);
    members
}

/// Which one leads; waits until exactly one says so.
pub fn leader(members: &[Member]) -> usize {
    eventually("one leader", SOON, || {
        let mut leading = members.iter().enumerate().filter(|(_, member)| member.leads());
        match (leading.next(), leading.next()) {
            (Some((at, _)), None) => Some(at),
            _ => None,
        }
    })
}
