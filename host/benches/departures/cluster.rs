//! Three hosts on one Redis that keeps everything, with agents for the load.

use std::time::Duration;

use warren_tests::{
    host::Agent,
    hub::HubProcess,
    redis::{Keeps, RedisServer},
};

use super::{hosts, load, member::Member};

/// Other than users have it (30 s): what a host that ends does not wait for is what is measured.
pub const GRACE: Duration = Duration::from_secs(1);
/// As users have it.
pub const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Shorter leases than those of users, and what follows from them.
pub const SHORT_LEASES: [(&str, &str); 6] = [
    ("leader.ttl", "\"3s\""),
    ("leader.renew_every", "\"1s\""),
    ("leader.margin", "\"500ms\""),
    ("leader.store_timeout", "\"1s\""),
    ("queue.item_lease", "\"6s\""),
    ("queue.lease_margin", "\"1s\""),
];
pub const SHORT_TTL: Duration = Duration::from_secs(3);
pub const SHORT_ITEM_LEASE: Duration = Duration::from_secs(6);

pub struct Cluster {
    pub members: Vec<Member>,
    _hub: HubProcess,
    _redis: RedisServer,
}

impl Cluster {
    /// With further settings for every host.
    pub fn start(settings: &[(&str, &str)]) -> Cluster {
        // Hosts die here without their agents having killed them.
        let common = [("breaker.lease_losses", "1000000"), ("host.grace_period", "\"1s\"")];
        let mut agents = load::agents();
        agents.push(Agent::echo("echo"));
        let (hub, redis) = (HubProcess::start(&["echo"]), RedisServer::start(Keeps::Everything, &[]));
        Cluster {
            members: hosts::start(3, |_| redis.url(), &hub, &agents, &[&common[..], settings].concat()),
            _hub: hub,
            _redis: redis,
        }
    }
}
