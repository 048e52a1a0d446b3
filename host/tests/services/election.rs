//! Leadership under faults (I1, I2).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use warren::{
    ports::{leadership::Leadership, telemetry::LeadershipEvent},
    services::election::{LeaderTask, LeaderTerm, Standing},
};

use super::{
    faults::{Fault, away},
    rig::{Rig, STORE_TIMEOUT, eventually, seconds},
};

/// Counts each 100 ms in which it was allowed to do something.
#[derive(Default)]
pub struct Steps {
    pub taken: AtomicUsize,
    pub running: AtomicBool,
    /// How long it goes on after it was told to stop.
    pub lingers: Duration,
}

#[async_trait]
impl LeaderTask for Steps {
    fn name(&self) -> &'static str {
        "steps"
    }

    async fn lead(&self, term: Arc<LeaderTerm>) -> anyhow::Result<()> {
        self.running.store(true, SeqCst);
        while !term.ended().is_cancelled() {
            if term.check().is_ok() {
                self.taken.fetch_add(1, SeqCst);
            }
            time::sleep(Duration::from_millis(100)).await;
        }
        time::sleep(self.lingers).await;
        self.running.store(false, SeqCst);
        Ok(())
    }
}

pub async fn leading(rig: &Rig) {
    eventually("it leads", || rig.seen.leads()).await;
}

/// Defects 2 and 4: a renewal that hangs must neither freeze the election nor leave a host believing that it leads.
#[tokio::test(start_paused = true)]
async fn a_leader_whose_renewals_hang_steps_down_at_its_deadline() {
    let rig = Rig::start().await;
    let steps = Arc::new(Steps::default());
    let (_election, office) = rig.lead(vec![steps.clone()]);
    leading(&rig).await;
    let since = Instant::now();
    rig.faulty.set("acquire", Fault::Hang);
    rig.faulty.set("renew_lease", Fault::Hang);
    eventually("it has stepped down", || !rig.seen.leads()).await;
    // 8 s after the sending of a renewal that came 0 to 3 s ago.
    assert!(
        since.elapsed() <= seconds(8) + Duration::from_millis(50),
        "{:?}",
        since.elapsed()
    );
    assert_eq!(office.standing(), Standing::Following(None));
    assert_eq!(rig.seen.leadership.lock().unwrap().last(), Some(&LeadershipEvent::Lost));
}

/// Defect 2: the gauge and the standing change when the deadline passes, not when slow work has been joined.
#[tokio::test(start_paused = true)]
async fn nobody_hears_of_a_leader_whose_work_is_slow_to_stop() {
    let rig = Rig::start().await;
    let steps = Arc::new(Steps {
        lingers: seconds(7),
        ..Steps::default()
    });
    let (_election, office) = rig.lead(vec![steps.clone()]);
    leading(&rig).await;
    rig.faulty.set("renew_lease", away());
    eventually("it has stepped down", || !rig.seen.leads()).await;
    assert_eq!(office.standing(), Standing::Following(None));
    assert!(steps.running.load(SeqCst), "it is still being joined");
}

/// I2: a suspend moves the clock and no timer. No step is taken afterwards, and the gauge follows within a moment.
#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_ends_the_term_at_once() {
    let rig = Rig::start().await;
    let steps = Arc::new(Steps::default());
    let _election = rig.lead(vec![steps.clone()]);
    leading(&rig).await;
    time::sleep(Duration::from_millis(3_500)).await;
    let taken = steps.taken.load(SeqCst);
    rig.faulty.set("acquire", Fault::Hang);
    rig.clock.jump(seconds(60));
    let jumped = Instant::now();
    eventually("it has stepped down", || !rig.seen.leads()).await;
    assert!(jumped.elapsed() <= Duration::from_millis(300), "{:?}", jumped.elapsed());
    assert_eq!(steps.taken.load(SeqCst), taken, "no step after the deadline");
}

/// Defect 1: the answer to a renewal is believed. Here the lease has become somebody else's meanwhile.
#[tokio::test(start_paused = true)]
async fn a_fenced_renewal_ends_the_term() {
    let rig = Rig::start().await;
    let (_election, office) = rig.lead(vec![Arc::new(Steps::default())]);
    leading(&rig).await;
    let Standing::Leading(term) = office.standing() else {
        panic!("it leads");
    };
    let stolen = warren::ports::store::StoreError::Fenced { term };
    rig.faulty.set("acquire", Fault::Hang);
    rig.faulty.set("renew_lease", Fault::Fail(stolen));
    let since = Instant::now();
    eventually("it has stepped down", || !rig.seen.leads()).await;
    assert!(
        since.elapsed() <= seconds(3),
        "at the next renewal, not at the deadline"
    );
}

