//! Several elections on one real Redis, each with connections of its own, as the hosts of a cluster have them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redis::Client;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use warren::{
    adapters::{
        boot_clock::BootClock,
        redis::{RedisStore, StoreClock},
    },
    domain::{
        ids::{HolderId, Term},
        lease::LeaseTerms,
        preference::Score,
    },
    ports::{store::Store, telemetry::Unmeasured},
    services::election::{self, Election, ElectionConfig, Office, Refused, Standing},
};

use super::{
    redis::{PREFIX, Server, config, connect, url},
    support::*,
};

const LEASE: LeaseTerms = LeaseTerms {
    length: Duration::from_secs(3),
    margin: Duration::from_millis(500),
};

struct Cluster {
    // Dropped in this order: the server, then its folder.
    _server: Server,
    folder: TempDir,
}

struct Member {
    store: Store,
    office: Office,
    stop: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
    _redis: RedisStore,
}

impl Cluster {
    fn start() -> Cluster {
        let folder = TempDir::new().unwrap();
        Cluster {
            _server: Server::start(folder.path(), &["--appendfsync", "no"]),
            folder,
        }
    }

    async fn join(&self, name: &str, score: i32) -> Member {
        let redis = connect(config(self.folder.path(), &policy(), StoreClock::Redis)).await;
        let store = redis.store();
        let (office, seat) = election::open(Arc::new(move || Score(score)));
        let election = Election {
            leadership: store.leadership.clone(),
            events: store.events.clone(),
            telemetry: Arc::new(Unmeasured),
            clock: Arc::new(BootClock),
            config: ElectionConfig {
                lease: LEASE,
                renew_every: seconds(1),
                bid_every: Duration::from_millis(500),
                look_every: seconds(5),
                call_timeout: seconds(1),
                stop_within: seconds(1),
            },
            holder: HolderId::fresh(host(name)),
            address: format!("http://{name}:9090"),
            tasks: Vec::new(),
            seat,
        };
        let stop = CancellationToken::new();
        Member {
            store,
            office,
            running: tokio::spawn(election.run(stop.clone())),
            stop,
            _redis: redis,
        }
    }

    /// Members of these names and scores, of which the first leads and the others wait.
    async fn with<const N: usize>(&self, members: [(&str, i32); N]) -> [Member; N] {
        let mut joined = Vec::new();
        for (name, score) in members {
            let member = self.join(name, score).await;
            until("it leads or waits", async || match member.office.standing() {
                Standing::Leading(_) => joined.is_empty(),
                Standing::Following(leader) => leader.is_some(),
                Standing::Unknown => false,
            })
            .await;
            joined.push(member);
        }
        joined
            .try_into()
            .unwrap_or_else(|_| panic!("as many as were asked for"))
    }

    async fn redis(&self, command: &[&str]) {
        let client = Client::open(url(self.folder.path())).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut built = redis::cmd(command[0]);
        built.arg(&command[1..]).exec_async(&mut connection).await.unwrap();
    }
}

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn leads(member: &Member) {
    until("it leads", async || member.office.leads()).await;
}

fn only_one_leads(members: &[&Member]) {
    assert!(members.iter().filter(|member| member.office.leads()).count() <= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handovers_go_to_whom_is_named_and_are_quick() {
    let cluster = Cluster::start();
    let [a, b, c] = cluster.with([("a", 0), ("b", 0), ("c", 0)]).await;
    let members = [("a", &a), ("b", &b), ("c", &c)];
    let mut took = Vec::new();
    for round in 0..30 {
        let (_, old) = members[round % 3];
        let (name, new) = members[(round + 1) % 3];
        until("the others wait", async || {
            old.store.leadership.candidates().await.unwrap().len() == 2
        })
        .await;
        let done = old.office.hand_over(Some(host(name))).await.unwrap();
        assert_eq!(done.leader.unwrap().host, host(name));
        leads(new).await;
        only_one_leads(&[&a, &b, &c]);
        took.push(done.took);
    }
    took.sort();
    println!(
        "handovers: median {:?}, longest {:?}",
        took[took.len() / 2],
        took[took.len() - 1]
    );
    // On an idle machine a few milliseconds; this bound is for a busy one.
    assert!(took[took.len() / 2] < Duration::from_millis(100), "{took:?}");
    assert_eq!(b.office.hand_over(None).await, Err(Refused::NotLeading));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vacancy_goes_to_the_host_that_is_wanted_most() {
    let cluster = Cluster::start();
    let [first, plain, best] = cluster.with([("first", 0), ("plain", 0), ("best", 10)]).await;
    assert!(
        first.office.leads(),
        "a better host that comes later takes nothing away"
    );
    let done = first.office.hand_over(None).await.unwrap();
    assert_eq!(done.leader.unwrap().host, host("best"));
    // It stops cleanly, and is no longer waited for.
    best.stop.cancel();
    best.running.await.unwrap().unwrap();
    until("another leads", async || first.office.leads() || plain.office.leads()).await;
    only_one_leads(&[&first, &plain]);
}

/// I6: the lease's length and one bid, and no more than that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_leader_is_followed_when_its_lease_has_run_out() {
    let cluster = Cluster::start();
    let [dies, next] = cluster.with([("dies", 0), ("next", 0)]).await;
    let before = next.store.leadership.leader().await.unwrap().unwrap();
    dies.running.abort();
    let died = Instant::now();
    leads(&next).await;
    assert!(died.elapsed() < LEASE.length + seconds(1), "{:?}", died.elapsed());
    let after = next.store.leadership.leader().await.unwrap().unwrap();
    assert_eq!((after.host, after.term), (host("next"), Term(before.term.0 + 1)));
}

/// DESIGN §6: beside a Python coordinator hosts only run items; when it goes, they lead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_systems_leader_is_waited_for() {
    let cluster = Cluster::start();
    let lease = format!("{PREFIX}coordinator:leader");
    until("the server is up", async || {
        cluster.folder.path().join("redis.sock").exists()
    })
    .await;
    cluster.redis(&["SET", &lease, "python-pod-7", "EX", "600"]).await;
    let member = cluster.join("a", 0).await;
    let foreign = async || matches!(member.office.standing(), Standing::Following(Some(leader)) if leader.is_foreign());
    until("it follows", foreign).await;
    cluster.redis(&["DEL", &lease]).await;
    leads(&member).await;
    // Python takes it by force: what is the leader's is refused, and the host steps down at its next renewal.
    cluster.redis(&["SET", &lease, "python-pod-7", "EX", "600"]).await;
    until("it follows again", foreign).await;
    assert!(!member.office.leads());
}

/// I7: data that is lost takes the lease with it; somebody leads again, in a newer term than any that a host knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_data_ends_the_leadership() {
    let cluster = Cluster::start();
    let [a, b] = cluster.with([("a", 0), ("b", 0)]).await;
    let before = a.store.leadership.leader().await.unwrap().unwrap();
    cluster.redis(&["FLUSHALL"]).await;
    until("a newer term", async || {
        let leader = a.store.leadership.leader().await.unwrap();
        leader.is_some_and(|leader| leader.term > before.term)
    })
    .await;
    until("one leads", async || a.office.leads() || b.office.leads()).await;
    only_one_leads(&[&a, &b]);
}
