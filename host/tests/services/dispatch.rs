//! Claiming: nothing that was claimed is forgotten, whatever becomes of the answer.

use std::{future::pending, time::Duration};

use tokio::time::{self, Instant};
use warren::{
    domain::work_item::{ItemState, TaskType, WorkItem},
    ports::{standing_claim::DepartingClaim, store::StoreError},
};

use super::{
    faults::{Fault, away},
    rig::{Rig, STORE_TIMEOUT, at_rest, eventually, item, seconds},
    sandbox::outcome,
};

/// Defect 11 and I9: a claim whose answer is lost is asked for again with the same tokens.
#[tokio::test(start_paused = true)]
async fn a_claim_whose_answer_is_lost_is_not() {
    let rig = Rig::start().await;
    let item = item("a", TaskType::Direct);
    rig.submit(&item).await;
    rig.faulty.set("claim", Fault::LoseAnswer);
    let _running = rig.run(1);
    rig.reaches(&item, ItemState::Active).await;
    rig.faulty.heal();
    let since = Instant::now();
    rig.reaches(&item, ItemState::Done).await;
    assert!(since.elapsed() < seconds(1), "not after a lease");
}

/// Defect 4 for claims: a call that hangs is given up and made again.
#[tokio::test(start_paused = true)]
async fn a_claim_that_hangs_is_made_again() {
    let rig = Rig::start().await;
    let item = item("a", TaskType::Direct);
    rig.submit(&item).await;
    rig.faulty.set("claim", Fault::Hang);
    let _running = rig.run(1);
    time::sleep(seconds(10)).await;
    assert!(
        (4..=6).contains(&rig.faulty.calls("claim")),
        "{}",
        rig.faulty.calls("claim")
    );
    rig.faulty.heal();
    rig.reaches(&item, ItemState::Done).await;
}

/// I9: what a claim brings after shutdown began is run within the grace period, not dropped.
#[tokio::test(start_paused = true)]
async fn a_claim_that_is_answered_during_shutdown_is_run() {
    let rig = Rig::start().await;
    let item = item("a", TaskType::Direct);
    rig.submit(&item).await;
    rig.faulty.set("claim", Fault::Slow(seconds(1)));
    let running = rig.run(1);
    eventually("it claims", || rig.faulty.calls("claim") == 1).await;
    rig.shutdown.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(rig.record(&item).await.state, ItemState::Done);
}

/// I9: the host stops without the answer to its claim: it asks once more, so that the item need not wait for a lease.
#[tokio::test(start_paused = true)]
async fn a_claim_without_an_answer_is_asked_for_once_more_at_shutdown() {
    let rig = Rig::start().await;
    let item = item("a", TaskType::Direct);
    rig.submit(&item).await;
    rig.faulty.set("claim", Fault::LoseAnswer);
    let running = rig.run(1);
    rig.reaches(&item, ItemState::Active).await;
    rig.faulty.heal();
    rig.shutdown.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(rig.record(&item).await.state, ItemState::Done);
}

/// A store that is gone does not hold up a shutdown for longer than its calls' bounds.
#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_does_not_hold_up_the_shutdown() {
    let rig = Rig::start().await;
    rig.faulty.set("claim", Fault::Hang);
    let running = rig.run(1);
    eventually("it claims", || rig.faulty.calls("claim") == 1).await;
    rig.shutdown.cancel();
    let since = Instant::now();
    running.await.unwrap().unwrap();
    assert!(
        since.elapsed() <= STORE_TIMEOUT * 2 + Duration::from_millis(300),
        "{:?}",
        since.elapsed()
    );
}

/// After shutdown began nothing new is claimed, although items are ready and slots become free.
#[tokio::test(start_paused = true)]
async fn nothing_is_claimed_after_shutdown() {
    let rig = Rig::start().await;
    rig.guests.play(|_| async {
        time::sleep(seconds(2)).await;
        outcome(&[])
    });
    let (first, second) = (item("a", TaskType::Direct), item("b", TaskType::Direct));
    rig.submit(&first).await;
    let running = rig.run(1);
    rig.reaches(&first, ItemState::Active).await;
    rig.submit(&second).await;
    rig.shutdown.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(rig.record(&first).await.state, ItemState::Done);
    assert_eq!(rig.record(&second).await.state, ItemState::Queued);
}

