//! What can go wrong, how it begins and how it ends.

use std::{thread, time::Duration};

use rand::{RngExt, rngs::StdRng};
use rustix::process::Signal;
use serde_json::json;

use crate::{SOON, cluster::Cluster, eventually, history::Nemesis, load};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Kill,
    Stop,
    Terminate,
    Part,
    Cut,
    SlowStore,
    RestartStore,
    StopStore,
    KillClients,
    PauseClients,
    FillStore,
    LoseData,
    Flush,
    ForgetScripts,
    FailOver,
    SwitchOver,
    HubDown,
    HubSlow,
    HubFlaps,
    HubFails,
    HandOver,
    PauseAgent,
}

/// Whom it befalls: two faults at once befall different ones.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Victim {
    Host,
    Store,
    Hub,
    /// Nobody: an operator wants it so.
    Operator,
}

impl Fault {
    pub(super) fn victim(self) -> Victim {
        match self {
            Fault::Kill | Fault::Stop | Fault::Terminate | Fault::Part | Fault::Cut | Fault::SlowStore => Victim::Host,
            Fault::HandOver | Fault::PauseAgent => Victim::Operator,
            Fault::HubDown | Fault::HubSlow | Fault::HubFlaps | Fault::HubFails => Victim::Hub,
            _ => Victim::Store,
        }
    }
}

const FAULTS: [Fault; 22] = [
    Fault::Kill,
    Fault::Stop,
    Fault::Terminate,
    Fault::Part,
    Fault::Cut,
    Fault::SlowStore,
    Fault::RestartStore,
    Fault::StopStore,
    Fault::KillClients,
    Fault::PauseClients,
    Fault::FillStore,
    Fault::LoseData,
    Fault::Flush,
    Fault::ForgetScripts,
    Fault::FailOver,
    Fault::SwitchOver,
    Fault::HubDown,
    Fault::HubSlow,
    Fault::HubFlaps,
    Fault::HubFails,
    Fault::HandOver,
    Fault::PauseAgent,
];

/// Every kind once.
pub(super) fn shuffled(dice: &mut StdRng) -> Vec<Fault> {
    let mut order = FAULTS.to_vec();
    for at in (1..order.len()).rev() {
        order.swap(at, dice.random_range(0..=at));
    }
    order
}

fn note(cluster: &Cluster, host: usize, fault: Fault, what: &str) {
    cluster.nemesis(host, Nemesis::Other(format!("{fault:?} {what}")));
}

pub(super) fn begin(fault: Fault, at: usize, cluster: &mut Cluster, dice: &mut StdRng) {
    note(cluster, at, fault, "begins");
    match fault {
        Fault::Kill => cluster.kill9(at),
        Fault::Stop => cluster.stop(at),
        Fault::Terminate => cluster.terminate(at),
        Fault::Part => {
            cluster.members[at].to_redis.hold();
            if dice.random() {
                cluster.members[at].to_hub.hold();
            }
        }
        Fault::Cut => cluster.members[at].to_redis.cut(),
        Fault::SlowStore => {
            let delay = Duration::from_millis(dice.random_range(20..400));
            cluster.members[at].to_redis.delay(delay);
        }
        Fault::RestartStore => cluster.redis.kill9(),
        Fault::StopStore => cluster.redis.signal(Signal::STOP),
        Fault::KillClients => cluster.redis.kill_clients(),
        Fault::PauseClients => cluster.redis.pause(Duration::from_millis(dice.random_range(500..3500))),
        Fault::FillStore => cluster.redis.fill_up(),
        Fault::LoseData => cluster.lose_data(),
        Fault::Flush => cluster.flush(),
        Fault::ForgetScripts => cluster.redis.forget_scripts(),
        Fault::FailOver => cluster.fail_over(Duration::from_millis(dice.random_range(0..500))),
        Fault::SwitchOver => cluster.switch_over(),
        // Refused while nobody leads, or if the answer is late: whatever becomes of it must be right.
        Fault::HandOver => _ = cluster.hand_over(at),
        Fault::PauseAgent => _ = cluster.set_paused(at, paused_by(at), true),
        Fault::HubDown | Fault::HubFlaps => cluster.members.iter().for_each(|member| member.to_hub.cut()),
        Fault::HubSlow => {
            let delay = Duration::from_millis(dice.random_range(50..600));
            cluster.members.iter().for_each(|member| member.to_hub.delay(delay));
        }
        Fault::HubFails => {
            let seed = dice.random::<u32>();
            cluster.hub.faults(json!([
                { "path": "*/comments", "method": "POST", "kind": "drop_after", "rate": 0.4, "seed": seed },
                { "path": "/api/v1/notifications", "kind": "status", "status": 500, "rate": 0.3, "seed": seed },
                { "path": "/api/v1/agents", "kind": "status", "status": 503, "rate": 0.3, "seed": seed },
                { "path": "*/comments", "method": "POST", "kind": "truncate", "rate": 0.3, "seed": seed },
            ]));
        }
    }
}

pub(super) fn end(fault: Fault, at: usize, cluster: &mut Cluster) {
    match fault {
        Fault::Kill | Fault::Terminate => {
            if cluster.members[at].host.exited().is_some() {
                cluster.restart(at);
            }
        }
        Fault::Stop => cluster.resume(at),
        Fault::Part => {
            cluster.members[at].to_redis.heal();
            cluster.members[at].to_hub.heal();
        }
        Fault::Cut | Fault::SlowStore => cluster.members[at].to_redis.heal(),
        Fault::RestartStore => cluster.redis.start_again(),
        Fault::StopStore => cluster.redis.signal(Signal::CONT),
        Fault::PauseClients => cluster.redis.unpause(),
        Fault::FillStore => cluster.redis.make_room(),
        Fault::HubDown | Fault::HubSlow => cluster.members.iter().for_each(|member| member.to_hub.heal()),
        Fault::HubFlaps => {
            for _ in 0..3 {
                cluster.members.iter().for_each(|member| member.to_hub.heal());
                thread::sleep(Duration::from_millis(150));
                cluster.members.iter().for_each(|member| member.to_hub.cut());
                thread::sleep(Duration::from_millis(150));
            }
            cluster.members.iter().for_each(|member| member.to_hub.heal());
        }
        Fault::HubFails => cluster.hub.clear_faults(),
        // Once more: hosts have loaded them again by now.
        Fault::ForgetScripts => cluster.redis.forget_scripts(),
        Fault::SwitchOver => cluster.demoted = None,
        Fault::PauseAgent => let_run_again(cluster, paused_by(at)),
        Fault::KillClients | Fault::LoseData | Fault::Flush | Fault::FailOver | Fault::HandOver => {}
    }
    note(cluster, at, fault, "is over");
}

/// Whom an operator of this host pauses.
fn paused_by(at: usize) -> &'static str {
    let agents = load::regulars();
    agents[at % agents.len()]
}

/// Until it is acknowledged: what nobody lets run again waits for ever.
#[track_caller]
fn let_run_again(cluster: &Cluster, agent: &str) {
    eventually(format!("that {agent} is resumed"), SOON, || {
        let acknowledged = |at: usize| cluster.set_paused(at, agent, false).then_some(());
        (0..cluster.members.len()).find_map(acknowledged)
    });
}
