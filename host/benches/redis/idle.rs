//! What an idle host asks of Redis: it waits for work and for a vacancy, sweeps, beats, and looks whether the store is the
//! one that it knows; a leader renews and counts.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use warren::{
    domain::{
        ids::{ClaimToken, HolderId, HostName, Term},
        preference::Score,
    },
    ports::{
        leadership::{Acquired, Bid},
        store::Store,
        work_queue::{ClaimRequest, Fence},
    },
};

use super::{
    queue::store,
    server::{Meter, Server},
};

/// How long it is watched.
const WATCHED: Duration = Duration::from_secs(30);
/// As hosts have them by default: a look for work without a wake-up, a bid, a renewal, a sweep, a heartbeat, a count of what
/// describes the cluster, a look at the store.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const BID_EVERY: Duration = Duration::from_secs(8);
const RENEW_EVERY: Duration = Duration::from_secs(3);
const SWEEP_EVERY: Duration = Duration::from_secs(1);
const BEAT_EVERY: Duration = Duration::from_secs(3);
const COUNT_EVERY: Duration = Duration::from_secs(10);
const WATCH_EVERY: Duration = Duration::from_secs(10);
/// Longer than the watch: nobody renews for the follower.
const TTL: Duration = Duration::from_secs(60);

pub async fn report() {
    for leads in [true, false] {
        let server = Server::start();
        let (leader, follower) = (store(&server, "", 0).await.store(), store(&server, "", 0).await.store());
        let first = bid("leader");
        let won = leader.leadership.acquire(&first).await.unwrap();
        let Acquired::Won(term) = won else { panic!("{won:?}") };
        let fence = Fence {
            holder: first.holder,
            term,
        };
        let mut meter = Meter::new(&server);
        meter.begin();
        // The leader's own renewals are no part of what the follower asks.
        let watched = async {
            match leads {
                true => be_idle(&leader, Some(&fence)).await,
                false => be_idle(&follower, None).await,
            }
        };
        let _ = timeout(WATCHED, watched).await;
        let cost = meter.lap();
        let seconds = WATCHED.as_secs_f64();
        println!(
            "an idle {}: {:.2} commands a second, those of scripts counted ({:.2} calls of scripts), {:.0} µs of CPU time a second",
            if leads { "leader" } else { "follower" },
            (cost.calls + cost.commands) / seconds,
            cost.calls / seconds,
            cost.cpu / seconds
        );
    }
}

fn bid(host: &str) -> Bid {
    Bid {
        holder: HolderId::fresh(HostName::new(host).unwrap()),
        address: "http://127.0.0.1:9090".to_owned(),
        ttl: TTL,
        score: Score(0),
        known: Term(0),
        waits: TTL,
    }
}

/// What a host's services ask while there is nothing to do.
async fn be_idle(store: &Store, fence: Option<&Fence>) {
    tokio::join!(
        look(store),
        lead(store, fence),
        sweep(store),
        beat(store),
        count(store, fence),
        watch(store)
    );
}

async fn beat(store: &Store) {
    let holder = HolderId::fresh(HostName::new("idle").unwrap());
    loop {
        store.hosts.beat(&holder, "{}", 3 * BEAT_EVERY).await.unwrap();
        sleep(BEAT_EVERY).await;
    }
}

async fn count(store: &Store, fence: Option<&Fence>) {
    while fence.is_some() {
        store.queue.stats().await.unwrap();
        sleep(COUNT_EVERY).await;
    }
}

async fn watch(store: &Store) {
    loop {
        store.queue.health().await.unwrap();
        sleep(WATCH_EVERY).await;
    }
}

async fn look(store: &Store) {
    loop {
        let request = ClaimRequest {
            host: HostName::new("idle").unwrap(),
            tokens: vec![ClaimToken::fresh()],
            lease: Duration::from_secs(60),
            avoid: Vec::new(),
        };
        assert!(store.queue.claim(&request).await.unwrap().is_empty());
        store.queue.wait_for_work(LOOK_EVERY).await;
    }
}

async fn lead(store: &Store, fence: Option<&Fence>) {
    let bid = bid("follower");
    loop {
        match fence {
            Some(fence) => {
                store.leadership.renew(fence, TTL).await.unwrap();
                sleep(RENEW_EVERY).await;
            }
            None => {
                assert!(matches!(
                    store.leadership.acquire(&bid).await.unwrap(),
                    Acquired::Held(_)
                ));
                sleep(BID_EVERY).await;
            }
        }
    }
}

async fn sweep(store: &Store) {
    loop {
        store.queue.sweep().await.unwrap();
        sleep(SWEEP_EVERY).await;
    }
}
