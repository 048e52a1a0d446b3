//! What agents keep between activations.

use warren::{
    domain::ending::Reason,
    ports::{
        agent_state::{StateQuota, StateScope, Written},
        store::{Store, StoreError},
    },
};

use super::{harness::Harness, support::*};

const QUOTA: StateQuota = StateQuota {
    bytes: 100,
    keys: 3,
    value: 60,
};

async fn scope(store: &Store, name: &str) -> StateScope {
    let item = direct(name);
    add(store, &item).await;
    let claimed = claim_item(store, &item).await;
    StateScope {
        agent: claimed.item.agent_id.clone(),
        item: item.id,
        token: claimed.token,
    }
}

async fn set(store: &Store, scope: &StateScope, key: &str, value: &[u8]) -> Written {
    store.agent_state.set(scope, key, value, &QUOTA).await.unwrap()
}

pub async fn kept_per_agent<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let (a, b) = (scope(&store, "a").await, scope(&store, "b").await);
    let get = async |scope: &StateScope| store.agent_state.get(scope, "k").await.unwrap();
    assert_eq!(get(&a).await, None);
    assert_eq!(set(&store, &a, "k", b"\x00\xff binary").await, Written::Ok);
    assert_eq!(set(&store, &b, "k", b"").await, Written::Ok);
    assert_eq!(
        (get(&a).await, get(&b).await),
        (Some(b"\x00\xff binary".to_vec()), Some(Vec::new()))
    );
    for _ in 0..2 {
        store.agent_state.delete(&a, "k").await.unwrap();
    }
    assert_eq!((get(&a).await, get(&b).await), (None, Some(Vec::new())));
}

pub async fn quota<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let a = scope(&store, "a").await;
    let over = |written: Written, limit: &str| {
        assert!(
            matches!(&written, Written::OverQuota(words) if words.contains(limit)),
            "{written:?}"
        );
    };
    over(set(&store, &a, "k", &[0; 61]).await, "60 bytes");
    assert_eq!(set(&store, &a, "k", &[1; 60]).await, Written::Ok);
    over(set(&store, &a, "l", &[2; 39]).await, "100 bytes");
    assert_eq!(set(&store, &a, "l", &[2; 38]).await, Written::Ok);
    assert_eq!(
        set(&store, &a, "k", &[3; 58]).await,
        Written::Ok,
        "what is replaced does not count"
    );
    assert_eq!(set(&store, &a, "m", b"1").await, Written::Ok);
    over(set(&store, &a, "n", b"").await, "3 keys");
    over(set(&store, &a, "k", &[4; 60]).await, "100 bytes");
    assert_eq!(
        store.agent_state.get(&a, "k").await.unwrap(),
        Some(vec![3; 58]),
        "nothing was changed"
    );
    store.agent_state.delete(&a, "k").await.unwrap();
    assert_eq!(set(&store, &a, "n", &[5; 58]).await, Written::Ok);
}

pub async fn stale_claims_write_nothing<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let item = direct("a");
    add(&store, &item).await;
    let claimed = claim_item(&store, &item).await;
    let a = StateScope {
        agent: claimed.item.agent_id.clone(),
        item: item.id,
        token: claimed.token,
    };
    assert_eq!(set(&store, &a, "k", b"1").await, Written::Ok);
    let of_other = StateScope {
        agent: agent("b"),
        ..a.clone()
    };
    assert_eq!(
        store.agent_state.set(&of_other, "k", b"2", &QUOTA).await,
        Err(StoreError::StaleClaim)
    );
    end(&store, &claimed, Reason::Ok).await;
    assert_eq!(
        store.agent_state.set(&a, "k", b"2", &QUOTA).await,
        Err(StoreError::StaleClaim)
    );
    assert_eq!(store.agent_state.delete(&a, "k").await, Err(StoreError::StaleClaim));
    let next = scope(&store, "a").await;
    assert_eq!(store.agent_state.get(&next, "k").await.unwrap(), Some(b"1".to_vec()));
}

pub async fn keys_in_pages<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let a = scope(&store, "a").await;
    for key in ["b", "ä", "B"] {
        assert_eq!(set(&store, &a, key, b"").await, Written::Ok);
    }
    let keys = async |after: Option<&str>, limit| store.agent_state.keys(&a, after, limit).await.unwrap();
    assert_eq!(keys(None, 10).await, ["B", "b", "ä"], "in byte order");
    assert_eq!(keys(None, 2).await, ["B", "b"]);
    assert_eq!(keys(Some("b"), 2).await, ["ä"]);
    assert_eq!(keys(Some("ä"), 2).await, [""; 0]);
}
