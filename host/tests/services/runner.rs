//! One activation, from its claim to its end: in order, once, and with the right one to blame (I4, I8, I9, I12).

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::time::{self, Instant};
use warren::{
    domain::{
        ending::Reason,
        work_item::{ItemState, TaskType},
    },
    ports::{
        hub::HubError,
        sandbox::{FailureKind, Verdict},
    },
};

use super::{
    faults::{Fault, away},
    hub::Answer,
    rig::{ITEM, Rig, eventually, item, seconds},
    sandbox::outcome,
};

/// Every start is followed by one end: the gauge of running activations goes back to nothing.
fn told_once(rig: &Rig) -> bool {
    *rig.seen.started.lock().unwrap() == rig.seen.endings().len()
}

fn down() -> Answer {
    Answer::Fail(HubError::Unavailable("down".to_owned()))
}

/// Defects 15 and 25: marked read and reported after success, in this order, before the item is done.
#[tokio::test(start_paused = true)]
async fn success_is_told_in_order() {
    let rig = Rig::start().await;
    rig.guests.play(|activation| async move {
        activation.host.inbox().await.unwrap();
        outcome(&["n1", "never-handed"])
    });
    let item = item("a", TaskType::Inbox);
    rig.submit(&item).await;
    rig.hub.answer("activated", Answer::Hang);
    let _running = rig.run(1);
    eventually("activated is reported", || rig.hub.count("activated") == 1).await;
    assert_eq!(rig.record(&item).await.state, ItemState::Active, "completed last");
    assert_eq!(
        rig.hub.sequence(),
        ["budget", "notifications", "mark_read", "activated"]
    );
    assert_eq!(*rig.hub.read.lock().unwrap(), ["n1"], "only what was handed over");
}

/// Defect 25: after a failure nothing is marked read; `activated` is reported all the same (defect 15).
#[tokio::test(start_paused = true)]
async fn a_failure_marks_nothing_read() {
    let rig = Rig::start().await;
    rig.guests.play(|activation| async move {
        activation.host.inbox().await.unwrap();
        Verdict::Failure {
            kind: FailureKind::Transient,
            message: "no".to_owned(),
        }
    });
    let item = item("a", TaskType::Inbox);
    rig.submit(&item).await;
    let _running = rig.run(1);
    let record = rig.reaches(&item, ItemState::Done).await;
    assert_eq!(
        record.reason,
        Some(Reason::GuestError),
        "defect 24: not reported as success"
    );
    assert_eq!((rig.hub.count("mark_read"), rig.hub.count("activated")), (0, 1));
}

/// Defect 23: what the Hub does not take is the Hub's fault.
#[tokio::test(start_paused = true)]
async fn a_hub_that_does_not_take_the_read_marks_is_upstream() {
    let rig = Rig::start().await;
    rig.guests.play(|activation| async move {
        activation.host.inbox().await.unwrap();
        outcome(&["n1"])
    });
    rig.hub.answer("mark_read", down());
    let item = item("a", TaskType::Inbox);
    rig.submit(&item).await;
    let _running = rig.run(1);
    let record = rig.reaches(&item, ItemState::Done).await;
    assert_eq!(record.reason, Some(Reason::Upstream));
}

/// Defect 23: a budget that is used up or can't be asked for counts against nobody; the one denies, the other doesn't.
#[tokio::test(start_paused = true)]
async fn budgets_deny_but_their_absence_does_not() {
    let rig = Rig::start().await;
    rig.hub.answer("budget", Answer::DoneButSilent);
    let (denied, allowed) = (item("a", TaskType::Inbox), item("b", TaskType::Inbox));
    rig.submit(&denied).await;
    let _running = rig.run(1);
    let record = rig.reaches(&denied, ItemState::Done).await;
    assert_eq!(record.reason, Some(Reason::DeniedByBudget));
    assert_eq!(rig.hub.count("activated"), 0, "it never started");
    rig.hub.answer("budget", down());
    rig.submit(&allowed).await;
    let record = rig.reaches(&allowed, ItemState::Done).await;
    assert_eq!(record.reason, Some(Reason::Ok));
}

