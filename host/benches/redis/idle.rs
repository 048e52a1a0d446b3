//! What an idle host asks of Redis through this adapter: who waits for work, for a vacancy, and sweeps.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout};
use warren::{
    domain::ids::{ClaimToken, HolderId, HostName},
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
/// As hosts have them by default: a look for work without a wake-up, a bid, a renewal, a sweep.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const BID_EVERY: Duration = Duration::from_secs(1);
const RENEW_EVERY: Duration = Duration::from_secs(3);
const SWEEP_EVERY: Duration = Duration::from_secs(5);
const TTL: Duration = Duration::from_secs(9);

pub async fn report() {
    for leads in [true, false] {
        let server = Server::start();
        let leader = store(&server, "").await;
        let follower = store(&server, "").await;
        let won = leader.store().leadership.acquire(&bid("leader")).await.unwrap();
        let Acquired::Won(term) = won else { panic!("{won:?}") };
        let fence = Fence {
            holder: bid_holder("leader"),
            term,
        };
        let mut meter = Meter::new(&server);
        let idle = if leads { leader.store() } else { follower.store() };
        meter.begin();
        let _ = timeout(WATCHED, be_idle(Arc::new(idle), leads.then_some(fence))).await;
        let cost = meter.lap();
        let seconds = WATCHED.as_secs_f64();
        println!(
            "an idle {}: {:.2} commands/s sent or executed for it, {:.0} µs of CPU time a second",
            if leads { "leader" } else { "follower" },
            (cost.calls + cost.commands) / seconds,
            cost.cpu / seconds
        );
    }
}
