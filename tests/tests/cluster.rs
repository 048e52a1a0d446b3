//! Three hosts, one Redis, one Hub: one fault each.

use warren_tests::{
    SOON,
    cluster::{Cluster, ClusterSetup},
    eventually,
    history::{StoreCall, What},
    host::Agent,
};

fn three() -> ClusterSetup {
    ClusterSetup::new(3).agent(Agent::echo("echo"))
}

#[track_caller]
fn wait_answered(cluster: &Cluster, post: &str, agent: &str) {
    cluster.hub.wait_for_reply(post, agent);
    cluster.hub.wait_until_read(agent);
    assert_eq!(cluster.hub.replies(post, agent), 1, "{:?}", cluster.hub.comments(post));
}

#[test]
fn the_leader_is_killed_and_another_leads() {
    let mut cluster = three().start();
    let post = cluster.mention("echo", "before");
    wait_answered(&cluster, &post, "echo");
    let old = cluster.leader();
    cluster.kill9(old);
    let post = cluster.mention("echo", "after");
    cluster.new_leader(old);
    wait_answered(&cluster, &post, "echo");
    cluster.restart(old);
    cluster.wait_ready();
    eventually("claims in the history", SOON, || {
        cluster
            .recorder
            .has(|record| matches!(&record.what, What::Store(StoreCall::Claim { claims, .. }) if !claims.is_empty()))
            .then_some(())
    });
    cluster.take_stock();
    for record in cluster.recorder.history() {
        if !matches!(record.what, What::Store(StoreCall::Sweep { .. })) {
            println!("{record}");
        }
    }
}
