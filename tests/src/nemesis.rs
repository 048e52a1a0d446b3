//! A run in which one thing after another goes wrong, as a seed decides, while the cluster has work to do; and its history.

mod fault;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use self::fault::{Fault, Victim, begin, end, shuffled};
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
            // A host that starts waits for its store, and an operator for a host.
            at_work.sort_by_key(|(fault, _)| match fault.victim() {
                Victim::Store | Victim::Hub => 0,
                Victim::Host => 1,
                Victim::Operator => 2,
            });
            for (fault, host) in at_work {
                end(fault, host, cluster);
            }
            thread::sleep(Duration::from_millis(dice.random_range(0..1000)));
        }
    }
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