/// Two renewals that fail within the lease are got over.
#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_for_a_moment_costs_no_leadership() {
    let rig = Rig::start().await;
    let _election = rig.lead(vec![Arc::new(Steps::default())]);
    leading(&rig).await;
    time::sleep(seconds(2)).await;
    rig.faulty.set("renew_lease", away());
    time::sleep(seconds(5)).await;
    rig.faulty.heal();
    time::sleep(seconds(30)).await;
    assert_eq!(*rig.seen.leadership.lock().unwrap(), [LeadershipEvent::Became]);
}

/// Defect 6: nothing slow stands between winning and renewing; here it is the event that says who leads.
#[tokio::test(start_paused = true)]
async fn the_first_renewal_waits_for_nothing() {
    let rig = Rig::start().await;
    rig.faulty.set("append", Fault::Hang);
    let _election = rig.lead(vec![Arc::new(Steps::default())]);
    leading(&rig).await;
    time::sleep(Duration::from_millis(3_100)).await;
    assert_eq!(rig.faulty.calls("renew_lease"), 1);
}

/// I2: a bid whose answer took longer than the lease has won nothing that could be used.
#[tokio::test(start_paused = true)]
async fn a_lease_that_was_won_too_late_is_not_used() {
    let rig = Rig::start().await;
    rig.faulty.set("acquire", Fault::Slow(Duration::from_millis(1_500)));
    let steps = Arc::new(Steps::default());
    let (_election, office) = rig.lead(vec![steps.clone()]);
    eventually("it has bid", || rig.faulty.calls("acquire") == 1).await;
    time::sleep(Duration::from_millis(500)).await;
    rig.clock.jump(seconds(60));
    eventually("the lease is given back", || rig.faulty.calls("release") == 1).await;
    assert_eq!(steps.taken.load(SeqCst), 0);
    assert_ne!(rig.seen.leadership.lock().unwrap().len(), 1, "it never was a leader");
    assert_eq!(office.standing(), Standing::Unknown);
    leading(&rig).await;
}

/// Defect 7: leader-only work has stopped before the lease is released, and no bid follows.
#[tokio::test(start_paused = true)]
async fn shutdown_joins_the_work_before_it_releases() {
    let rig = Rig::start().await;
    let steps = Arc::new(Steps {
        lingers: seconds(2),
        ..Steps::default()
    });
    let (election, _office) = rig.lead(vec![steps.clone()]);
    leading(&rig).await;
    eventually("it works", || steps.running.load(SeqCst)).await;
    let bids = rig.faulty.calls("acquire");
    rig.shutdown.cancel();
    time::sleep(seconds(1)).await;
    assert!(steps.running.load(SeqCst) && rig.faulty.calls("release") == 0);
    election.await.unwrap().unwrap();
    assert!(!steps.running.load(SeqCst));
    assert_eq!((rig.faulty.calls("release"), rig.faulty.calls("acquire")), (1, bids));
    assert_eq!(
        rig.store.leadership.leader().await.unwrap(),
        None,
        "a successor need not wait"
    );
}

/// Defect 7: a bid in flight when the host stops must not take the lease with it.
#[tokio::test(start_paused = true)]
async fn a_bid_that_wins_during_shutdown_is_given_back() {
    let rig = Rig::start().await;
    rig.faulty.set("acquire", Fault::Slow(seconds(1)));
    let steps = Arc::new(Steps::default());
    let (election, _office) = rig.lead(vec![steps.clone()]);
    eventually("it has bid", || rig.faulty.calls("acquire") == 1).await;
    rig.shutdown.cancel();
    election.await.unwrap().unwrap();
    assert_eq!(steps.taken.load(SeqCst), 0);
    assert_eq!(rig.store.leadership.leader().await.unwrap(), None);
}

/// A release that hangs delays the end by one call's bound.
#[tokio::test(start_paused = true)]
async fn a_release_that_hangs_does_not_hold_up_the_shutdown() {
    let rig = Rig::start().await;
    let (election, _office) = rig.lead(Vec::new());
    leading(&rig).await;
    rig.faulty.set("release", Fault::Hang);
    rig.shutdown.cancel();
    let since = Instant::now();
    election.await.unwrap().unwrap();
    assert!(since.elapsed() <= STORE_TIMEOUT + Duration::from_millis(50));
}

/// A store that refuses bids while the lease is free must not be asked again and again without a pause.
#[tokio::test(start_paused = true)]
async fn failing_bids_for_a_free_lease_are_paced() {
    let rig = Rig::start().await;
    rig.faulty.set("acquire", away());
    let _election = rig.lead(Vec::new());
    time::sleep(seconds(10)).await;
    let bids = rig.faulty.calls("acquire");
    assert!((9..=11).contains(&bids), "{bids} bids in 10 s");
    rig.faulty.heal();
    leading(&rig).await;
}

