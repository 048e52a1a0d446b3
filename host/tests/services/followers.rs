//! Those who do not lead (DESIGN §5): handovers, when they bid, and who goes first.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use warren::{
    ports::telemetry::LeadershipEvent,
    services::election::{Office, RESERVED, Refused, Standing},
};

use super::{
    election::{Steps, leading},
    rig::{LEADER, Rig, at_rest, eventually, host, seconds},
};

/// A second host that follows the first, with what it says of itself.
async fn follower(rig: &Rig, name: &str) -> (Office, CancellationToken) {
    let (election, office) = rig.election(name, Vec::new());
    let stop = CancellationToken::new();
    tokio::spawn(election.run(stop.clone()));
    eventually("it follows", || {
        matches!(office.standing(), Standing::Following(Some(_)))
    })
    .await;
    (office, stop)
}

/// DESIGN §5: stop and join the leader-only work, then release, then notify; and a successor takes over on that.
#[tokio::test(start_paused = true)]
async fn a_handover_joins_the_work_and_goes_to_whom_is_named() {
    let rig = Rig::start().await;
    let steps = Arc::new(Steps {
        lingers: seconds(2),
        ..Steps::default()
    });
    let (_election, old) = rig.lead(vec![steps.clone()]);
    leading(&rig).await;
    let (new, _stop) = follower(&rig, "h2").await;
    let ordered = Instant::now();
    let (done, ()) = tokio::join!(old.hand_over(Some(host("h2"))), async {
        eventually("it has stepped down", || !old.leads()).await;
        assert!(steps.running.load(SeqCst) && rig.faulty.calls("release") == 0);
    });
    let done = done.unwrap();
    at_rest().await;
    assert!(!steps.running.load(SeqCst) && new.leads() && !old.leads());
    assert_eq!(done.leader.unwrap().host, host("h2"));
    assert!(
        ordered.elapsed() < seconds(2) + Duration::from_millis(300),
        "{:?}",
        ordered.elapsed()
    );
    assert_eq!(rig.faulty.calls("reserve"), 1);
    assert_eq!(old.hand_over(None).await, Err(Refused::NotLeading));
    assert_eq!(
        rig.seen.leadership.lock().unwrap()[..],
        [
            LeadershipEvent::Became,
            LeadershipEvent::Released,
            LeadershipEvent::Became
        ]
    );
}

/// The old leader holds back; but a cluster in which nobody takes over has a leader again.
#[tokio::test(start_paused = true)]
async fn a_handover_that_nobody_takes_ends_where_it_began() {
    let rig = Rig::start().await;
    let (_election, office) = rig.lead(Vec::new());
    leading(&rig).await;
    let bids = rig.faulty.calls("acquire");
    let (done, ()) = tokio::join!(office.hand_over(None), async {
        time::sleep(RESERVED).await;
        assert!(!office.leads());
        assert_eq!(rig.faulty.calls("acquire"), bids, "it does not bid meanwhile");
    });
    let done = done.unwrap();
    assert_eq!(done.leader, None);
    assert!(done.took > RESERVED, "{:?}", done.took);
    eventually("it leads again", || office.leads()).await;
}

/// A follower bids when the lease ends, so it costs the store next to nothing, and a crash no more than the lease.
#[tokio::test(start_paused = true)]
async fn a_follower_bids_seldom_and_at_the_leases_end() {
    let rig = Rig::start().await;
    let (election, first) = rig.lead(Vec::new());
    leading(&rig).await;
    let (second, _stop) = follower(&rig, "h2").await;
    let bids = rig.faulty.calls("acquire");
    time::sleep(seconds(60)).await;
    let bids = rig.faulty.calls("acquire") - bids;
    assert!((1..=13).contains(&bids), "{bids} bids in a minute");
    assert!(first.leads() && !second.leads());
    election.abort();
    let died = Instant::now();
    eventually("it leads", || second.leads()).await;
    assert!(
        died.elapsed() < LEADER.length + Duration::from_millis(200),
        "{:?}",
        died.elapsed()
    );
}

/// Defect 2: what is asked after the deadline is not told of a leader, though the election has not run since.
#[tokio::test(start_paused = true)]
async fn nobody_is_told_of_a_lease_that_has_run_out() {
    let rig = Rig::start().await;
    let (_election, office) = rig.lead(Vec::new());
    leading(&rig).await;
    assert!(office.leads() && office.lease_left() <= seconds(8));
    rig.clock.jump(seconds(8));
    assert!(!office.leads() && office.lease_left().is_zero());
}

/// A host that stops cleanly is not waited for on the next vacancy.
#[tokio::test(start_paused = true)]
async fn a_follower_that_stops_waits_no_more() {
    let rig = Rig::start().await;
    let (_election, _office) = rig.lead(Vec::new());
    leading(&rig).await;
    let (_follower, stop) = follower(&rig, "h2").await;
    assert_eq!(rig.store.leadership.candidates().await.unwrap().len(), 1);
    stop.cancel();
    eventually("it has withdrawn", || rig.faulty.calls("withdraw") == 1).await;
    assert_eq!(rig.store.leadership.candidates().await.unwrap(), []);
}

/// The vacancy goes to the host that is wanted most, also if another hears of it first.
#[tokio::test(start_paused = true)]
async fn the_host_that_is_wanted_most_goes_first() {
    let rig = Rig::start().await;
    let (election, old) = rig.lead(Vec::new());
    leading(&rig).await;
    let mut offices = Vec::new();
    for (name, score) in [("plain", 0), ("best", 3), ("better", 2)] {
        let (election, office) = rig.wanted(name, score, Vec::new());
        tokio::spawn(election.run(rig.shutdown.clone()));
        eventually("it follows", || {
            matches!(office.standing(), Standing::Following(Some(_)))
        })
        .await;
        offices.push(office);
    }
    let done = old.hand_over(None).await.unwrap();
    assert_eq!(done.leader.unwrap().host, host("best"));
    at_rest().await;
    assert!(offices[1].leads());
    drop(election);
}
