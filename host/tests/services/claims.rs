//! Leases of claims (I12): renewed in time, cut at their deadline, whatever the store does.

use std::{sync::Arc, time::Duration};

use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use warren::{
    domain::{
        ids::ClaimToken,
        work_item::{ItemState, TaskType, WorkItem},
    },
    ports::{
        clock::Clock,
        work_queue::{ClaimRequest, GiveBack},
    },
    services::claims::Holding,
};

use super::{
    faults::{Fault, away},
    rig::{ITEM, Rig, eventually, host, item, seconds},
};

/// A claim that is held and kept.
async fn held(rig: &Rig) -> (WorkItem, Holding) {
    let item = item("a", TaskType::Direct);
    rig.submit(&item).await;
    let sent = rig.clock.now();
    let request = ClaimRequest {
        host: host("h1"),
        tokens: vec![ClaimToken::fresh()],
        lease: ITEM.length,
        avoid: Vec::new(),
    };
    let claimed = rig.store.queue.claim(&request).await.unwrap().remove(0);
    let claims = rig.claims.clone();
    tokio::spawn(async move { claims.keep(CancellationToken::new()).await });
    (item, rig.claims.hold(claimed.item.id, claimed.token, sent))
}

/// Defects 12 and 18: a claim lives as long as its host renews it.
#[tokio::test(start_paused = true)]
async fn a_claim_is_kept_for_as_long_as_it_is_held() {
    let rig = Rig::start().await;
    let (item, holding) = held(&rig).await;
    for _ in 0..20 {
        time::sleep(seconds(30)).await;
        rig.store.queue.sweep().await.unwrap();
        assert!(holding.claim.check().is_ok());
    }
    assert_eq!(rig.record(&item).await.state, ItemState::Active);
    drop(holding);
    time::sleep(seconds(31)).await;
    rig.store.queue.sweep().await.unwrap();
    assert_eq!(
        rig.record(&item).await.state,
        ItemState::Queued,
        "nobody renews it any more"
    );
}

/// I12: the deadline counts from the last renewal's sending; a renewal that hangs does not move it, nor hide it.
#[tokio::test(start_paused = true)]
async fn a_claim_is_cut_at_its_deadline_while_a_renewal_hangs() {
    let rig = Rig::start().await;
    let (_item, holding) = held(&rig).await;
    let since = Instant::now();
    // Each call is given up after its own bound; the deadline falls into one of them.
    rig.faulty.set("renew", Fault::Hang);
    holding.claim.lost().await;
    assert_eq!(since.elapsed().as_secs(), 25, "{:?}", since.elapsed());
    assert!(holding.claim.check().is_err());
}

/// I12: a deadline between two renewals is kept to the moment, not to the next of them.
#[tokio::test(start_paused = true)]
async fn a_claim_is_cut_between_two_renewals() {
    let rig = Rig::start().await;
    let (_item, holding) = held(&rig).await;
    time::sleep(seconds(2)).await;
    rig.clock.jump(seconds(22));
    let since = Instant::now();
    holding.claim.lost().await;
    assert!(since.elapsed() <= Duration::from_millis(1_300), "{:?}", since.elapsed());
}

/// I2 for items: a suspend moves the clock and no timer.
#[tokio::test(start_paused = true)]
async fn a_claim_that_was_slept_through_is_lost_at_once() {
    let rig = Rig::start().await;
    let (_item, holding) = held(&rig).await;
    rig.clock.jump(seconds(3600));
    assert!(holding.claim.check().is_err(), "no effect is started");
    let since = Instant::now();
    holding.claim.lost().await;
    assert!(since.elapsed() <= Duration::from_millis(300), "{:?}", since.elapsed());
}

/// A claim that was let go of is not kept alive in the store: others are waiting for its item.
#[tokio::test(start_paused = true)]
async fn a_lost_claim_is_not_renewed() {
    let rig = Rig::start().await;
    let (item, holding) = held(&rig).await;
    rig.faulty.set("renew", away());
    holding.claim.lost().await;
    rig.faulty.heal();
    time::sleep(seconds(31)).await;
    rig.store.queue.sweep().await.unwrap();
    assert_eq!(rig.record(&item).await.state, ItemState::Queued);
}

/// A store that is away for less than two thirds of the lease costs nothing.
#[tokio::test(start_paused = true)]
async fn failing_renewals_are_repeated_soon() {
    let rig = Rig::start().await;
    let (_item, holding) = held(&rig).await;
    rig.faulty.set("renew", away());
    time::sleep(seconds(20)).await;
    rig.faulty.heal();
    time::sleep(seconds(120)).await;
    assert!(holding.claim.check().is_ok());
    let asked = rig.faulty.calls("renew");
    assert!(asked > 10, "{asked}");
}

/// I4: a claim that the store has given to somebody else is lost at the next renewal.
#[tokio::test(start_paused = true)]
async fn a_claim_that_was_taken_away_is_lost() {
    let rig = Rig::start().await;
    let (item, holding) = held(&rig).await;
    let given = rig
        .store
        .queue
        .give_back(item.id, holding.claim.token, GiveBack::Shutdown);
    given.await.unwrap();
    let since = Instant::now();
    holding.claim.lost().await;
    assert!(since.elapsed() <= seconds(11));
}

/// An answer that was lost is as old as its first call: its claims are confirmed, and run only if they still hold.
#[tokio::test(start_paused = true)]
async fn claims_of_a_late_answer_are_confirmed_before_they_run() {
    let rig = Rig::start().await;
    let item = item("a", TaskType::Direct);
    rig.submit(&item).await;
    rig.faulty.set("claim", Fault::LoseAnswer);
    let _running = rig.run(1);
    eventually("it was claimed", || rig.faulty.calls("claim") >= 1).await;
    // Longer than the claim's local deadline, and no sweep has given the item to others.
    time::sleep(seconds(28)).await;
    rig.faulty.heal();
    rig.faulty.set("renew", away());
    time::sleep(seconds(1)).await;
    assert_eq!(
        *rig.seen.started.lock().unwrap(),
        0,
        "nobody can say whether it still holds"
    );
    rig.faulty.heal();
    let record = rig.reaches(&item, ItemState::Done).await;
    assert_eq!(record.item.attempt, 1);
    assert_eq!(*rig.seen.started.lock().unwrap(), 1, "once, and not cut");
}

/// Two claims of one item, one after the other: dropping the first does not end the keeping of the second.
#[tokio::test(start_paused = true)]
async fn a_new_claim_outlives_the_old_ones_end() {
    let rig = Rig::start().await;
    let (item, first) = held(&rig).await;
    let second = rig.claims.hold(item.id, ClaimToken::fresh(), rig.clock.now());
    drop(first);
    time::sleep(seconds(11)).await;
    assert!(rig.faulty.calls("renew") > 0);
    assert!(Arc::strong_count(&second.claim) > 1, "it is still kept");
}
