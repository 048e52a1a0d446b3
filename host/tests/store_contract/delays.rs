//! Retries, cool-downs, intervals, and the dead.

use warren::{
    domain::{
        ending::{Ending, Reason},
        ids::ItemId,
        work_item::{ItemState, WorkItem},
    },
    ports::{
        agent_records::BreakerCommand,
        work_queue::{Completed, Enqueued, Requeued},
    },
};

use super::{harness::Harness, support::*};

pub async fn inbox_is_not_retried<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    for (n, reason) in Reason::ALL.into_iter().enumerate() {
        let item = inbox(&format!("a{n}"), 1);
        add_ready(&store, &item).await;
        let claimed = claim_item(&store, &item).await;
        assert_eq!(end(&store, &claimed, reason).await, Completed::Done, "{reason}");
        assert_eq!(record(&store, item.id).await.reason, Some(reason));
    }
}

pub async fn direct_is_retried_with_backoff<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let item = direct("a");
    add_ready(&store, &item).await;
    for failures in 0..3 {
        let claimed = claim_item(&store, &item).await;
        assert_eq!(claimed.item.attempt, failures + 1);
        let now = store.queue.health().await.unwrap().now;
        let answer = end(&store, &claimed, Reason::Deadline).await;
        let Completed::Retry { at, attempt } = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(attempt, failures + 2);
        assert!(
            at.since(now) <= policy().retry.ceiling(failures),
            "full jitter within the ceiling"
        );
        let kept = record(&store, item.id).await;
        assert_eq!(
            (kept.state, kept.due_at, kept.note.as_str()),
            (ItemState::Delayed, Some(at), "deadline")
        );
        harness.advance(policy().retry.ceiling(failures));
        sweep(&store).await;
    }
}

pub async fn permanent_is_dead_at_once<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let item = direct("a");
    add_ready(&store, &item).await;
    let claimed = claim_item(&store, &item).await;
    let ending = Ending {
        permanent: true,
        ..Ending::new(Reason::GuestError, "no such file")
    };
    let done = store.queue.complete(&completion(&claimed, ending)).await.unwrap();
    assert_eq!(done, Completed::Dead);
    let kept = record(&store, item.id).await;
    assert_eq!(
        (kept.state, kept.note.as_str()),
        (ItemState::Dead, "guest_error: no such file")
    );
}

pub async fn dead_after_the_last_attempt<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let item = direct("a");
    add_ready(&store, &item).await;
    store
        .agents
        .command_breaker(&agent("a"), BreakerCommand::Disable)
        .await
        .unwrap();
    for attempt in 1..=policy().max_attempts {
        let claimed = claim_item(&store, &item).await;
        assert_eq!(claimed.item.attempt, attempt);
        let answer = end(&store, &claimed, Reason::Trap).await;
        assert_eq!(
            answer == Completed::Dead,
            attempt == policy().max_attempts,
            "{attempt}: {answer:?}"
        );
        harness.advance(seconds(600));
        sweep(&store).await;
    }
    assert_eq!(state(&store, &item).await, ItemState::Dead);
    harness.advance(policy().keep_done * 2);
    sweep(&store).await;
    assert_eq!(
        state(&store, &item).await,
        ItemState::Dead,
        "kept until an operator acts"
    );
}

pub async fn faults_of_others_keep_the_attempt<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    for reason in [
        Reason::HostFault,
        Reason::PluginUnavailable,
        Reason::DeniedByBudget,
        Reason::Cancelled,
    ] {
        let item = direct(&format!("{reason}"));
        add_ready(&store, &item).await;
        for _ in 0..2 * policy().max_attempts {
            let claimed = claim_item(&store, &item).await;
            let answer = end(&store, &claimed, reason).await;
            assert!(
                matches!(answer, Completed::Retry { attempt: 1, .. }),
                "{reason}: {answer:?}"
            );
            let wait = due(&store, &item).await;
            assert!(
                seconds(1) <= wait && wait <= policy().cool_down.max,
                "{reason}: {wait:?}"
            );
            harness.advance(wait);
            sweep(&store).await;
        }
        let claimed = claim_item(&store, &item).await;
        end(&store, &claimed, Reason::Ok).await;
    }
    let item = direct("b");
    add_ready(&store, &item).await;
    let claimed = claim_item(&store, &item).await;
    let answer = end(&store, &claimed, Reason::Upstream).await;
    assert!(
        matches!(answer, Completed::Retry { attempt: 2, .. }),
        "an upstream failure uses an attempt: {answer:?}"
    );
}

pub async fn cool_down_doubles_and_resets<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let cooled = async |ending: Ending| {
        let item = inbox("a", 1);
        add_ready(&store, &item).await;
        let claimed = claim_item(&store, &item).await;
        store.queue.complete(&completion(&claimed, ending)).await.unwrap();
        let known = known(&store, "a").await;
        known.cool_until.map(|until| until.since(known.now))
    };
    let nothing = Ending {
        handled_nothing: true,
        ..Ending::new(Reason::Ok, "")
    };
    for expected in [5, 10, 20, 40, 80, 160, 300, 300] {
        assert_eq!(cooled(nothing.clone()).await, Some(seconds(expected)));
        harness.advance(seconds(expected));
    }
    assert_eq!(known(&store, "a").await.cool_downs, 8);
    assert_eq!(cooled(Ending::new(Reason::Ok, "")).await, None);
    assert_eq!(
        cooled(Ending::new(Reason::DeniedByBudget, "")).await,
        Some(seconds(5)),
        "from the start again"
    );
}

