//! A run in which one thing after another goes wrong, as a seed decides, while the cluster has work to do; and its history.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use rustix::process::Signal;
use serde_json::json;

use crate::{
    cluster::{self, Cluster, ClusterSetup, ITEM_LEASE, LEADER_LEASE, hasty},
    eventually,
    history::{Nemesis, Record, Recorder, What},
    interrupt::interrupted,
    load::{self, Load},
};

/// How long what is left of the work may take once all is well again: retries and open breakers take their time.
const DRAINED: Duration = Duration::from_secs(150);
const SCRAPE_EVERY: Duration = Duration::from_millis(250);

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
    HubDown,
    HubSlow,
    HubFlaps,
    HubFails,
}

/// Whom it befalls: two faults at once befall different ones.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Victim {
    Host,
    Store,
    Hub,
}

impl Fault {
    fn victim(self) -> Victim {
        match self {
            Fault::Kill | Fault::Stop | Fault::Terminate | Fault::Part | Fault::Cut | Fault::SlowStore => Victim::Host,
            Fault::HubDown | Fault::HubSlow | Fault::HubFlaps | Fault::HubFails => Victim::Hub,
            _ => Victim::Store,
        }
    }
}

const FAULTS: [Fault; 16] = [
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
    Fault::HubDown,
    Fault::HubSlow,
    Fault::HubFlaps,
    Fault::HubFails,
];

/// One run.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub seed: u64,
    pub hosts: usize,
    /// How long things go wrong.
    pub span: Duration,
}

impl Run {
    /// Runs it, and returns what happened. Panics if the cluster does not come to rest afterwards.
    #[track_caller]
    pub fn history(self) -> Vec<Record> {
        let mut setup = ClusterSetup::new(self.hosts)
            .set("queue.max_attempts", "2")
            .set("breaker.max", "\"4s\"");
        for agent in load::agents() {
            setup = setup.agent(agent);
        }
        let mut cluster = setup.start();
        let load = Load::start(&cluster, self.seed);
        let scraper = Scraper::start(&cluster);
        self.trouble(&mut cluster);
        cluster.recorder.note("", What::Nemesis(Nemesis::Calm));
        load.stop();
        cluster.wait_ready();
        wait_drained(&cluster);
        scraper.stop();
        cluster.take_stock();
        cluster.recorder.history()
    }

    fn trouble(self, cluster: &mut Cluster) {
        let mut dice = StdRng::seed_from_u64(self.seed);
        let ends = Instant::now() + self.span;
        // Every kind once in an order of the seed's, then again.
        let mut order: Vec<Fault> = Vec::new();
        while Instant::now() < ends && !interrupted() {
            if order.is_empty() {
                order = shuffled(&mut dice);
            }
            let first = order.remove(0);
            // A host that is to end cleanly needs a store that works.
            let beside =
                |other: &Fault| other.victim() != first.victim() && ![first, *other].contains(&Fault::Terminate);
            let second = order.iter().position(beside);
            let mut together = vec![first];
            if let Some(second) = second.filter(|_| dice.random_ratio(1, 4)) {
                together.push(order.remove(second));
            }
            let mut at_work: Vec<(Fault, usize)> = Vec::new();
            for fault in together {
                let host = dice.random_range(0..self.hosts);
                begin(fault, host, cluster, &mut dice);
                at_work.push((fault, host));
            }
            let longest = if at_work
                .iter()
                .any(|(fault, _)| matches!(fault, Fault::Stop | Fault::Part))
            {
                LEADER_LEASE.max(ITEM_LEASE) + Duration::from_millis(dice.random_range(500..1500))
            } else {
                Duration::from_millis(dice.random_range(300..2500))
            };
            // How long a fault lasts is what is random here.
            thread::sleep(longest);
            // A host that starts waits for its store.
            at_work.sort_by_key(|(fault, _)| fault.victim() == Victim::Host);
            for (fault, host) in at_work {
                end(fault, host, cluster);
            }
            thread::sleep(Duration::from_millis(dice.random_range(0..1000)));
        }
    }
}

fn shuffled(dice: &mut StdRng) -> Vec<Fault> {
    let mut order = FAULTS.to_vec();
    for at in (1..order.len()).rev() {
        order.swap(at, dice.random_range(0..=at));
    }
    order
}

fn note(cluster: &Cluster, host: usize, fault: Fault, what: &str) {
    cluster.nemesis(host, Nemesis::Other(format!("{fault:?} {what}")));
}

fn begin(fault: Fault, at: usize, cluster: &mut Cluster, dice: &mut StdRng) {
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

fn end(fault: Fault, at: usize, cluster: &mut Cluster) {
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
        Fault::KillClients | Fault::LoseData => {}
    }
    note(cluster, at, fault, "is over");
}

/// Until nothing is unread and nothing is left to do.
#[track_caller]
fn wait_drained(cluster: &Cluster) {
    eventually("an empty queue and no unread notification", DRAINED, || {
        let unread: usize = load::agents().iter().map(|agent| cluster.hub.unread(&agent.name)).sum();
        (unread == 0 && cluster.is_idle()).then_some(())
    });
}

/// Asks every host again and again whether it leads.
struct Scraper {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Scraper {
    fn start(cluster: &Cluster) -> Scraper {
        let stop = Arc::new(AtomicBool::new(false));
        let scrape = |name: &str, url: &str, recorder: &Recorder| {
            let (name, client, recorder) = (name.to_owned(), hasty(url), recorder.clone());
            let until = stop.clone();
            thread::spawn(move || {
                while !until.load(Ordering::Relaxed) {
                    let from = recorder.now();
                    if let Some(leads) = cluster::leads(&client, &name) {
                        recorder.span(&name, from, recorder.now(), What::Leads(leads));
                    }
                    thread::sleep(SCRAPE_EVERY);
                }
            })
        };
        let members = cluster.members.iter();
        let threads = members
            .map(|member| scrape(&member.name, &member.url(), &cluster.recorder))
            .collect();
        Scraper { stop, threads }
    }

    #[track_caller]
    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("the scraper ends well");
        }
    }
}