/// A follower that hears of no vacancy looks by itself.
#[tokio::test(start_paused = true)]
async fn a_follower_that_hears_nothing_looks_by_itself() {
    let rig = Rig::start().await;
    let (first, _office) = rig.election("h1", Vec::new());
    let stop_first = CancellationToken::new();
    let first = tokio::spawn(first.run(stop_first.clone()));
    leading(&rig).await;
    rig.faulty.set("vacancies", Fault::Hang);
    let (second, office) = rig.election("h2", Vec::new());
    let _second = tokio::spawn(second.run(rig.shutdown.clone()));
    eventually("it follows", || {
        matches!(office.standing(), Standing::Following(Some(_)))
    })
    .await;
    stop_first.cancel();
    first.await.unwrap().unwrap();
    let since = Instant::now();
    eventually("it leads", || matches!(office.standing(), Standing::Leading(_))).await;
    assert!(since.elapsed() <= seconds(6), "{:?}", since.elapsed());
}

struct Breaks(&'static str);

#[async_trait]
impl LeaderTask for Breaks {
    fn name(&self) -> &'static str {
        "breaks"
    }

    async fn lead(&self, _: Arc<LeaderTerm>) -> anyhow::Result<()> {
        match self.0 {
            "panics" => panic!("on purpose"),
            "fails" => anyhow::bail!("on purpose"),
            _ => Ok(()),
        }
    }
}

/// Defect 16: leader-only work that ends by itself is a fault of the process, and the lease does not die with it.
#[tokio::test(start_paused = true)]
async fn a_leader_task_that_ends_ends_the_election_with_its_reason() {
    for (how, words) in [
        ("panics", "panicked"),
        ("fails", "on purpose"),
        ("returns", "by itself"),
    ] {
        let rig = Rig::start().await;
        let steps = Arc::new(Steps::default());
        let (election, _office) = rig.lead(vec![steps.clone(), Arc::new(Breaks(how))]);
        let error = election.await.unwrap().unwrap_err();
        assert!(format!("{error:#}").contains(words), "{error:#}");
        assert!(!steps.running.load(SeqCst) && !rig.seen.leads());
        assert_eq!(rig.store.leadership.leader().await.unwrap(), None);
    }
}

/// Has a write refused, and returns as soon as the term is over.
struct WriteRefused;

#[async_trait]
impl LeaderTask for WriteRefused {
    fn name(&self) -> &'static str {
        "refused"
    }

    async fn lead(&self, term: Arc<LeaderTerm>) -> anyhow::Result<()> {
        time::sleep(Duration::from_millis(100)).await;
        let fenced = warren::ports::store::StoreError::Fenced {
            term: term.check()?.term,
        };
        assert!(term.written::<()>(Err(fenced)).is_err());
        Ok(())
    }
}

/// A refused write ends the term, not the process: the task that met it returns before the election has looked.
#[tokio::test(start_paused = true)]
async fn a_term_that_a_refused_write_has_ended_is_followed_by_another() {
    let rig = Rig::start().await;
    let (election, _standing) = rig.lead(vec![Arc::new(WriteRefused)]);
    // Often, since which of the two is seen first was a matter of chance.
    let lost = || {
        rig.seen
            .leadership
            .lock()
            .unwrap()
            .iter()
            .filter(|event| **event == LeadershipEvent::Lost)
            .count()
    };
    eventually("many terms", || lost() >= 20 || election.is_finished()).await;
    assert!(!election.is_finished(), "{:?}", election.await);
}

/// Defect 5: two processes of one name are two holders; one leads.
#[tokio::test(start_paused = true)]
async fn two_processes_of_one_name_do_not_both_lead() {
    let rig = Rig::start().await;
    let (first, one) = rig.election("same", Vec::new());
    let (second, other) = rig.election("same", Vec::new());
    let _first = tokio::spawn(first.run(rig.shutdown.clone()));
    let _second = tokio::spawn(second.run(rig.shutdown.clone()));
    for _ in 0..300 {
        time::sleep(Duration::from_millis(100)).await;
        let leads = |standing: &Standing| matches!(standing, Standing::Leading(_));
        assert!(!(leads(&one.standing()) && leads(&other.standing())));
    }
    assert_eq!(*rig.seen.leadership.lock().unwrap(), [LeadershipEvent::Became]);
    let leader = Leadership::leader(&*rig.faulty).await.unwrap();
    assert!(leader.is_some());
}
