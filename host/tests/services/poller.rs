//! Polling: at once for news, at a bounded rate without, and never past the term.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use tokio::time::{self, Instant};
use warren::{
    domain::work_item::{ItemState, TaskType},
    ports::{hub::HubError, work_queue::ItemFilter},
    services::poller::{Poller, PollerConfig},
};

use super::{
    faults::{Fault, away},
    hub::Answer,
    rig::{FULL, Rig, eventually, item, seconds},
    sandbox::outcome,
};

fn poller(rig: &Rig, config: PollerConfig) -> Arc<Poller> {
    Arc::new(Poller {
        hub: rig.hub.clone(),
        intake: rig.intake(),
        telemetry: rig.seen.clone(),
        config,
        ended: rig.ended.clone(),
    })
}

async fn polling(config: PollerConfig) -> Rig {
    let rig = Rig::start().await;
    let _election = rig.lead(vec![poller(&rig, config)]);
    rig
}

async fn queued(rig: &Rig, agent: &str) -> bool {
    let filter = ItemFilter {
        limit: 1000,
        ..ItemFilter::default()
    };
    let items = rig.store.queue.items(&filter).await.unwrap();
    items.iter().any(|record| record.item.agent_name.as_str() == agent)
}

fn small_batches() -> PollerConfig {
    PollerConfig {
        batch_size: 10,
        ..PollerConfig::default()
    }
}

/// Defect 13, and "nobody spins": an agent that stays unread for an hour costs a bounded number of calls and one item.
#[tokio::test(start_paused = true)]
async fn an_agent_that_is_stuck_for_an_hour_costs_a_bounded_number_of_polls() {
    let rig = polling(PollerConfig::default()).await;
    rig.hub.set_unread(&[("stuck", 3)]);
    time::sleep(seconds(3600)).await;
    let polls = rig.hub.count("poll");
    assert!((600..=740).contains(&polls), "{polls} polls in an hour");
    assert_eq!(rig.hub.count("poll_plain"), 0);
    let stats = rig.store.queue.stats().await.unwrap();
    assert_eq!(
        stats.queued.values().sum::<u64>(),
        1,
        "one item, however often it was named"
    );
}

/// Activations that end do bring the next poll forward, but not one each.
#[tokio::test(start_paused = true)]
async fn a_storm_of_endings_is_no_storm_of_polls() {
    let rig = polling(PollerConfig::default()).await;
    rig.hub.set_unread(&[("stuck", 1)]);
    time::sleep(seconds(30)).await;
    let before = rig.hub.count("poll");
    for _ in 0..600 {
        rig.ended.notify_one();
        time::sleep(Duration::from_millis(100)).await;
    }
    let polls = rig.hub.count("poll") - before;
    assert!((30..=62).contains(&polls), "{polls} polls in a minute of endings");
}

/// After news the next poll comes at once, and an ending is followed within the floor.
#[tokio::test(start_paused = true)]
async fn news_are_polled_for_at_once() {
    let rig = polling(PollerConfig::default()).await;
    rig.hub.set_unread(&[("a", 1)]);
    time::sleep(seconds(60)).await;
    rig.hub.set_unread(&[("a", 1), ("b", 1)]);
    let since = Instant::now();
    rig.ended.notify_one();
    while !queued(&rig, "b").await {
        assert!(since.elapsed() < seconds(2), "an ending cuts the pause short");
        time::sleep(Duration::from_millis(50)).await;
    }
}

/// A Hub, or a proxy before it, that answers an empty long poll at once is not asked without pause.
#[tokio::test(start_paused = true)]
async fn an_empty_answer_that_does_not_block_is_paced() {
    let rig = polling(PollerConfig::default()).await;
    rig.hub.never_blocks.store(true, SeqCst);
    rig.hub.set_unread(&[]);
    time::sleep(seconds(600)).await;
    let polls = rig.hub.count("poll");
    assert!((100..=140).contains(&polls), "{polls} polls in ten minutes");
}

