//! Claims as leases: renewed, lost, handed back, completed — each of them once.

use std::time::Duration;

use warren::{
    domain::{
        ending::{Ending, Reason},
        ids::{ClaimToken, ItemId},
        work_item::ItemState,
    },
    ports::{
        store::StoreError,
        work_queue::{Completed, Completion, GiveBack, Renewal},
    },
};

use super::{harness::Harness, support::*};

pub async fn renewal_keeps_and_expiry_recovers<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let (kept, lost) = (direct("a"), direct("b"));
    for item in [&kept, &lost] {
        add_ready(&store, item).await;
    }
    let claims = claim(&store, 2).await;
    harness.advance(LEASE - seconds(1));
    assert_eq!(sweep(&store).await.recovered, []);
    assert!(renew(&store, &claims[0]).await);
    harness.advance(seconds(2));
    assert_eq!(sweep(&store).await.recovered, [(lost.id, agent("b"), host("h1"))]);
    assert_eq!(sweep(&store).await.recovered, [], "once");
    assert_eq!(
        (state(&store, &kept).await, state(&store, &lost).await),
        (ItemState::Active, ItemState::Queued)
    );
    assert!(!renew(&store, &claims[1]).await, "a lost claim can't be renewed");
    let again = claim_item(&store, &lost).await;
    assert_eq!(again.item.attempt, 1, "a lost lease keeps the attempt");
    assert!(!renew(&store, &claims[1]).await);
    assert!(renew(&store, &again).await);
}

pub async fn stale_tokens_are_refused<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let item = direct("a");
    add_ready(&store, &item).await;
    let old = claim_item(&store, &item).await;
    harness.advance(LEASE + seconds(1));
    sweep(&store).await;
    let refused = |result: Result<Completed, StoreError>| assert_eq!(result, Err(StoreError::StaleClaim));
    refused(try_end(&store, &old, Reason::Ok).await);
    let current = claim_item(&store, &item).await;
    refused(try_end(&store, &old, Reason::Ok).await);
    let returned = store.queue.give_back(item.id, old.token, GiveBack::Shutdown).await;
    assert_eq!(returned, Err(StoreError::StaleClaim));
    assert_eq!(state(&store, &item).await, ItemState::Active);
    for (id, token) in [(item.id, ClaimToken::fresh()), (ItemId::fresh(), current.token)] {
        let completion = Completion {
            item: id,
            token,
            ..completion(&current, Ending::new(Reason::Ok, ""))
        };
        refused(store.queue.complete(&completion).await);
    }
    end(&store, &current, Reason::Ok).await;
    refused(try_end(&store, &old, Reason::Ok).await);
}

pub async fn recovered_items_keep_their_place<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let (first, second) = (inbox("a", 2), direct("b"));
    for item in [&first, &second] {
        add_ready(&store, item).await;
    }
    claim_item(&store, &first).await;
    let waiting = inbox("a", 9);
    add(&store, &waiting).await;
    harness.advance(LEASE + seconds(1));
    sweep(&store).await;
    claim_item(&store, &first).await;
    claim_item(&store, &second).await;
    assert_eq!(state(&store, &waiting).await, ItemState::Waiting);
}

pub async fn shutdown_gives_back_to_the_head<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let mut first = inbox("a", 1);
    first.min_interval = seconds(60);
    let second = direct("b");
    for item in [&first, &second] {
        add_ready(&store, item).await;
    }
    let claimed = claim_item(&store, &first).await;
    store
        .queue
        .give_back(first.id, claimed.token, GiveBack::Shutdown)
        .await
        .unwrap();
    assert_eq!(state(&store, &first).await, ItemState::Queued);
    assert!(!renew(&store, &claimed).await);
    let again = claim_item(&store, &first).await;
    assert_eq!(again.item, first, "id, attempt and priority are kept");
    assert!(known(&store, "a").await.endings.is_empty(), "no activation counted");
}

pub async fn missing_plugin_delays<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let item = direct("a");
    add_ready(&store, &item).await;
    let claimed = claim_item(&store, &item).await;
    let why = GiveBack::PluginUnavailable {
        retry_after: seconds(30),
    };
    store.queue.give_back(item.id, claimed.token, why).await.unwrap();
    assert_eq!(
        (state(&store, &item).await, due(&store, &item).await),
        (ItemState::Delayed, seconds(30))
    );
    assert_eq!(known(&store, "a").await.last_started, None, "nothing was started");
    claim_none(&store).await;
    harness.advance(seconds(30));
    assert_eq!(sweep(&store).await.promoted, 1);
    assert_eq!(claim_item(&store, &item).await.item.attempt, 1);
}

/// Whoever has got the plugin need not wait for the end of the delay; what waits for another reason does.
pub async fn a_plugin_that_came_ends_the_delay<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let (left, failed, other) = (direct("a"), direct("b"), direct("c"));
    for item in [&left, &failed, &other] {
        add_ready(&store, item).await;
    }
    let claimed = claim_item(&store, &left).await;
    let why = GiveBack::PluginUnavailable {
        retry_after: seconds(30),
    };
    store.queue.give_back(left.id, claimed.token, why).await.unwrap();
    let claimed = claim_item(&store, &failed).await;
    let ended = completion(&claimed, Ending::new(Reason::GuestError, ""));
    store.queue.complete(&ended).await.unwrap();
    assert_eq!(state(&store, &failed).await, ItemState::Delayed);

    let asked = [left.id, failed.id, other.id, ItemId::fresh()];
    assert_eq!(store.queue.plugin_came(&asked).await.unwrap(), 1);
    assert_eq!(store.queue.plugin_came(&asked).await.unwrap(), 0, "a repeat");
    assert_eq!(
        (state(&store, &left).await, state(&store, &failed).await),
        (ItemState::Queued, ItemState::Delayed)
    );
    let again = claim_item(&store, &left).await;
    assert_eq!(
        (again.item, claim_item(&store, &other).await.item),
        (left, other),
        "in the old order"
    );
    assert_eq!(store.queue.plugin_came(&asked).await.unwrap(), 0, "it runs");
}

