//! Three hosts, one Redis, one Hub, and one fault each: what an operator may expect of it. At its end every promise is
//! judged over what happened.

use std::time::Duration;

use warren_tests::{
    SOON,
    checkers::{self, Rules},
    cluster::{Cluster, ClusterSetup, ITEM_LEASE, LEADER_LEASE, SWEEP_EVERY},
    eventually,
    history::{Claim, Record, StoreCall, What},
    host::Agent,
};

/// What a busy machine may add to a time that is otherwise certain.
const STALL: Duration = Duration::from_secs(4);
/// How often a host bids while another one leads.
const BID_EVERY: Duration = Duration::from_secs(1);

fn setup(hosts: usize) -> ClusterSetup {
    ClusterSetup::new(hosts)
        .agent(Agent::echo("echo"))
        .agent(Agent::hostile("slow", "answer-slow 1500"))
}

#[track_caller]
fn answered(cluster: &Cluster, post: &str, agent: &str) {
    cluster.hub.wait_for_reply(post, agent);
    cluster.hub.wait_until_read(agent);
    assert_eq!(cluster.hub.replies(post, agent), 1, "{:?}", cluster.hub.comments(post));
}

/// The cluster works, comes to rest, and has kept its promises.
#[track_caller]
fn all_is_well(cluster: &Cluster, what: &str) {
    cluster.calm();
    cluster.wait_ready();
    let post = cluster.mention("echo", "is all well?");
    answered(cluster, &post, "echo");
    eventually("an empty queue", SOON, || cluster.is_idle().then_some(()));
    // Each host's next sweep, if nothing else, says that it works.
    let calm = cluster.recorder.now();
    for member in &cluster.members {
        eventually(format!("a call of {}", member.name), SOON, || {
            let calls = |record: &Record| {
                record.host == member.name && record.from > calm && matches!(record.what, What::Store(_))
            };
            cluster.recorder.has(calls).then_some(())
        });
    }
    cluster.take_stock();
    checkers::assert_kept(&cluster.recorder.history(), &Rules::of_the_harness(), what);
}

/// Which host runs an agent, and since when.
#[track_caller]
fn runs(cluster: &Cluster, agent: &str) -> usize {
    let of_agent = |claim: &Claim| claim.agent == agent;
    let host = eventually(format!("a claim of {agent}"), SOON, || {
        let mut history = cluster.recorder.history();
        history.retain(|record| {
            matches!(&record.what, What::Store(StoreCall::Claim { claims, .. }) if claims.iter().any(of_agent))
        });
        history.pop().map(|record| record.host)
    });
    let at = cluster.members.iter().position(|member| member.name == host);
    at.expect("a host of this cluster")
}

/// How long after `since` somebody won the lease.
#[track_caller]
fn won_after(cluster: &Cluster, since: Duration) -> Duration {
    let won = |record: &&Record| {
        record.from > since && matches!(record.what, What::Store(StoreCall::Acquire { term: Some(_), .. }))
    };
    let history = cluster.recorder.history();
    history.iter().find(won).expect("somebody has won").until - since
}

#[test]
fn the_leader_is_killed_and_another_leads_after_its_lease() {
    let mut cluster = setup(3).start();
    let old = cluster.leader();
    let killed = cluster.recorder.now();
    cluster.kill9(old);
    let post = cluster.mention("echo", "who leads?");
    cluster.new_leader(old);
    let took = won_after(&cluster, killed);
    assert!(took <= LEADER_LEASE + BID_EVERY + STALL, "a new leader after {took:?}");
    answered(&cluster, &post, "echo");
    cluster.restart(old);
    all_is_well(&cluster, "the leader killed");
}

#[test]
fn the_leader_is_stopped_beyond_its_leases_and_wakes_up_as_a_follower() {
    let mut cluster = setup(3).start();
    let old = cluster.leader();
    cluster.mention("slow", "think about it");
    runs(&cluster, "slow");
    cluster.stop(old);
    cluster.new_leader(old);
    let post = cluster.mention("echo", "who leads?");
    answered(&cluster, &post, "echo");
    cluster.resume(old);
    eventually("that it knows", SOON, || {
        (cluster.members[old].leads() == Some(false)).then_some(())
    });
    all_is_well(&cluster, "the leader stopped and continued");
}

#[test]
fn a_leader_that_ends_hands_over_and_leaves_nothing_behind() {
    let mut cluster = setup(3).start();
    let old = cluster.leader();
    for n in 0..4 {
        cluster.submit(old, if n % 2 == 0 { "slow" } else { "echo" }, "sleep 400");
    }
    let asked = cluster.recorder.now();
    cluster.terminate(old);
    cluster.new_leader(old);
    let took = won_after(&cluster, asked);
    // Far less than the lease that a crash would have left behind.
    assert!(took < LEADER_LEASE, "a new leader after {took:?}");
    cluster.restart(old);
    all_is_well(&cluster, "the leader ended");
}

#[test]
fn a_runner_is_killed_between_its_reply_and_the_end() {
    let mut cluster = setup(3).start();
    let post = cluster.mention("slow", "take your time");
    cluster.hub.wait_for_reply(&post, "slow");
    let at = runs(&cluster, "slow");
    let killed = cluster.recorder.now();
    cluster.kill9(at);
    answered(&cluster, &post, "slow");
    let took = cluster.recorder.now() - killed;
    // It is claimed again, and takes its time again.
    let expected = LEADER_LEASE.max(ITEM_LEASE) + BID_EVERY + SWEEP_EVERY + Duration::from_secs(3) + STALL;
    assert!(took < expected, "answered after {took:?}");
    cluster.restart(at);
    all_is_well(&cluster, "a runner killed");
}

#[test]
fn a_host_that_is_parted_from_redis_stops_and_comes_back() {
    let cluster = setup(3).start();
    let old = cluster.leader();
    cluster.members[old].to_redis.hold();
    eventually("that it steps down", SOON, || {
        (cluster.members[old].leads() == Some(false)).then_some(())
    });
    cluster.new_leader(old);
    let post = cluster.mention("echo", "who leads?");
    answered(&cluster, &post, "echo");
    // Now all that it had asked for arrives at once.
    cluster.members[old].to_redis.heal();
    all_is_well(&cluster, "a host parted from Redis");
}

#[test]
fn a_leader_that_is_parted_from_the_hub_keeps_its_lease_and_goes_on() {
    let cluster = setup(2).start();
    let leader = cluster.leader();
    for member in &cluster.members {
        member.to_hub.cut();
    }
    let post = cluster.mention("echo", "can you hear me?");
    let failed = |line: &&serde_json::Value| line["level"] == "WARN";
    eventually("that the leader complains", SOON, || {
        cluster.members[leader]
            .host
            .logged("polling the Hub failed")
            .iter()
            .find(failed)
            .map(drop)
    });
    for member in &cluster.members {
        member.to_hub.heal();
    }
    answered(&cluster, &post, "echo");
    all_is_well(&cluster, "a Hub that was away");
}
