//! A cluster as operators run it: hosts against one Redis and one Hub. Between each host and the others stand proxies of
//! its own, which record what it does, and can part it from them.

mod faults;
mod stock;

use std::{
    fs::DirBuilder,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, symlink},
    path::Path,
    thread,
    time::Duration,
};

use crate::{
    SOON,
    agent::Agent,
    eventually, guests,
    history::{Nemesis, Recorder, What},
    host::{HostProcess, HostSetup},
    http::Client,
    hub::HubProcess,
    proxy::{
        Proxy,
        http::Http,
        redis::{Redis, Scripts},
    },
    redis::{Keeps, RedisServer, free_address},
};

/// The hosts of one cluster share a token: who may change something on one may on all.
pub const TOKEN: &str = "shared-by-all-hosts-of-the-tests";
/// A host that does not answer within this time is counted as one that can't.
const ANSWER: Duration = Duration::from_secs(2);

/// Leases that are as short as a busy machine allows, so that tests need not wait long for their ends.
pub const LEADER_LEASE: Duration = Duration::from_secs(3);
pub const ITEM_LEASE: Duration = Duration::from_secs(3);
pub const MARGIN: Duration = Duration::from_millis(500);
pub const SWEEP_EVERY: Duration = Duration::from_millis(500);
pub const FAIRNESS: u32 = 10;
pub const BREAKER_THRESHOLD: u32 = 3;
pub const BREAKER_BASE: Duration = Duration::from_secs(3);
pub const BREAKER_JITTER: f64 = 0.1;

/// What a cluster is made of.
#[derive(Clone)]
pub struct ClusterSetup {
    hosts: usize,
    first_name: usize,
    agents: Vec<Agent>,
    settings: Vec<(String, String)>,
    keeps: Keeps,
    broken: Vec<[String; 3]>,
}

impl ClusterSetup {
    /// `h1`, `h2`, …: that many hosts, with the leases and waits of users.
    pub fn like_production(hosts: usize) -> ClusterSetup {
        let setup = ClusterSetup {
            hosts,
            first_name: 1,
            agents: Vec::new(),
            settings: Vec::new(),
            keeps: Keeps::Everything,
            broken: Vec::new(),
        };
        setup
            .set("api.token", &format!("{TOKEN:?}"))
            .set("store.kind", "\"redis\"")
            .set("hub.idempotency", "\"yes\"")
    }

    /// The same with short leases and waits.
    pub fn new(hosts: usize) -> ClusterSetup {
        let millis = |span: Duration| format!("\"{}ms\"", span.as_millis());
        ClusterSetup::like_production(hosts)
            .set("store.key_prefix", "\"{test}:\"")
            .set("hub.poll_timeout", "\"2s\"")
            .set("leader.ttl", &millis(LEADER_LEASE))
            .set("leader.renew_every", "\"500ms\"")
            .set("leader.margin", &millis(MARGIN))
            .set("leader.store_timeout", "\"1s\"")
            .set("queue.item_lease", &millis(ITEM_LEASE))
            .set("queue.lease_margin", &millis(MARGIN))
            .set("queue.sweep_every", &millis(SWEEP_EVERY))
            .set("queue.fairness", &FAIRNESS.to_string())
            .set("queue.retry_base", "\"200ms\"")
            .set("queue.retry_max", "\"1s\"")
            .set("queue.cool_down_base", "\"500ms\"")
            .set("queue.cool_down_max", "\"2s\"")
            .set("breaker.threshold", &BREAKER_THRESHOLD.to_string())
            .set("breaker.base", &millis(BREAKER_BASE))
            .set("breaker.jitter", &BREAKER_JITTER.to_string())
            .set("breaker.probe_retry", "\"500ms\"")
            // Hosts die here without their agents having killed them.
            .set("breaker.lease_losses", "1000000")
    }