/// Handing back is tried again when the store is away for a moment.
#[tokio::test(start_paused = true)]
async fn handing_back_is_repeated() {
    let rig = Rig::start().await;
    rig.guests.play(|_| pending());
    let item = item("a", TaskType::Direct);
    rig.submit(&item).await;
    let running = rig.run(1);
    rig.reaches(&item, ItemState::Active).await;
    rig.faulty.set("give_back", away());
    rig.shutdown.cancel();
    eventually("it was tried", || rig.faulty.calls("give_back") == 1).await;
    rig.faulty.heal();
    running.await.unwrap().unwrap();
    assert_eq!(rig.record(&item).await.state, ItemState::Queued);
}

/// All slots are used at once, and a slot that becomes free is used at once.
#[tokio::test(start_paused = true)]
async fn free_slots_are_used() {
    let rig = Rig::start().await;
    rig.guests.play(|_| async {
        time::sleep(seconds(1)).await;
        outcome(&[])
    });
    for n in 0..200 {
        rig.submit(&item(&format!("agent-{n}"), TaskType::Direct)).await;
    }
    let since = Instant::now();
    let _running = rig.run(100);
    eventually("all have ended", || rig.seen.endings().len() == 200).await;
    assert!(
        since.elapsed() < seconds(4),
        "two rounds of a second: {:?}",
        since.elapsed()
    );
}

/// As a store does that can claim something together with what is enqueued; nothing if no claim stands there.
async fn depart(rig: &Rig, item: &WorkItem) -> Option<DepartingClaim> {
    let departs = rig.faulty.standing.depart(&item.agent_id);
    rig.submit(item).await;
    departs
}

/// What a host enqueues itself it need not be woken for. It takes one, and only while it has nothing to do: the rest is for
/// the hosts that are woken.
#[tokio::test(start_paused = true)]
async fn an_idle_host_takes_one_of_what_it_enqueues_itself() {
    let rig = Rig::start().await;
    rig.guests.play(|_| pending());
    rig.faulty.set("wait_for_work", Fault::Hang);
    let _running = rig.run(4);
    eventually("it waits", || rig.faulty.calls("wait_for_work") == 1).await;
    let since = Instant::now();
    let items = ["a", "b", "c"].map(|name| item(name, TaskType::Direct));
    let claim = depart(&rig, &items[0]).await.expect("one stands");
    assert!(depart(&rig, &items[1]).await.is_none(), "one at a time");
    let claimed = rig.store.queue.claim(&claim.request).await;
    claim.tell(claimed);
    rig.reaches(&items[0], ItemState::Active).await;
    at_rest().await;
    assert!(depart(&rig, &items[2]).await.is_none(), "it has something to do");
    at_rest().await;
    assert_eq!(rig.faulty.calls("claim"), 1, "one that found nothing");
    assert!(since.elapsed() < seconds(1), "before it looks by itself");
    rig.reaches(&items[1], ItemState::Active).await;
    rig.reaches(&items[2], ItemState::Active).await;
}

/// The wake-up is for another item than the one that is claimed already.
#[tokio::test(start_paused = true)]
async fn a_wake_up_that_comes_while_a_claim_is_on_its_way_is_not_forgotten() {
    let rig = Rig::start().await;
    rig.guests.play(|_| pending());
    let _running = rig.run(4);
    eventually("it waits", || rig.faulty.calls("wait_for_work") == 1).await;
    let items = ["a", "b"].map(|name| item(name, TaskType::Direct));
    let claim = depart(&rig, &items[0]).await.expect("one stands");
    rig.submit(&items[1]).await;
    at_rest().await;
    assert_eq!(rig.record(&items[1]).await.state, ItemState::Queued);
    let since = Instant::now();
    let claimed = rig.store.queue.claim(&claim.request).await;
    claim.tell(claimed);
    for item in &items {
        rig.reaches(item, ItemState::Active).await;
    }
    assert!(since.elapsed() < seconds(1), "before it looks by itself");
}

