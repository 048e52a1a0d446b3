//! The breaker, checked at enqueue and at claim, changed by ends and operators (DESIGN §7).

use std::time::Duration;

use warren::{
    domain::{
        breaker::{BreakerState, Transition},
        ending::Reason,
        work_item::ItemState,
    },
    ports::{
        agent_records::BreakerCommand,
        store::{Store, StorePolicy},
        work_queue::{Completed, Enqueued},
    },
};

use super::{harness::Harness, support::*};

/// A policy whose direct items don't get in the way: they are dead at once.
fn no_retries() -> StorePolicy {
    StorePolicy {
        max_attempts: 1,
        ..policy()
    }
}

/// Fail until the breaker opens.
async fn open(store: &Store, name: &str) {
    for _ in 0..policy().breaker.threshold {
        assert_eq!(run_direct(store, name, Reason::Trap).await, Completed::Dead);
    }
}

async fn breaker(store: &Store, name: &str) -> BreakerState {
    let known = known(store, name).await;
    known.breaker.state(known.now)
}

async fn kinds(store: &Store) -> Vec<String> {
    let events = store.events.after(0, 100, Duration::ZERO).await.unwrap();
    events.into_iter().map(|event| event.kind).collect()
}

pub async fn opens_and_skips<H: Harness>() {
    let harness = H::fresh(no_retries()).await;
    let store = harness.store();
    open(&store, "a").await;
    assert!(matches!(breaker(&store, "a").await, BreakerState::Open { .. }));
    for item in [inbox("a", 1), discovery("a")] {
        let answer = add(&store, &item).await;
        assert!(
            matches!(&answer, Enqueued::Skipped { reason } if reason.contains("60 s")),
            "{answer:?}"
        );
        assert_eq!(store.queue.item(item.id).await.unwrap(), None);
    }
    add_ready(&store, &inbox("b", 1)).await;
    let events = store.events.after(0, 10, Duration::ZERO).await.unwrap();
    assert_eq!(
        (events[0].kind.as_str(), events[0].agent.clone()),
        ("breaker_opened", Some(agent("a")))
    );
    assert!(events[0].detail.contains("trap"), "{:?}", events[0]);
}

pub async fn direct_items_wait_for_it<H: Harness>() {
    let harness = H::fresh(no_retries()).await;
    let store = harness.store();
    open(&store, "a").await;
    let item = direct("a");
    assert_eq!(add(&store, &item).await, Enqueued::Added(ItemState::Delayed));
    assert_eq!(due(&store, &item).await, seconds(60));
    harness.advance(seconds(59));
    sweep(&store).await;
    claim_none(&store).await;
    harness.advance(seconds(1));
    sweep(&store).await;
    assert!(claim_item(&store, &item).await.probe);
}

pub async fn is_checked_at_claim<H: Harness>() {
    let harness = H::fresh(no_retries()).await;
    let store = harness.store();
    // All queued while it is closed; the last two are reached when it has opened.
    let failing: Vec<_> = (0..policy().breaker.threshold).map(|_| direct("a")).collect();
    let unreached = [direct("a"), inbox("a", 1)];
    for item in failing.iter().chain(&unreached) {
        add_ready(&store, item).await;
    }
    for item in &failing {
        let claimed = claim_item(&store, item).await;
        end(&store, &claimed, Reason::CpuLimit).await;
    }
    claim_none(&store).await;
    for item in &unreached {
        assert_eq!(
            (state(&store, item).await, due(&store, item).await),
            (ItemState::Delayed, seconds(60))
        );
    }
}

pub async fn gives_one_probe<H: Harness>() {
    let harness = H::fresh(no_retries()).await;
    let store = harness.store();
    open(&store, "a").await;
    harness.advance(seconds(60));
    assert!(matches!(breaker(&store, "a").await, BreakerState::HalfOpen { .. }));
    let (first, second) = (inbox("a", 1), direct("a"));
    for item in [&first, &second] {
        add_ready(&store, item).await;
    }
    let probe = claim_item(&store, &first).await;
    assert!(probe.probe);
    claim_none(&store).await;
    end(&store, &probe, Reason::Ok).await;
    assert_eq!(breaker(&store, "a").await, BreakerState::Closed);
    assert!(!claim_item(&store, &second).await.probe, "closed: no probe any more");
    assert_eq!(kinds(&store).await, ["breaker_opened", "breaker_closed"]);
}

pub async fn failed_probe_opens_longer<H: Harness>() {
    let harness = H::fresh(no_retries()).await;
    let store = harness.store();
    open(&store, "a").await;
    for expected in [120, 240, 480] {
        harness.advance(seconds(3600));
        run_direct(&store, "a", Reason::Trap).await;
        let known = known(&store, "a").await;
        assert_eq!(known.breaker.open_until.unwrap().since(known.now), seconds(expected));
    }
}

pub async fn uncounted_probe_frees_the_permit<H: Harness>() {
    let harness = H::fresh(no_retries()).await;
    let store = harness.store();
    open(&store, "a").await;
    harness.advance(seconds(60));
    let (probe, next) = (direct("a"), direct("a"));
    for item in [&probe, &next] {
        add_ready(&store, item).await;
    }
    let claimed = claim_item(&store, &probe).await;
    assert!(claimed.probe);
    end(&store, &claimed, Reason::Cancelled).await;
    claim_none(&store).await;
    assert_eq!(state(&store, &next).await, ItemState::Delayed);
    harness.advance(seconds(5));
    sweep(&store).await;
    assert!(claim_one(&store).await.probe, "the next may try after 5 s");
}

