//! Effects happen once and are counted once.

use warren::{
    domain::{
        agent::BehaviorLimits,
        effect::{EffectKey, EffectKeys, EffectKind},
        ending::Reason,
    },
    ports::{
        effects::{EffectIntent, EffectStart},
        store::{Store, StoreError},
        work_queue::Claimed,
    },
};

use super::{harness::Harness, support::*};

async fn active(store: &Store, name: &str) -> Claimed {
    let item = direct(name);
    add(store, &item).await;
    claim_item(store, &item).await
}

fn key(claimed: &Claimed, about: &str) -> EffectKey {
    let (agent, item) = (&claimed.item.agent_id, claimed.item.id);
    EffectKeys::default().next(agent, item, EffectKind::Comment, "p", Some(about))
}

pub fn comment(claimed: &Claimed, about: &str) -> EffectIntent {
    EffectIntent {
        key: key(claimed, about),
        kind: EffectKind::Comment,
        item: claimed.item.id,
        token: claimed.token,
        agent: claimed.item.agent_id.clone(),
        thread: Some("p".to_owned()),
        limits: BehaviorLimits::default(),
    }
}

fn done(result: &str) -> EffectStart {
    EffectStart::Done {
        result: result.to_owned(),
    }
}

async fn begin(store: &Store, intent: &EffectIntent) -> EffectStart {
    store.effects.begin(intent).await.unwrap()
}

/// One effect of a claim happens, another one is abandoned.
pub async fn one_comes_and_goes(store: &Store, claimed: &Claimed) {
    let (kept, dropped) = (comment(claimed, "n1"), comment(claimed, "n2"));
    assert_eq!(begin(store, &kept).await, EffectStart::Fresh);
    store.effects.finish(&kept.key, "c1").await.unwrap();
    assert_eq!(begin(store, &kept).await, done("c1"));
    assert_eq!(begin(store, &dropped).await, EffectStart::Fresh);
    store.effects.abandon(&dropped).await.unwrap();
}

pub async fn happen_once<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let claimed = active(&store, "a").await;
    let intent = comment(&claimed, "n1");
    assert_eq!(begin(&store, &intent).await, EffectStart::Fresh);
    assert_eq!(
        begin(&store, &intent).await,
        EffectStart::Fresh,
        "the repeat of a call gets its first answer"
    );
    store.effects.finish(&intent.key, "c1").await.unwrap();
    store.effects.finish(&intent.key, "c2").await.unwrap();
    assert_eq!(begin(&store, &intent).await, done("c1"), "the first result");
    end(&store, &claimed, Reason::Upstream).await;
    let other = active(&store, "a").await;
    assert_eq!(
        begin(&store, &comment(&other, "n1")).await,
        done("c1"),
        "also for another item"
    );
    assert_eq!(begin(&store, &comment(&other, "n2")).await, EffectStart::Fresh);
}

pub async fn unknown_when_begun_by_another_claim<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let item = direct("a");
    add(&store, &item).await;
    let first = claim_item(&store, &item).await;
    let intent = comment(&first, "n1");
    assert_eq!(begin(&store, &intent).await, EffectStart::Fresh);
    harness.advance(LEASE + seconds(1));
    sweep(&store).await;
    let second = claim_item(&store, &item).await;
    assert_eq!(begin(&store, &comment(&second, "n1")).await, EffectStart::Unknown);
    assert_eq!(known(&store, "a").await.comments_today, 1, "counted once");
    // It did happen: accepted although the claim is lost.
    store.effects.finish(&intent.key, "c1").await.unwrap();
    assert_eq!(begin(&store, &comment(&second, "n1")).await, done("c1"));
}