/// Two processes of one host name, as while a restart overlaps: one leaves and gives back what it has, claim by claim.
pub async fn a_namesake_keeps_its_claims<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    for n in 0..4 {
        add_ready(&store, &direct(&format!("a{n}"))).await;
    }
    let leaving = store.queue.claim(&request(&host("h1"), 2)).await.unwrap();
    let staying = store.queue.claim(&request(&host("h1"), 1)).await.unwrap();
    for claimed in &leaving {
        let given = store
            .queue
            .give_back(claimed.item.id, claimed.token, GiveBack::Shutdown);
        given.await.unwrap();
    }
    assert!(!renew(&store, &leaving[0]).await && !renew(&store, &leaving[1]).await);
    assert!(renew(&store, &staying[0]).await);
    assert_eq!(
        known(&store, "a0").await.breaker.lease_losses,
        0,
        "a clean departure is no lease loss"
    );
    let again = claim(&store, 2).await;
    assert_eq!(
        again.iter().map(|c| c.item.id).collect::<Vec<_>>(),
        [leaving[0].item.id, leaving[1].item.id]
    );
}

pub async fn completion_is_repeatable<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let item = direct("a");
    add_ready(&store, &item).await;
    let first = claim_item(&store, &item).await;
    let retry = end(&store, &first, Reason::Trap).await;
    assert!(matches!(retry, Completed::Retry { attempt: 2, .. }), "{retry:?}");
    assert_eq!(end(&store, &first, Reason::Trap).await, retry);
    harness.advance(seconds(600));
    sweep(&store).await;
    let second = claim_item(&store, &item).await;
    assert_eq!(
        end(&store, &first, Reason::Trap).await,
        retry,
        "also while the item is active again"
    );
    assert_eq!(end(&store, &second, Reason::Ok).await, Completed::Done);
    assert_eq!(end(&store, &second, Reason::Ok).await, Completed::Done);
    assert_eq!(end(&store, &first, Reason::Trap).await, retry);
    let known = known(&store, "a").await;
    assert_eq!(
        known.endings.into_iter().collect::<Vec<_>>(),
        [(Reason::Ok, 1), (Reason::Trap, 1)],
        "counted once each"
    );
}

pub async fn give_back_is_repeatable<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let item = direct("a");
    add_ready(&store, &item).await;
    let claimed = claim_item(&store, &item).await;
    for _ in 0..2 {
        store
            .queue
            .give_back(item.id, claimed.token, GiveBack::Shutdown)
            .await
            .unwrap();
    }
    claim_item(&store, &item).await;
    store
        .queue
        .give_back(item.id, claimed.token, GiveBack::Shutdown)
        .await
        .unwrap();
    assert_eq!(
        state(&store, &item).await,
        ItemState::Active,
        "the repeat touches nobody else's claim"
    );
    assert_eq!(try_end(&store, &claimed, Reason::Ok).await, Err(StoreError::StaleClaim));
}

pub async fn generation_is_kept<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let item = direct("a");
    add_ready(&store, &item).await;
    let claimed = claim_item(&store, &item).await;
    let renewal = Renewal {
        item: item.id,
        token: claimed.token,
        generation: Some("echo@1".to_owned()),
    };
    let unknown = Renewal {
        item: ItemId::fresh(),
        ..renewal.clone()
    };
    assert_eq!(
        store.queue.renew(&[renewal, unknown], LEASE).await.unwrap(),
        [true, false]
    );
    assert!(renew(&store, &claimed).await);
    assert_eq!(record(&store, item.id).await.generation.as_deref(), Some("echo@1"));
    let completion = Completion {
        generation: Some("echo@2".to_owned()),
        ..completion(&claimed, Ending::new(Reason::Ok, "said hello"))
    };
    store.queue.complete(&completion).await.unwrap();
    let kept = record(&store, item.id).await;
    assert_eq!(
        (kept.generation.as_deref(), kept.note.as_str()),
        (Some("echo@2"), "ok: said hello")
    );
}

pub async fn old_items_are_forgotten<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let item = direct("a");
    add_ready(&store, &item).await;
    let claimed = claim_item(&store, &item).await;
    end(&store, &claimed, Reason::Ok).await;
    harness.advance(policy().keep_done - seconds(1));
    sweep(&store).await;
    assert_eq!(end(&store, &claimed, Reason::Ok).await, Completed::Done);
    harness.advance(Duration::from_secs(2));
    assert!(sweep(&store).await.forgotten >= 1);
    assert_eq!(store.queue.item(item.id).await.unwrap(), None);
    assert_eq!(try_end(&store, &claimed, Reason::Ok).await, Err(StoreError::StaleClaim));
    assert_eq!(store.queue.stats().await.unwrap().done, 0);
}