/// What is enqueued may be nothing that can be claimed along with it: of another kind, or behind others.
#[tokio::test(start_paused = true)]
async fn a_claim_that_went_along_and_brought_nothing_is_followed_by_one_for_one() {
    let rig = Rig::start().await;
    rig.guests.play(|_| pending());
    rig.faulty.set("wait_for_work", Fault::Hang);
    let _running = rig.run(4);
    eventually("it waits", || rig.faulty.calls("wait_for_work") == 1).await;
    let items = ["a", "b"].map(|name| item(name, TaskType::Direct));
    let claim = depart(&rig, &items[0]).await.expect("one stands");
    rig.submit(&items[1]).await;
    claim.tell(Ok(Vec::new()));
    rig.reaches(&items[0], ItemState::Active).await;
    at_rest().await;
    assert_eq!(rig.record(&items[1]).await.state, ItemState::Queued);
}

/// Defect 11 and I9, for claims that go along with something else.
#[tokio::test(start_paused = true)]
async fn a_claim_that_went_along_and_whose_answer_is_lost_is_asked_for_again() {
    let rig = Rig::start().await;
    for given_up in [false, true] {
        let looks = rig.faulty.calls("wait_for_work");
        rig.faulty.set("wait_for_work", Fault::Hang);
        let _running = rig.run(4);
        eventually("it waits", || rig.faulty.calls("wait_for_work") == looks + 1).await;
        let item = item(&format!("a{given_up}"), TaskType::Direct);
        let claim = depart(&rig, &item).await.expect("one stands");
        rig.store.queue.claim(&claim.request).await.unwrap();
        if given_up {
            drop(claim);
        } else {
            claim.tell(Err(StoreError::no_answer(STORE_TIMEOUT)));
        }
        let since = Instant::now();
        rig.reaches(&item, ItemState::Done).await;
        assert!(since.elapsed() < seconds(1), "not after a lease");
    }
}

/// I9: what is claimed when the host has begun to stop is handed back, if it can't be run any more.
#[tokio::test(start_paused = true)]
async fn a_claim_that_is_on_its_way_at_shutdown_is_seen_through() {
    let rig = Rig::start().await;
    rig.faulty.set("wait_for_work", Fault::Hang);
    let running = rig.run(4);
    eventually("it waits", || rig.faulty.calls("wait_for_work") == 1).await;
    let item = item("a", TaskType::Direct);
    let claim = depart(&rig, &item).await.expect("one stands");
    rig.shutdown.cancel();
    at_rest().await;
    let claimed = rig.store.queue.claim(&claim.request).await;
    claim.tell(claimed);
    running.await.unwrap().unwrap();
    assert_eq!(rig.claims.give_all_back().await, 1);
    assert_eq!(rig.record(&item).await.state, ItemState::Queued);
}

/// A wake-up that goes to a host without a free slot is lost to those that have one.
#[tokio::test(start_paused = true)]
async fn a_host_without_a_free_slot_waits_for_no_work() {
    let rig = Rig::start().await;
    rig.guests.play(|_| async {
        time::sleep(seconds(60)).await;
        outcome(&[])
    });
    rig.faulty.set("wait_for_work", Fault::Hang);
    let _running = rig.run(1);
    eventually("it waits", || rig.faulty.calls("wait_for_work") == 1).await;
    let item = item("a", TaskType::Direct);
    let claim = depart(&rig, &item).await.expect("one stands");
    let claimed = rig.store.queue.claim(&claim.request).await;
    claim.tell(claimed);
    rig.reaches(&item, ItemState::Active).await;
    time::sleep(seconds(30)).await;
    assert_eq!(rig.faulty.calls("wait_for_work"), 1, "its only slot is taken");
    let looks = rig.faulty.calls("claim");
    rig.reaches(&item, ItemState::Done).await;
    eventually("it waits again", || rig.faulty.calls("wait_for_work") == 2).await;
    assert_eq!(
        rig.faulty.calls("claim"),
        looks + 1,
        "it looks first, as it has not for long"
    );
}