/// Empty answers that the Hub took its time for are followed by the next poll at once.
#[tokio::test(start_paused = true)]
async fn a_long_poll_that_blocked_is_repeated_at_once() {
    let rig = polling(PollerConfig::default()).await;
    time::sleep(seconds(300)).await;
    assert_eq!(
        rig.hub.count("poll"),
        11,
        "a first one of 1 s, which tells that the Hub is there, then one each 30 s"
    );
}

/// A full batch without news hides others: the whole list is looked at, at the same pace.
#[tokio::test(start_paused = true)]
async fn stuck_agents_do_not_hide_the_next_one() {
    let rig = polling(small_batches()).await;
    let names: Vec<String> = (0..11).map(|n| format!("agent-{n}")).collect();
    let unread: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    rig.hub.set_unread(&unread);
    let since = Instant::now();
    while !queued(&rig, "agent-10").await {
        assert!(since.elapsed() < seconds(5));
        time::sleep(Duration::from_millis(50)).await;
    }
    let before = rig.hub.count("poll_plain");
    time::sleep(seconds(600)).await;
    let plain = rig.hub.count("poll_plain") - before;
    assert!((50..=70).contains(&plain), "{plain} plain polls in ten minutes");
}

/// A plain poll that fails must not keep the long one from being made.
#[tokio::test(start_paused = true)]
async fn a_list_that_can_not_be_had_does_not_end_long_polling() {
    let rig = polling(small_batches()).await;
    let broken = HubError::Malformed("too large".to_owned());
    rig.hub.answer("poll_plain", Answer::Fail(broken));
    let names: Vec<String> = (0..10).map(|n| format!("agent-{n}")).collect();
    let unread: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    rig.hub.set_unread(&unread);
    eventually("the list was asked for", || rig.hub.count("poll_plain") > 0).await;
    let (polls, since) = (rig.hub.count("poll"), Instant::now());
    eventually("long polls go on", || rig.hub.count("poll") > polls + 2).await;
    assert!(since.elapsed() < seconds(60));
}

/// Defect 8: a Hub without a long poll is asked plainly, every 30 s, whatever ends meanwhile.
#[tokio::test(start_paused = true)]
async fn without_a_long_poll_the_plain_one_runs_every_30_s() {
    let rig = Rig::start().await;
    rig.hub
        .answer("poll", Answer::Fail(HubError::NotFound("404".to_owned())));
    rig.hub.set_unread(&[("a", 1)]);
    let _election = rig.lead(vec![poller(&rig, PollerConfig::default())]);
    eventually("the first plain poll", || rig.hub.count("poll_plain") == 1).await;
    for _ in 0..299 {
        rig.ended.notify_one();
        time::sleep(seconds(1)).await;
    }
    assert_eq!((rig.hub.count("poll"), rig.hub.count("poll_plain")), (1, 10));
    assert!(queued(&rig, "a").await);
}

/// A Hub that is down is asked with growing pauses, and polled as before once it is back.
#[tokio::test(start_paused = true)]
async fn failures_back_off_and_recovery_is_noticed() {
    let rig = polling(PollerConfig::default()).await;
    rig.hub
        .answer("poll", Answer::Fail(HubError::Unavailable("down".to_owned())));
    rig.hub.set_unread(&[("a", 1)]);
    time::sleep(seconds(900)).await;
    let polls = rig.hub.count("poll");
    assert!(
        (30..=70).contains(&polls),
        "{polls} polls in a quarter of an hour of failure"
    );
    rig.hub.heal();
    let since = Instant::now();
    while !queued(&rig, "a").await {
        assert!(since.elapsed() <= seconds(31));
        time::sleep(Duration::from_millis(100)).await;
    }
}

/// Backpressure: a store that does not answer is not asked without pause, and the Hub is left alone.
#[tokio::test(start_paused = true)]
async fn while_the_queue_can_not_be_asked_the_hub_is_not_polled() {
    let rig = Rig::start().await;
    rig.faulty.set("room", away());
    let _election = rig.lead(vec![poller(&rig, PollerConfig::default())]);
    eventually("it leads", || rig.seen.leads()).await;
    for _ in 0..300 {
        rig.ended.notify_one();
        time::sleep(Duration::from_millis(100)).await;
    }
    let asked = rig.faulty.calls("room");
    assert!((25..=32).contains(&asked), "asked {asked} times in 30 s");
    assert_eq!(rig.hub.count("poll"), 0);
}