/// Defect 26: a panic of an activation is told as its end, takes the process down, and costs the others nothing.
#[tokio::test(start_paused = true)]
async fn a_panic_is_counted_once_and_the_others_are_handed_back() {
    let rig = Rig::start().await;
    rig.guests.play(|activation| async move {
        if activation.item.agent_name.as_str() == "bad" {
            time::sleep(seconds(1)).await;
            panic!("on purpose");
        }
        pending().await
    });
    let (good, bad) = (item("good", TaskType::Direct), item("bad", TaskType::Direct));
    rig.submit(&good).await;
    rig.submit(&bad).await;
    let since = Instant::now();
    let error = rig.run(2).await.unwrap().unwrap_err().to_string();
    assert!(error.contains("panicked"), "{error}");
    assert!(
        since.elapsed() < seconds(5),
        "not after the grace period: {:?}",
        since.elapsed()
    );
    assert!(told_once(&rig), "{:?}", rig.seen.endings());
    assert!(rig.seen.endings().contains(&Reason::HostFault));
    assert_eq!(
        rig.record(&good).await.state,
        ItemState::Queued,
        "at once, not after a lease"
    );
}

/// I12: a lost claim cuts the activation; the end is told once and nothing is written for it.
#[tokio::test(start_paused = true)]
async fn a_lost_claim_cuts_the_activation() {
    let rig = Rig::start().await;
    rig.guests.play(|_| pending());
    let item = item("a", TaskType::Direct);
    rig.submit(&item).await;
    let _running = rig.run(1);
    rig.reaches(&item, ItemState::Active).await;
    rig.faulty.set("renew", away());
    rig.faulty.set("claim", away());
    eventually("it is cut", || rig.seen.endings() == [Reason::LeaseLost]).await;
    assert_eq!((rig.faulty.calls("complete"), rig.hub.count("activated")), (0, 0));
}

/// Defect 14 and I9: the answer to the completion is lost, again and again; it is told once.
#[tokio::test(start_paused = true)]
async fn a_completion_whose_answer_is_lost_is_repeated() {
    let rig = Rig::start().await;
    rig.faulty.set("complete", Fault::LoseAnswer);
    let item = item("a", TaskType::Direct);
    rig.submit(&item).await;
    let _running = rig.run(1);
    eventually("it is repeated", || rig.faulty.calls("complete") >= 3).await;
    rig.faulty.heal();
    let next = super::rig::item("a", TaskType::Direct);
    rig.submit(&next).await;
    rig.reaches(&next, ItemState::Done).await;
    let agent = rig.store.agents.agent("id-a").await.unwrap().unwrap();
    assert_eq!(agent.endings[&Reason::Ok], 2, "each counted once");
}

/// While the store does not take an end, the slot is used by the next; but no more is claimed than could be lost. The wait
/// lasts as long as the claim and no longer: its place is needed.
#[tokio::test(start_paused = true)]
async fn a_completion_that_hangs_keeps_no_slot_and_its_place_no_longer_than_the_claim() {
    let rig = Rig::start().await;
    rig.faulty.set("complete", Fault::Hang);
    let _running = rig.run(1);
    rig.submit(&item("a", TaskType::Direct)).await;
    eventually("it tries to complete", || rig.faulty.calls("complete") == 1).await;
    rig.faulty.set("renew", away());
    let since = Instant::now();
    rig.submit(&item("b", TaskType::Direct)).await;
    eventually("the slot is used again", || *rig.seen.started.lock().unwrap() == 2).await;
    assert!(since.elapsed() < ITEM.length / 2, "{:?}", since.elapsed());
    rig.submit(&item("c", TaskType::Direct)).await;
    eventually("a place is free again", || *rig.seen.started.lock().unwrap() == 3).await;
    assert!(since.elapsed() > ITEM.length / 2, "{:?}", since.elapsed());
    assert!(since.elapsed() <= ITEM.length + seconds(3), "{:?}", since.elapsed());
    assert!(rig.faulty.calls("complete") > 5, "it did not give up before");
}

/// Definitions and plugins that are gone: the item is left to others for 30 s, kept, and counted as such.
#[tokio::test(start_paused = true)]
async fn items_of_a_vanished_definition_are_left_to_others() {
    let rig = Rig::start().await;
    rig.defined.gone.lock().unwrap().push("a".to_owned());
    let item = item("a", TaskType::Direct);
    rig.submit(&item).await;
    let _running = rig.run(1);
    let record = rig.reaches(&item, ItemState::Delayed).await;
    assert_eq!(record.item.attempt, 1);
    eventually("it is told", || rig.seen.endings() == [Reason::PluginUnavailable]).await;
    assert!(told_once(&rig));
    time::sleep(seconds(20)).await;
    assert_eq!(rig.faulty.calls("give_back"), 1, "not again and again");
    rig.defined.gone.lock().unwrap().clear();
    let (store, swept) = (rig.store.clone(), Instant::now());
    while rig.record(&item).await.state != ItemState::Done {
        store.queue.sweep().await.unwrap();
        time::sleep(seconds(1)).await;
        assert!(swept.elapsed() < seconds(30));
    }
}