    /// A value of every host's `warren.toml`, as TOML.
    pub fn set(mut self, key: &str, value: &str) -> ClusterSetup {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    pub fn agent(mut self, agent: Agent) -> ClusterSetup {
        self.agents.push(agent);
        self
    }

    /// What its Redis keeps when it is killed; everything unless said otherwise.
    pub fn keeps(mut self, keeps: Keeps) -> ClusterSetup {
        self.keeps = keeps;
        self
    }

    /// In this script, `wrong` takes the place of `right`: what the checkers are to find.
    pub fn broken(mut self, script: &str, right: &str, wrong: &str) -> ClusterSetup {
        self.broken.push([script, right, wrong].map(str::to_owned));
        self
    }

    /// The number in the first host's name.
    pub fn first_name(mut self, first: usize) -> ClusterSetup {
        self.first_name = first;
        self
    }

    /// A Redis, a Hub that knows the agents, and the hosts; waits until one leads and all are ready.
    #[track_caller]
    pub fn start(self) -> Cluster {
        let cluster = self.start_unready();
        cluster.wait_ready();
        cluster
    }

    /// The same without waiting.
    #[track_caller]
    pub fn start_unready(self) -> Cluster {
        let redis = RedisServer::start(self.keeps, &[]);
        self.start_on(redis)
    }

    #[track_caller]
    pub fn start_on(self, redis: RedisServer) -> Cluster {
        let names: Vec<&str> = self.agents.iter().map(|agent| agent.name.as_str()).collect();
        let hub = HubProcess::start(&names);
        let (recorder, scripts) = (Recorder::default(), Scripts::default());
        for [script, right, wrong] in &self.broken {
            scripts.break_script(script, right, wrong);
        }
        let members = self.members(redis.address(), &hub, &recorder, &scripts);
        Cluster {
            members,
            hub,
            redis,
            demoted: None,
            recorder,
            scripts,
        }
    }

    /// Only the hosts, on a Redis that others may use, too.
    #[track_caller]
    pub fn members(&self, redis: SocketAddr, hub: &HubProcess, recorder: &Recorder, scripts: &Scripts) -> Vec<Member> {
        let names = (self.first_name..self.first_name + self.hosts).map(|n| format!("h{n}"));
        let setups: Vec<(String, Proxy, Proxy, HostSetup)> = names
            .map(|name| {
                let (to_redis, to_hub) = proxies(&name, redis, hub, recorder, scripts);
                let setup = self.host(&name, hub, &to_redis, &to_hub);
                (name, to_redis, to_hub, setup)
            })
            .collect();
        thread::scope(|scope| {
            let starting: Vec<_> = setups
                .into_iter()
                .map(|(name, to_redis, to_hub, setup)| {
                    let recorder = recorder.clone();
                    scope.spawn(move || {
                        let host = setup.start();
                        recorder.note(&name, What::Nemesis(Nemesis::Started));
                        Member {
                            name,
                            host,
                            to_redis,
                            to_hub,
                        }
                    })
                })
                .collect();
            let members = starting
                .into_iter()
                .map(|starting| starting.join().expect("a host starts"));
            members.collect()
        })
    }

    fn host(&self, name: &str, hub: &HubProcess, to_redis: &Proxy, to_hub: &Proxy) -> HostSetup {
        let mut setup = HostSetup::new(hub);
        for (key, value) in &self.settings {
            setup = setup.set(key, value);
        }
        for agent in &self.agents {
            setup = setup.agent(agent);
        }
        share_compiled(&setup);
        // The same after every start, so that whoever talks to the host finds it again.
        let listen = free_address().to_string();
        setup
            .set("host.name", &format!("{name:?}"))
            .set("api.listen", &format!("{listen:?}"))
            .set("hub.url", &format!("\"http://{}\"", to_hub.address()))
            .set("store.url", &format!("\"redis://{}\"", to_redis.address()))
    }
}

/// Hosts keep what they compile: once for all hosts of the tests is enough, they have a machine to share.
fn share_compiled(setup: &HostSetup) {
    let shared = guests::target_dir().join("compiled-by-tests");
    // Code that others could write is not run, so the folder is nobody else's.
    let make = |folder: &Path| DirBuilder::new().recursive(true).mode(0o700).create(folder);
    let made = make(&shared).and_then(|()| make(&setup.path("data")));
    let linked = made.and_then(|()| symlink(&shared, setup.path("data/compiled")));
    linked.unwrap_or_else(|error| panic!("{} can't be shared: {error}", shared.display()));
}

fn proxies(name: &str, redis: SocketAddr, hub: &HubProcess, recorder: &Recorder, scripts: &Scripts) -> (Proxy, Proxy) {
    let (host, of, with) = (name.to_owned(), recorder.clone(), scripts.clone());
    let to_redis = Proxy::start(redis, move || Redis::new(&host, &of, &with));
    let (host, recorder) = (name.to_owned(), recorder.clone());
    let to_hub = Proxy::start(hub.address(), move || Http {
        host: host.clone(),
        recorder: recorder.clone(),
    });
    (to_redis, to_hub)
}

/// One host, and its ways to Redis and the Hub.
pub struct Member {
    pub name: String,
    pub host: HostProcess,
    pub to_redis: Proxy,
    pub to_hub: Proxy,
}

impl Member {
    /// The API's address, which stays the same when it starts again.
    pub fn url(&self) -> String {
        self.host.url()
    }

    /// The API, for callers that give up on a host that can't answer.
    pub fn hasty(&self) -> Client {
        hasty(&self.host.url())
    }