pub async fn cool_down_spares_direct_items<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let earlier = inbox("a", 1);
    add_ready(&store, &earlier).await;
    let claimed = claim_item(&store, &earlier).await;
    let queued = discovery("a");
    add(&store, &queued).await;
    end(&store, &claimed, Reason::Upstream).await;
    let cooling = inbox("a", 1);
    assert_eq!(add(&store, &cooling).await, Enqueued::Added(ItemState::Delayed));
    assert_eq!(due(&store, &cooling).await, seconds(5));
    claim_none(&store).await;
    assert_eq!(
        state(&store, &queued).await,
        ItemState::Delayed,
        "moved when a claim reached it"
    );
    run_direct(&store, "a", Reason::Ok).await;
    harness.advance(seconds(5));
    sweep(&store).await;
    claim_item(&store, &cooling).await;
}

pub async fn interval_is_kept<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let every_minute = |count| WorkItem {
        min_interval: seconds(60),
        ..inbox("a", count)
    };
    let first = every_minute(1);
    add_ready(&store, &first).await;
    let claimed = claim_item(&store, &first).await;
    // One that waits behind it, and one that comes later, both until a minute after the *start*.
    let waiting = every_minute(2);
    assert_eq!(add(&store, &waiting).await, Enqueued::Added(ItemState::Waiting));
    harness.advance(seconds(10));
    end(&store, &claimed, Reason::Ok).await;
    claim_none(&store).await;
    assert_eq!(
        (state(&store, &waiting).await, due(&store, &waiting).await),
        (ItemState::Delayed, seconds(50))
    );
    let later = WorkItem {
        min_interval: seconds(60),
        ..discovery("a")
    };
    assert_eq!(add(&store, &later).await, Enqueued::Added(ItemState::Delayed));
    harness.advance(seconds(50));
    assert_eq!(sweep(&store).await.promoted, 2);
    claim_item(&store, &waiting).await;
}

pub async fn interval_spares_direct_and_recovered_items<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let item = WorkItem {
        min_interval: seconds(3600),
        ..inbox("a", 1)
    };
    add_ready(&store, &item).await;
    claim_item(&store, &item).await;
    harness.advance(LEASE + seconds(1));
    sweep(&store).await;
    let claimed = claim_item(&store, &item).await;
    end(&store, &claimed, Reason::Ok).await;
    let submitted = WorkItem {
        min_interval: seconds(3600),
        ..direct("a")
    };
    add_ready(&store, &submitted).await;
    claim_item(&store, &submitted).await;
}

pub async fn waiting_items_never_get_stuck<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let active = direct("a");
    add_ready(&store, &active).await;
    let claimed = claim_item(&store, &active).await;
    // The best of those that wait turns out to cool down; the one behind it may run all the same.
    let (of_hub, submitted) = (inbox("a", 1), direct("a"));
    for item in [&of_hub, &submitted] {
        assert_eq!(add(&store, item).await, Enqueued::Added(ItemState::Waiting));
    }
    end(&store, &claimed, Reason::Upstream).await;
    let claimed = claim_item(&store, &submitted).await;
    assert_eq!(state(&store, &of_hub).await, ItemState::Delayed);
    end(&store, &claimed, Reason::Ok).await;
    harness.advance(seconds(600));
    sweep(&store).await;
    for _ in 0..2 {
        let claimed = claim_one(&store).await;
        end(&store, &claimed, Reason::Ok).await;
    }
    claim_none(&store).await;
    let stats = store.queue.stats().await.unwrap();
    assert_eq!((stats.waiting, stats.delayed, stats.done), (0, 0, 3));
}

pub async fn dead_items_are_requeued_and_purged<H: Harness>() {
    let mut once = policy();
    once.max_attempts = 1;
    let harness = H::fresh(once).await;
    let store = harness.store();
    let (again, purged, alive) = (direct("a"), direct("b"), direct("c"));
    for item in [&again, &purged] {
        add_ready(&store, item).await;
        let claimed = claim_item(&store, item).await;
        assert_eq!(end(&store, &claimed, Reason::Trap).await, Completed::Dead);
    }
    add_ready(&store, &alive).await;
    let all = [again.id, alive.id];
    let nowhere = ItemId::fresh();
    let all = [all[0], all[1], nowhere];
    let requeue = async || store.queue.requeue_dead(&all).await.unwrap();
    assert_eq!(requeue().await, [Requeued::Ready, Requeued::NotDead, Requeued::NotDead]);
    assert_eq!(requeue().await, [Requeued::NotDead; 3]);
    assert_eq!(
        store.queue.purge_dead(&[purged.id, alive.id, again.id]).await.unwrap(),
        1
    );
    assert_eq!(store.queue.item(purged.id).await.unwrap(), None);
    claim_item(&store, &alive).await;
    let claimed = claim_item(&store, &again).await;
    assert_eq!(claimed.item.attempt, 1);
    assert_eq!(record(&store, again.id).await.reason, None);
}