/// What was missing has come: what waited for it need not wait for the end of its delay, nor need what comes next.
#[tokio::test(start_paused = true)]
async fn items_come_back_with_what_they_waited_for() {
    let rig = Rig::start().await;
    rig.defined
        .gone
        .lock()
        .unwrap()
        .extend(["a".to_owned(), "b".to_owned()]);
    let (first, other) = (item("a", TaskType::Direct), item("b", TaskType::Direct));
    rig.submit(&first).await;
    rig.submit(&other).await;
    let _running = rig.run(1);
    rig.reaches(&first, ItemState::Delayed).await;
    rig.reaches(&other, ItemState::Delayed).await;
    // The store is away for a moment, just then.
    rig.faulty.set("plugin_came", away());
    rig.defined.gone.lock().unwrap().retain(|name| name == "b");
    rig.plugins.reloads.changed();
    let since = Instant::now();
    time::sleep(Duration::from_millis(100)).await;
    rig.faulty.heal();
    assert_eq!(rig.reaches(&first, ItemState::Done).await.item.attempt, 1);
    let next = item("a", TaskType::Direct);
    rig.submit(&next).await;
    rig.reaches(&next, ItemState::Done).await;
    assert!(since.elapsed() < seconds(5), "{:?}", since.elapsed());
    assert_eq!(
        rig.record(&other).await.state,
        ItemState::Delayed,
        "nothing has come for it"
    );
}

/// Defect 17: SIGTERM lets what runs end within the grace period.
#[tokio::test(start_paused = true)]
async fn shutdown_lets_running_activations_end() {
    let rig = Rig::start().await;
    rig.guests.play(|_| async {
        time::sleep(seconds(10)).await;
        outcome(&[])
    });
    let item = item("a", TaskType::Direct);
    rig.submit(&item).await;
    let running = rig.run(1);
    rig.reaches(&item, ItemState::Active).await;
    rig.shutdown.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(rig.record(&item).await.state, ItemState::Done);
}

/// Defect 17: what is left at its end goes back with id and attempt, ready at once.
#[tokio::test(start_paused = true)]
async fn the_rest_is_handed_back_at_the_end_of_the_grace_period() {
    let rig = Rig::start().await;
    rig.guests.play(|_| pending());
    let item = item("a", TaskType::Direct);
    rig.submit(&item).await;
    let running = rig.run(1);
    rig.reaches(&item, ItemState::Active).await;
    rig.shutdown.cancel();
    let since = Instant::now();
    running.await.unwrap().unwrap();
    assert_eq!(since.elapsed().as_secs(), 20);
    let record = rig.record(&item).await;
    assert_eq!((record.state, record.item.attempt), (ItemState::Queued, 1));
    assert_eq!(rig.seen.endings(), [Reason::Cancelled]);
}

/// A Hub that hangs after the guest has ended does not hold the host past its grace period.
#[tokio::test(start_paused = true)]
async fn a_hub_that_hangs_at_the_end_does_not_outlast_the_grace_period() {
    for call in ["mark_read", "activated"] {
        let rig = Rig::start().await;
        rig.guests.play(|activation| async move {
            activation.host.inbox().await.unwrap();
            outcome(&["n1"])
        });
        rig.hub.answer(call, Answer::Hang);
        let item = item("a", TaskType::Inbox);
        rig.submit(&item).await;
        let running = rig.run(1);
        eventually("it hangs", || rig.hub.count(call) == 1).await;
        rig.shutdown.cancel();
        let since = Instant::now();
        running.await.unwrap().unwrap();
        assert!(since.elapsed() < seconds(22), "{call}: {:?}", since.elapsed());
        let expected = if call == "mark_read" {
            ItemState::Queued
        } else {
            ItemState::Done
        };
        assert_eq!(rig.record(&item).await.state, expected, "{call}");
    }
}

/// One at a time per agent, however many slots are free (I4).
#[tokio::test(start_paused = true)]
async fn one_activation_per_agent_at_a_time() {
    let rig = Rig::start().await;
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, seen) = (now.clone(), most.clone());
    rig.guests.play(move |_| {
        let (now, most) = (counted.clone(), seen.clone());
        async move {
            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            time::sleep(Duration::from_millis(500)).await;
            now.fetch_sub(1, SeqCst);
            outcome(&[])
        }
    });
    for _ in 0..5 {
        rig.submit(&item("a", TaskType::Direct)).await;
    }
    let _running = rig.run(4);
    eventually("all have ended", || rig.seen.endings().len() == 5).await;
    assert_eq!(most.load(SeqCst), 1);
}
