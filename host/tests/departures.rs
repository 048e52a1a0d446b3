//! The bench of departures works: the same rounds on real hosts, a few of each.

#[path = "../benches/departures/cluster.rs"]
mod cluster;
#[path = "../benches/measuring/hosts.rs"]
mod hosts;
#[path = "../benches/departures/items.rs"]
mod items;
#[path = "../benches/departures/leaders.rs"]
mod leaders;
#[path = "../benches/departures/load.rs"]
mod load;
#[path = "../benches/measuring/member.rs"]
mod member;
#[path = "../benches/departures/table.rs"]
mod table;
#[path = "../benches/departures/watch.rs"]
mod watch;

use self::cluster::{Cluster, GRACE, SHORT_ITEM_LEASE, SHORT_LEASES, SHORT_TTL, SWEEP_EVERY};

/// Each round waits until another host has taken over, and that every item ended well.
#[test]
fn whoever_leaves_is_made_up_for() {
    warren_tests::binary::built_by_cargo(env!("CARGO_BIN_EXE_warren"));
    let mut cluster = Cluster::start(&SHORT_LEASES);
    leaders::handovers(&cluster.members, 2);
    leaders::crashes(&mut cluster.members, 1, SHORT_TTL);
    items::left(&mut cluster.members, 1, GRACE);
    items::killed(&mut cluster.members, 1, SHORT_ITEM_LEASE, SWEEP_EVERY);
}
