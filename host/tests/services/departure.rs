//! A host that leaves cleanly: what it had claimed is ready for others at once, however its drain went.

use std::future::pending;

use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use warren::{
    domain::{
        ids::ClaimToken,
        work_item::{ItemState, TaskType},
    },
    ports::work_queue::ClaimRequest,
};

use super::{
    faults::{Fault, away},
    rig::{GRACE, ITEM, Rig, eventually, host, item, seconds},
    sandbox::outcome,
};

/// The drain is aborted in the middle: activations are dropped where they stand, and their items are given back.
#[tokio::test(start_paused = true)]
async fn what_an_aborted_drain_leaves_is_given_back() {
    let rig = Rig::start().await;
    rig.guests.play(|_| pending());
    let items = [item("a", TaskType::Direct), item("b", TaskType::Inbox)];
    for item in &items {
        rig.submit(item).await;
    }
    let running = rig.run(2);
    for item in &items {
        rig.reaches(item, ItemState::Active).await;
    }
    assert_eq!(rig.claims.in_flight(), 2);
    rig.shutdown.cancel();
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    eventually("the activations are gone", || rig.claims.in_flight() == 0).await;
    for item in &items {
        assert_eq!(rig.record(item).await.state, ItemState::Active);
    }
    assert_eq!(rig.claims.give_all_back().await, 2);
    for item in &items {
        let record = rig.record(item).await;
        assert_eq!((record.state, record.item.attempt), (ItemState::Queued, 1));
    }
    assert_eq!(rig.claims.give_all_back().await, 0, "once");
}

/// What is still being run when the host leaves is cut first: nothing is done in the name of a claim that was given back.
#[tokio::test(start_paused = true)]
async fn what_still_runs_is_cut_before_it_is_given_back() {
    let rig = Rig::start().await;
    rig.guests.play(|_| pending());
    let item = item("a", TaskType::Direct);
    rig.submit(&item).await;
    let _running = rig.run(1);
    rig.reaches(&item, ItemState::Active).await;
    rig.shutdown.cancel();
    assert_eq!(rig.claims.give_all_back().await, 1);
    assert_eq!(rig.record(&item).await.state, ItemState::Queued);
    eventually("the activation is cut", || rig.seen.endings().len() == 1).await;
    assert_eq!(rig.seen.endings()[0].as_str(), "lease_lost");
}

/// The store is away from the drain to the end: the leases have to do it, and nobody waits for them.
#[tokio::test(start_paused = true)]
async fn without_a_store_the_leases_give_back() {
    let rig = Rig::start().await;
    rig.guests.play(|_| pending());
    let item = item("a", TaskType::Direct);
    rig.submit(&item).await;
    let running = rig.run(1);
    rig.reaches(&item, ItemState::Active).await;
    rig.faulty.set("give_back", away());
    rig.shutdown.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(rig.record(&item).await.state, ItemState::Active);
    assert_eq!(rig.claims.give_all_back().await, 0, "the store is still away");
    assert_eq!(
        rig.record(&item).await.state,
        ItemState::Active,
        "its lease gives it back"
    );
}

/// The store was away when the runner handed back, and is there again when the host leaves.
#[tokio::test(start_paused = true)]
async fn a_give_back_that_failed_is_repeated_at_the_departure() {
    let rig = Rig::start().await;
    rig.guests.play(|_| pending());
    let item = item("a", TaskType::Direct);
    rig.submit(&item).await;
    let running = rig.run(1);
    rig.reaches(&item, ItemState::Active).await;
    rig.faulty.set("give_back", away());
    rig.shutdown.cancel();
    running.await.unwrap().unwrap();
    rig.faulty.heal();
    assert_eq!(rig.claims.give_all_back().await, 1);
    assert_eq!(rig.record(&item).await.state, ItemState::Queued);
}

/// The last claim call was applied, and neither it nor its repeat was answered: the departure asks once more.
#[tokio::test(start_paused = true)]
async fn what_an_unanswered_claim_took_is_given_back() {
    let rig = Rig::start().await;
    let item = item("a", TaskType::Direct);
    rig.submit(&item).await;
    rig.faulty.set("claim", Fault::LoseAnswer);
    let running = rig.run(1);
    rig.reaches(&item, ItemState::Active).await;
    rig.shutdown.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(rig.record(&item).await.state, ItemState::Active);
    rig.faulty.heal();
    assert_eq!(rig.claims.give_all_back().await, 1);
    assert_eq!(rig.record(&item).await.state, ItemState::Queued);
}

/// What has ended is not given back, and a process of the same name loses nothing.
#[tokio::test(start_paused = true)]
async fn ended_items_and_a_namesake_s_are_left_alone() {
    let rig = Rig::start().await;
    let (done, other) = (item("a", TaskType::Direct), item("b", TaskType::Direct));
    rig.submit(&other).await;
    let namesake = ClaimRequest {
        host: host("h1"),
        tokens: vec![ClaimToken::fresh()],
        lease: ITEM.length,
        avoid: Vec::new(),
    };
    assert_eq!(rig.store.queue.claim(&namesake).await.unwrap().len(), 1);
    rig.guests.play(|_| async { outcome(&[]) });
    rig.submit(&done).await;
    let running = rig.run(1);
    rig.reaches(&done, ItemState::Done).await;
    rig.shutdown.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(rig.claims.give_all_back().await, 0);
    assert_eq!(rig.faulty.calls("give_back"), 0, "nothing was left to ask for");
    assert_eq!(rig.record(&other).await.state, ItemState::Active);
}

/// A claim that nobody keeps any more is not renewed, and forgotten when it has run out.
#[tokio::test(start_paused = true)]
async fn a_dropped_claim_runs_out() {
    let rig = Rig::start().await;
    let item = item("a", TaskType::Direct);
    rig.submit(&item).await;
    let holding = rig.claims.hold(
        item.id,
        ClaimToken::fresh(),
        warren::ports::clock::Clock::now(&*rig.clock),
    );
    let claims = rig.claims.clone();
    tokio::spawn(async move { claims.keep(CancellationToken::new()).await });
    drop(holding);
    let since = Instant::now();
    time::sleep(GRACE + seconds(20)).await;
    assert!(since.elapsed() > ITEM.length);
    assert_eq!(rig.faulty.calls("renew"), 0);
    assert_eq!(rig.claims.give_all_back().await, 0);
    assert_eq!(rig.faulty.calls("give_back"), 0);
}
