//! From the Hub's names to items.

use std::sync::Arc;

use tokio::time;
use warren::services::{
    discovery::{Discovery, DiscoveryConfig},
    leader_state::LeaderNotes,
    poller::{Poller, PollerConfig},
};

use super::{
    faults::{Fault, away},
    rig::{Rig, eventually, seconds},
};

/// Agents without a definition are not enqueued, but counted; the others are. Definitions are files: they are read where
/// blocking is allowed, not among the host's own tasks.
#[tokio::test(start_paused = true)]
async fn definitions_are_looked_up_where_they_hold_up_nobody() {
    let rig = Rig::start().await;
    rig.defined.gone.lock().unwrap().push("unknown".to_owned());
    rig.hub
        .set_unread(&[("a", 1), ("unknown", 1), ("Not A Name", 1), ("b", 1)]);
    let _election = rig.lead(vec![Arc::new(Poller {
        hub: rig.hub.clone(),
        intake: rig.intake(),
        telemetry: rig.seen.clone(),
        config: PollerConfig::default(),
        ended: rig.ended.clone(),
    })]);
    eventually("they were enqueued", || rig.faulty.calls("enqueue") > 0).await;
    let stats = rig.store.queue.stats().await.unwrap();
    assert_eq!(stats.queued.values().sum::<u64>(), 2);
    assert!(*rig.seen.undefined.lock().unwrap() >= 2);
    let here = std::thread::current().id();
    assert!(
        rig.defined
            .asked_from
            .lock()
            .unwrap()
            .iter()
            .all(|thread| *thread != here)
    );
}

fn discovery(rig: &Rig) -> Arc<Discovery> {
    Arc::new(Discovery {
        hub: rig.hub.clone(),
        intake: rig.intake(),
        notes: Arc::new(LeaderNotes::new(rig.faulty.clone())),
        config: DiscoveryConfig {
            every: seconds(60),
            min_staleness: seconds(900),
        },
    })
}

/// Defect 9: sweeps come at their interval, and a successor goes on where its predecessor was.
#[tokio::test(start_paused = true)]
async fn staleness_sweeps_keep_their_interval_across_leaderships() {
    let rig = Rig::start().await;
    rig.hub.stale.lock().unwrap().push("a".to_owned());
    let (election, _standing) = rig.election("h1", vec![discovery(&rig)]);
    let stop = tokio_util::sync::CancellationToken::new();
    let election = tokio::spawn(election.run(stop.clone()));
    time::sleep(seconds(100)).await;
    assert_eq!(
        rig.hub.count("stale"),
        2,
        "at once, as nobody ever swept, and a minute later"
    );
    stop.cancel();
    election.await.unwrap().unwrap();
    let _successor = rig.lead(vec![discovery(&rig)]);
    time::sleep(seconds(10)).await;
    assert_eq!(rig.hub.count("stale"), 2, "not at once");
    time::sleep(seconds(30)).await;
    assert_eq!(rig.hub.count("stale"), 3);
}

/// A sweep that fails is made again; one whose note is fenced ends the term (I1).
#[tokio::test(start_paused = true)]
async fn a_failed_sweep_is_repeated_and_a_fenced_one_steps_down() {
    let rig = Rig::start().await;
    rig.hub.stale.lock().unwrap().push("a".to_owned());
    rig.faulty.set("enqueue", away());
    let _election = rig.lead(vec![discovery(&rig)]);
    time::sleep(seconds(100)).await;
    assert_eq!(rig.hub.count("stale"), 2);
    assert!(rig.seen.leads());
    rig.faulty.heal();
    rig.faulty.set("acquire", Fault::Hang);
    let term = warren::domain::ids::Term(1);
    let fenced = warren::ports::store::StoreError::Fenced { term };
    rig.faulty.set("save_state", Fault::Fail(fenced));
    eventually("it has stepped down", || !rig.seen.leads()).await;
    assert_eq!(rig.hub.count("stale"), 3);
}