pub async fn counted_once_per_day<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let claimed = active(&store, "a").await;
    let post = |n: u32| EffectIntent {
        kind: EffectKind::Post,
        thread: None,
        limits: BehaviorLimits {
            max_daily_posts: 2,
            ..BehaviorLimits::default()
        },
        ..comment(&claimed, &format!("n{n}"))
    };
    assert_eq!(begin(&store, &post(1)).await, EffectStart::Fresh);
    assert_eq!(begin(&store, &post(1)).await, EffectStart::Fresh);
    assert_eq!(begin(&store, &post(2)).await, EffectStart::Fresh);
    let over = begin(&store, &post(3)).await;
    assert!(
        matches!(&over, EffectStart::LimitReached { limit } if limit.contains("max_daily_posts") && limit.contains('2')),
        "{over:?}"
    );
    assert_eq!(
        begin(&store, &comment(&claimed, "n4")).await,
        EffectStart::Fresh,
        "comments have a count of their own"
    );
    let known_agent = known(&store, "a").await;
    assert_eq!((known_agent.posts_today, known_agent.comments_today), (2, 1));
    harness.advance(seconds(86_400));
    assert_eq!(begin(&store, &post(3)).await, EffectStart::Fresh, "a new UTC day");
    assert_eq!(known(&store, "a").await.posts_today, 1);
}

pub async fn per_thread<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let claimed = active(&store, "a").await;
    let other = active(&store, "b").await;
    for n in 0..3 {
        assert_eq!(
            begin(&store, &comment(&claimed, &format!("n{n}"))).await,
            EffectStart::Fresh
        );
    }
    harness.advance(seconds(86_400));
    let over = begin(&store, &comment(&claimed, "n9")).await;
    assert!(
        matches!(&over, EffectStart::LimitReached { limit } if limit.contains("max_responses_per_thread")),
        "{over:?}"
    );
    let elsewhere = EffectIntent {
        thread: Some("q".to_owned()),
        ..comment(&claimed, "n9")
    };
    assert_eq!(begin(&store, &elsewhere).await, EffectStart::Fresh);
    assert_eq!(
        begin(&store, &comment(&other, "n1")).await,
        EffectStart::Fresh,
        "of another agent"
    );
}

pub async fn abandoned_gives_the_count_back<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let claimed = active(&store, "a").await;
    let only_one = |about: &str| EffectIntent {
        limits: BehaviorLimits {
            max_daily_comments: 1,
            ..BehaviorLimits::default()
        },
        ..comment(&claimed, about)
    };
    assert_eq!(begin(&store, &only_one("n1")).await, EffectStart::Fresh);
    assert!(matches!(
        begin(&store, &only_one("n2")).await,
        EffectStart::LimitReached { .. }
    ));
    for _ in 0..2 {
        store.effects.abandon(&only_one("n1")).await.unwrap();
    }
    assert_eq!(begin(&store, &only_one("n2")).await, EffectStart::Fresh);
    store.effects.finish(&only_one("n2").key, "c").await.unwrap();
    store.effects.abandon(&only_one("n2")).await.unwrap();
    assert_eq!(
        begin(&store, &only_one("n2")).await,
        done("c"),
        "what happened can't be abandoned"
    );
}

pub async fn stale_claims_begin_nothing<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let claimed = active(&store, "a").await;
    let begun = comment(&claimed, "n0");
    assert_eq!(begin(&store, &begun).await, EffectStart::Fresh);
    let of_other = EffectIntent {
        agent: agent("b"),
        ..comment(&claimed, "n1")
    };
    assert_eq!(store.effects.begin(&of_other).await, Err(StoreError::StaleClaim));
    end(&store, &claimed, Reason::Ok).await;
    assert_eq!(
        store.effects.begin(&comment(&claimed, "n1")).await,
        Err(StoreError::StaleClaim)
    );
    assert_eq!(store.effects.begin(&begun).await, Err(StoreError::StaleClaim));
    assert_eq!(store.effects.abandon(&begun).await, Err(StoreError::StaleClaim));
    assert_eq!(known(&store, "a").await.comments_today, 1);
}

pub async fn who_honours_keys_is_remembered<H: Harness>() {
    let mut harness = H::fresh(policy()).await;
    let (ours, other) = ("http://hub", "http://other");
    let store = harness.store();
    assert!(
        !store.effects.keys_honoured(ours).await.unwrap(),
        "nothing is known yet"
    );
    store.effects.note_keys(ours, true).await.unwrap();
    store.effects.note_keys(ours, true).await.unwrap();
    drop(store);
    harness.reopen().await;
    let store = harness.store();
    assert!(store.effects.keys_honoured(ours).await.unwrap());
    assert!(!store.effects.keys_honoured(other).await.unwrap());
    store.effects.note_keys(ours, false).await.unwrap();
    assert!(
        !store.effects.keys_honoured(ours).await.unwrap(),
        "the last word counts"
    );
}
