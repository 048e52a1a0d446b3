//! Effects happen once, within the claim, and their record survives a bad moment of the store (I12).

use std::{
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time;
use warren::{
    domain::{
        hub::NewComment,
        work_item::{ItemState, TaskType},
    },
    ports::{
        guest::{GuestHost, Refusal},
        hub::HubError,
    },
};

use super::{
    faults::{Fault, away},
    hub::Answer,
    rig::{Rig, eventually, item, seconds},
    sandbox::outcome,
};

async fn comment(host: &dyn GuestHost, about: Option<&str>) -> Result<String, Refusal> {
    let comment = NewComment {
        post_id: "p".to_owned(),
        content: "hello".to_owned(),
    };
    let made = host.create_comment(comment, about.map(str::to_owned)).await;
    made.map(|comment| comment.id)
}

type Answers = Arc<Mutex<Vec<Result<String, Refusal>>>>;

/// A guest that comments so often on one notification, with what it was answered.
fn comments(rig: &Rig, times: usize) -> Answers {
    let answers = Answers::default();
    let kept = answers.clone();
    rig.guests.play(move |activation| {
        let kept = kept.clone();
        async move {
            for _ in 0..times {
                let answer = comment(&*activation.host, Some("n1")).await;
                kept.lock().unwrap().push(answer);
            }
            outcome(&[])
        }
    });
    answers
}

/// The reply is the first one's, whichever item asks again.
#[tokio::test(start_paused = true)]
async fn a_notification_is_answered_once() {
    let rig = Rig::start().await;
    let answers = comments(&rig, 1);
    let _running = rig.run(1);
    for _ in 0..3 {
        let item = item("a", TaskType::Direct);
        rig.submit(&item).await;
        rig.reaches(&item, ItemState::Done).await;
    }
    assert_eq!(rig.hub.comments.lock().unwrap().len(), 1);
    let c1 = || Ok("c1".to_owned());
    assert_eq!(*answers.lock().unwrap(), [c1(), c1(), c1()]);
}

/// A write of unknown outcome is not repeated towards a Hub that is not known to honour keys, and is towards one that is.
#[tokio::test(start_paused = true)]
async fn an_ambiguous_write_is_repeated_only_where_that_is_safe() {
    for honours in [false, true] {
        let rig = Rig::start().await;
        rig.hub.honours.store(honours, std::sync::atomic::Ordering::SeqCst);
        rig.hub.answer("create_comment", Answer::DoneButSilent);
        let answers = comments(&rig, 1);
        let _running = rig.run(1);
        let (first, second) = (item("a", TaskType::Direct), item("a", TaskType::Direct));
        rig.submit(&first).await;
        rig.reaches(&first, ItemState::Done).await;
        rig.hub.heal();
        rig.submit(&second).await;
        rig.reaches(&second, ItemState::Done).await;
        assert_eq!(rig.hub.comments.lock().unwrap().len(), 1, "honours: {honours}");
        let last = answers.lock().unwrap().last().cloned().unwrap();
        assert_eq!(last.is_ok(), honours, "{last:?}");
    }
}

/// What certainly did not happen is forgotten: the next try is a fresh one.
#[tokio::test(start_paused = true)]
async fn a_refused_write_may_be_tried_again() {
    let rig = Rig::start().await;
    let down = HubError::Unavailable("down".to_owned());
    rig.hub.answer("create_comment", Answer::Fail(down));
    let answers = comments(&rig, 1);
    let _running = rig.run(1);
    let (first, second) = (item("a", TaskType::Direct), item("a", TaskType::Direct));
    rig.submit(&first).await;
    rig.reaches(&first, ItemState::Done).await;
    rig.hub.heal();
    rig.submit(&second).await;
    rig.reaches(&second, ItemState::Done).await;
    assert!(answers.lock().unwrap()[0].is_err());
    assert_eq!(answers.lock().unwrap()[1], Ok("c1".to_owned()));
}

/// A store that is away for a second does not forget what happened: a repeat is answered, not asked of the Hub.
#[tokio::test(start_paused = true)]
async fn the_record_of_an_effect_outlasts_a_bad_moment() {
    let rig = Rig::start().await;
    rig.faulty.set("finish", away());
    let answers = comments(&rig, 1);
    let _running = rig.run(1);
    let (first, second) = (item("a", TaskType::Direct), item("a", TaskType::Direct));
    rig.submit(&first).await;
    eventually("it is written", || rig.hub.count("create_comment") == 1).await;
    time::sleep(seconds(1)).await;
    rig.faulty.heal();
    rig.reaches(&first, ItemState::Done).await;
    rig.submit(&second).await;
    rig.reaches(&second, ItemState::Done).await;
    assert_eq!(rig.hub.count("create_comment"), 1);
    assert_eq!(answers.lock().unwrap()[1], Ok("c1".to_owned()));
}

/// I12: the claim is lost between the intent and the write. Nothing is sent, and nothing stays behind that would look as
/// if it might have been.
#[tokio::test(start_paused = true)]
async fn a_claim_lost_before_the_write_stops_it_and_leaves_no_doubt() {
    let rig = Rig::start().await;
    let answers = comments(&rig, 1);
    let (first, second) = (item("a", TaskType::Direct), item("a", TaskType::Direct));
    rig.submit(&first).await;
    rig.faulty.set("begin", Fault::Slow(seconds(1)));
    let _running = rig.run(1);
    eventually("it begins", || rig.faulty.calls("begin") == 1).await;
    // Past the local deadline, within the store's.
    time::sleep(Duration::from_millis(500)).await;
    rig.clock.jump(seconds(26));
    eventually("the intent is taken back", || rig.faulty.calls("abandon") == 1).await;
    assert_eq!(rig.hub.count("create_comment"), 0);
    rig.faulty.heal();
    time::sleep(seconds(5)).await;
    rig.store.queue.sweep().await.unwrap();
    rig.submit(&second).await;
    rig.reaches(&second, ItemState::Done).await;
    assert_eq!(
        rig.hub.comments.lock().unwrap().len(),
        1,
        "the repeat was not taken for an unsure one"
    );
    assert!(
        answers
            .lock()
            .unwrap()
            .iter()
            .any(|answer| answer == &Ok("c1".to_owned()))
    );
}

/// I12: a guest that was cut asks for nothing more, though its host lives on.
#[tokio::test(start_paused = true)]
async fn a_guest_that_was_cut_has_no_effect() {
    let rig = Rig::start().await;
    let host: Arc<Mutex<Option<Arc<dyn GuestHost>>>> = Arc::default();
    let kept = host.clone();
    rig.guests.play(move |activation| {
        *kept.lock().unwrap() = Some(activation.host);
        pending()
    });
    let item = item("a", TaskType::Direct);
    rig.submit(&item).await;
    let running = rig.run(1);
    rig.reaches(&item, ItemState::Active).await;
    rig.shutdown.cancel();
    running.await.unwrap().unwrap();
    let host = host.lock().unwrap().take().unwrap();
    assert!(matches!(comment(&*host, None).await, Err(Refusal::ClaimLost(_))));
    assert!(matches!(
        host.state_set("k".to_owned(), vec![1]).await,
        Err(Refusal::ClaimLost(_))
    ));
    assert_eq!((rig.faulty.calls("begin"), rig.hub.count("create_comment")), (0, 0));
}

/// A guest's words end up in keys that the store keeps for weeks: their length is bounded before anything is recorded.
#[tokio::test(start_paused = true)]
async fn ids_of_any_length_do_not_reach_the_store() {
    let rig = Rig::start().await;
    let answers = Answers::default();
    let kept = answers.clone();
    rig.guests.play(move |activation| {
        let kept = kept.clone();
        async move {
            let answer = comment(&*activation.host, Some(&"n".repeat(1_000_000))).await;
            kept.lock().unwrap().push(answer);
            outcome(&[])
        }
    });
    let item = item("a", TaskType::Direct);
    rig.submit(&item).await;
    let _running = rig.run(1);
    rig.reaches(&item, ItemState::Done).await;
    assert!(matches!(&answers.lock().unwrap()[0], Err(Refusal::Invalid(words)) if words.contains("1024")));
    assert_eq!(rig.faulty.calls("begin"), 0);
}