    /// Whether it says that it leads; nothing if it does not answer.
    pub fn leads(&self) -> Option<bool> {
        leads(&self.hasty(), &self.name)
    }

    pub fn is_ready(&self) -> bool {
        let ready = self.hasty().try_send("GET", "/ready", None);
        ready.is_ok_and(|ready| ready.status == 200)
    }
}

/// A client of a host's API that gives up soon.
pub fn hasty(url: &str) -> Client {
    Client::within(ANSWER, url, Some(TOKEN.to_owned()))
}

/// Whether a host says that it leads; nothing if it does not answer.
pub fn leads(api: &Client, name: &str) -> Option<bool> {
    let metrics = api.try_send("GET", "/metrics", None).ok()?;
    let series = format!("botburrow_coordinator_is_leader{{instance_id=\"{name}\"}} ");
    let mut lines = metrics.body.lines();
    lines
        .find_map(|line| line.strip_prefix(&series))
        .map(|value| value.trim() == "1")
}

/// A cluster that runs. Dropped, all of it ends.
pub struct Cluster {
    pub members: Vec<Member>,
    pub hub: HubProcess,
    pub redis: RedisServer,
    /// The Redis that was the primary before, as long as it still runs.
    pub demoted: Option<RedisServer>,
    pub recorder: Recorder,
    pub scripts: Scripts,
}

impl Cluster {
    /// Which of the hosts leads; waits until exactly one says so.
    #[track_caller]
    pub fn leader(&self) -> usize {
        leader(&self.members)
    }

    /// Redis or the Hub, if it has ended.
    pub fn lost_part(&mut self) -> Option<&'static str> {
        if self.redis.exited() {
            return Some("redis-server");
        }
        self.hub.exited().then_some("the Hub")
    }

    /// Another host than `old` leads.
    #[track_caller]
    pub fn new_leader(&self, old: usize) -> usize {
        eventually("another leader", SOON, || {
            let leads = |at: &usize| self.members[*at].leads() == Some(true);
            (0..self.members.len()).filter(|at| *at != old).find(leads)
        })
    }

    /// A host that does not lead.
    #[track_caller]
    pub fn follower(&self) -> usize {
        let leader = self.leader();
        (0..self.members.len())
            .find(|at| *at != leader)
            .expect("there is more than one host")
    }

    #[track_caller]
    pub fn wait_ready(&self) {
        for member in &self.members {
            eventually(format!("that {} is ready", member.name), SOON, || {
                member.is_ready().then_some(())
            });
            self.recorder.note(&member.name, What::Ready);
        }
        self.leader();
    }

    /// A person mentions an agent; the post's id.
    #[track_caller]
    pub fn mention(&self, agent: &str, text: &str) -> String {
        let post = self.hub.post(&format!("@{agent} {text}"));
        self.mentioned(&post, agent);
        post
    }

    pub fn mentioned(&self, post: &str, agent: &str) {
        let (post, agent) = (post.to_owned(), agent.to_owned());
        self.recorder.note("", What::Mentioned { post, agent });
    }

    /// Submits a payload by way of a host; the item's id.
    #[track_caller]
    pub fn submit(&self, at: usize, agent: &str, payload: &str) -> String {
        let from = self.recorder.now();
        let item = self.members[at].host.enqueue(agent, payload);
        let (agent, payload) = (agent.to_owned(), payload.to_owned());
        let what = What::Submitted {
            item: item.clone(),
            agent,
            payload,
        };
        self.recorder
            .span(&self.members[at].name, from, self.recorder.now(), what);
        item
    }

    /// Whether nothing is queued, waiting, delayed, held or active, as a host says it.
    pub fn is_idle(&self) -> bool {
        let status = self.members[0].hasty().try_send("GET", "/api/v1/status", None);
        let Some(queue) = status
            .ok()
            .filter(|answer| answer.status == 200)
            .map(|answer| answer.json()["queue"].clone())
        else {
            return false;
        };
        let queued = queue["queued"]
            .as_object()
            .into_iter()
            .flat_map(|by_priority| by_priority.values());
        let others = ["waiting", "delayed", "held", "active"].map(|state| &queue[state]);
        queued.chain(others).all(|count| count == 0)
    }
}

/// Which of these hosts leads; waits until exactly one says so.
#[track_caller]
pub fn leader(members: &[Member]) -> usize {
    eventually("one leader", SOON, || {
        let mut leading = members
            .iter()
            .enumerate()
            .filter(|(_, member)| member.leads() == Some(true));
        match (leading.next(), leading.next()) {
            (Some((at, _)), None) => Some(at),
            _ => None,
        }
    })
}