/// Defect 3: an answer that comes after the deadline is enqueued by nobody, and the long poll is cut with the term.
#[tokio::test(start_paused = true)]
async fn a_poll_that_outlasts_the_term_enqueues_nothing() {
    let rig = polling(PollerConfig::default()).await;
    eventually("it polls", || rig.hub.count("poll") == 1).await;
    rig.faulty.set("acquire", Fault::Hang);
    rig.clock.jump(seconds(60));
    rig.hub.set_unread(&[("late", 1)]);
    eventually("it has stepped down", || !rig.seen.leads()).await;
    time::sleep(seconds(60)).await;
    assert_eq!(rig.faulty.calls("enqueue"), 0);
    assert_eq!(rig.hub.count("poll"), 1);
}

/// I1 and defect 3: a write that the store fences ends the term there and then, not at the next renewal.
#[tokio::test(start_paused = true)]
async fn a_fenced_enqueue_ends_the_term() {
    let rig = polling(PollerConfig::default()).await;
    eventually("it polls", || rig.hub.count("poll") == 1).await;
    let term = warren::domain::ids::Term(1);
    let fenced = warren::ports::store::StoreError::Fenced { term };
    rig.faulty.set("enqueue", Fault::Fail(fenced));
    rig.faulty.set("acquire", Fault::Hang);
    let since = Instant::now();
    rig.hub.set_unread(&[("a", 1)]);
    eventually("it has stepped down", || !rig.seen.leads()).await;
    assert!(since.elapsed() < Duration::from_millis(100), "{:?}", since.elapsed());
    assert_eq!(rig.faulty.calls("enqueue"), 1);
}

/// Defect 7: the long poll is cut at shutdown, not waited for.
#[tokio::test(start_paused = true)]
async fn shutdown_cuts_the_long_poll() {
    let rig = Rig::start().await;
    let (election, _standing) = rig.lead(vec![poller(&rig, PollerConfig::default())]);
    eventually("it polls", || rig.hub.count("poll") == 1).await;
    let since = Instant::now();
    rig.shutdown.cancel();
    election.await.unwrap().unwrap();
    assert!(since.elapsed() < Duration::from_millis(100));
}

/// Defect 10: who does not lead asks the Hub nothing.
#[tokio::test(start_paused = true)]
async fn a_follower_does_not_poll() {
    let rig = Rig::start().await;
    let _leader = rig.lead(Vec::new());
    eventually("somebody leads", || rig.seen.leads()).await;
    let (follower, _standing) = rig.election("h2", vec![poller(&rig, PollerConfig::default())]);
    let _follower = tokio::spawn(follower.run(rig.shutdown.clone()));
    time::sleep(seconds(120)).await;
    assert_eq!(rig.hub.sequence(), Vec::<&str>::new());
}

/// Backpressure: at the limit the leader stops polling, and starts again when there is room.
#[tokio::test(start_paused = true)]
async fn a_full_queue_stops_polling_until_there_is_room() {
    let rig = Rig::start().await;
    rig.guests.play(|_| async {
        time::sleep(seconds(2)).await;
        outcome(&[])
    });
    let all: Vec<_> = (0..FULL).map(|n| item(&format!("a{n}"), TaskType::Inbox)).collect();
    let first = all[0].clone();
    rig.store.queue.enqueue(None, all).await.unwrap();
    let _election = rig.lead(vec![poller(&rig, PollerConfig::default())]);
    rig.hub.set_unread(&[("new", 1)]);
    time::sleep(seconds(60)).await;
    assert_eq!(rig.hub.count("poll"), 0);
    let _running = rig.run(1);
    rig.reaches(&first, ItemState::Done).await;
    eventually("it polls again", || rig.hub.count("poll") > 0).await;
}