pub async fn faults_of_others_never_count<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    for reason in Reason::ALL.into_iter().filter(|reason| !reason.counted()) {
        for _ in 0..4 {
            let item = direct("a");
            add_ready(&store, &item).await;
            let claimed = claim_item(&store, &item).await;
            end(&store, &claimed, reason).await;
        }
    }
    assert_eq!(breaker(&store, "a").await, BreakerState::Closed);
    assert_eq!(known(&store, "a").await.breaker.failures, 0);
}

pub async fn lost_leases_make_a_host_killer<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let (of_hub, item) = (inbox("a", 1), direct("a"));
    for item in [&of_hub, &item] {
        add_ready(&store, item).await;
    }
    for _ in 0..3 {
        claim_item(&store, &of_hub).await;
        harness.advance(LEASE + seconds(1));
        sweep(&store).await;
    }
    assert!(matches!(breaker(&store, "a").await, BreakerState::Open { .. }));
    let kept = record(&store, of_hub.id).await;
    assert_eq!(
        (kept.state, kept.reason, kept.item.attempt),
        (ItemState::Delayed, Some(Reason::HostKiller), 1)
    );
    assert_eq!(due(&store, &of_hub).await, seconds(60));
    let known = known(&store, "a").await;
    assert_eq!(known.last_reason, Some(Reason::HostKiller));
    assert_eq!(
        known.endings.into_iter().collect::<Vec<_>>(),
        [(Reason::HostKiller, 1), (Reason::LeaseLost, 2)]
    );
    claim_none(&store).await;
    harness.advance(seconds(60));
    sweep(&store).await;
    assert!(claim_item(&store, &of_hub).await.probe, "at its old place");
}

pub async fn many_due_at_once_are_promoted_in_bounded_sweeps<H: Harness>() {
    let harness = H::fresh(no_retries()).await;
    let store = harness.store();
    open(&store, "a").await;
    // More than one sweep may do: whoever is next in line waits for one part of them at most.
    let many = 2000;
    let answers = store
        .queue
        .enqueue(None, (0..many).map(|_| direct("a")).collect())
        .await
        .unwrap();
    assert!(
        answers
            .iter()
            .all(|answer| *answer == Enqueued::Added(ItemState::Delayed))
    );
    harness.advance(seconds(60));
    let first = store.queue.sweep().await.unwrap();
    assert!(first.more && first.promoted < many, "{first:?}");
    assert_eq!(first.promoted + sweep(&store).await.promoted, many);
    assert!(claim_one(&store).await.probe);
    claim_none(&store).await;
}

pub async fn operators_force_and_reset<H: Harness>() {
    let harness = H::fresh(no_retries()).await;
    let store = harness.store();
    let command = async |command| store.agents.command_breaker(&agent("a"), command).await.unwrap();
    assert_eq!(command(BreakerCommand::Reset).await, None, "there is no such agent yet");
    let queued = inbox("a", 1);
    add_ready(&store, &queued).await;
    assert_eq!(command(BreakerCommand::ForceOpen).await, Some(Transition::ForcedOpen));
    assert_eq!(state(&store, &queued).await, ItemState::Held);
    assert!(matches!(add(&store, &discovery("a")).await, Enqueued::Skipped { .. }));
    let submitted = direct("a");
    assert_eq!(add(&store, &submitted).await, Enqueued::Added(ItemState::Held));
    harness.advance(seconds(1_000_000));
    sweep(&store).await;
    claim_none(&store).await;
    assert_eq!(command(BreakerCommand::Reset).await, Some(Transition::Reset));
    let claimed = claim_item(&store, &queued).await;
    end(&store, &claimed, Reason::Ok).await;
    let claimed = claim_item(&store, &submitted).await;
    end(&store, &claimed, Reason::Ok).await;

    open(&store, "a").await;
    let (delayed, retried) = (direct("a"), direct("a"));
    assert_eq!(add(&store, &delayed).await, Enqueued::Added(ItemState::Delayed));
    command(BreakerCommand::Reset).await;
    claim_item(&store, &delayed).await;
    add(&store, &retried).await;
    assert_eq!(state(&store, &retried).await, ItemState::Waiting);
    assert_eq!(
        kinds(&store).await,
        [
            "breaker_forced_open",
            "breaker_reset",
            "breaker_opened",
            "breaker_reset"
        ]
    );
}

pub async fn disabled_never_opens<H: Harness>() {
    let harness = H::fresh(no_retries()).await;
    let store = harness.store();
    open(&store, "a").await;
    store
        .agents
        .command_breaker(&agent("a"), BreakerCommand::Disable)
        .await
        .unwrap();
    for _ in 0..3 {
        open(&store, "a").await;
    }
    assert_eq!(breaker(&store, "a").await, BreakerState::Disabled);
    assert_eq!(store.queue.stats().await.unwrap().agents_in_backoff, 0);
}

pub async fn lists_backoff<H: Harness>() {
    let harness = H::fresh(no_retries()).await;
    let store = harness.store();
    add_ready(&store, &direct("forced")).await;
    store
        .agents
        .command_breaker(&agent("forced"), BreakerCommand::ForceOpen)
        .await
        .unwrap();
    for name in ["late", "soon"] {
        open(&store, name).await;
    }
    harness.advance(seconds(60));
    run_direct(&store, "late", Reason::Trap).await;
    run_direct(&store, "closed", Reason::Ok).await;
    let names = |records: Vec<warren::ports::agent_records::BreakerRecord>| {
        records.into_iter().map(|r| r.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        names(store.agents.in_backoff(10).await.unwrap()),
        ["soon", "late", "forced"]
    );
    assert_eq!(names(store.agents.in_backoff(1).await.unwrap()), ["soon"]);
    assert_eq!(store.queue.stats().await.unwrap().agents_in_backoff, 3);
}
