//! The registry of hosts: who lives, who fell silent, who left.

use std::time::Duration;

use futures_util::future::join_all;
use warren::{
    domain::ids::HolderId,
    ports::{
        hosts::{ForeignRunners, MOST_HOSTS, Presence, REMEMBERED, SeenHost},
        store::Store,
    },
};

use super::{harness::Harness, support::*};

const TTL: Duration = Duration::from_secs(9);

fn process(name: &str) -> HolderId {
    HolderId::fresh(host(name))
}

async fn beat(store: &Store, process: &HolderId, body: &str) {
    store.hosts.beat(process, body, TTL).await.unwrap();
}

async fn list(store: &Store) -> Vec<SeenHost> {
    store.hosts.list().await.unwrap()
}

fn seen(process: &HolderId, presence: Presence, ago: u64, body: &str) -> SeenHost {
    SeenHost {
        holder: process.to_string(),
        presence,
        ago: seconds(ago),
        body: body.to_owned(),
    }
}

pub async fn beats_keep_a_host_alive<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    assert_eq!(list(&store).await, []);
    let h1 = process("h1");
    // Whatever it says is its own business.
    let body = "{\"a b\": \"ü 'x' \\\"y\\\" %d %s\"}\n 1 2";
    beat(&store, &h1, body).await;
    assert_eq!(list(&store).await, [seen(&h1, Presence::Beating, 0, body)]);
    harness.advance(seconds(8));
    assert_eq!(list(&store).await, [seen(&h1, Presence::Beating, 8, body)]);
    beat(&store, &h1, "").await;
    harness.advance(seconds(9));
    assert_eq!(list(&store).await, [seen(&h1, Presence::Silent, 9, "")]);
    beat(&store, &h1, "again").await;
    assert_eq!(list(&store).await, [seen(&h1, Presence::Beating, 0, "again")]);
}

pub async fn leaving_is_the_last_word<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let (h1, stranger) = (process("h1"), process("h0"));
    beat(&store, &h1, "{\"a\": 1}").await;
    harness.advance(seconds(3));
    store.hosts.leave(&h1).await.unwrap();
    store.hosts.leave(&stranger).await.unwrap();
    harness.advance(seconds(60));
    store.hosts.leave(&h1).await.unwrap();
    beat(&store, &h1, "a beat that was under way").await;
    assert_eq!(list(&store).await, [seen(&h1, Presence::Left, 60, "{\"a\": 1}")]);
}

pub async fn processes_of_one_name_are_several<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let mut all = [process("b"), process("a"), process("b"), process("c")];
    for (n, process) in all.iter().enumerate() {
        beat(&store, process, &n.to_string()).await;
    }
    store.hosts.leave(&all[2]).await.unwrap();
    let left = all[2].to_string();
    all.sort_by_key(ToString::to_string);
    let listed = list(&store).await;
    let holders: Vec<&str> = listed.iter().map(|host| host.holder.as_str()).collect();
    assert_eq!(holders, all.each_ref().map(ToString::to_string));
    for host in &listed {
        assert_eq!(host.presence == Presence::Left, host.holder == left, "{host:?}");
    }
}

pub async fn the_gone_are_forgotten_after_an_hour<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let (died, left, steady) = (process("died"), process("left"), process("steady"));
    for process in [&died, &left, &steady] {
        beat(&store, process, "").await;
    }
    store.hosts.leave(&left).await.unwrap();
    harness.advance(REMEMBERED);
    beat(&store, &steady, "").await;
    assert_eq!(list(&store).await.len(), 3);
    harness.advance(seconds(1));
    assert_eq!(list(&store).await, [seen(&steady, Presence::Beating, 1, "")]);
    beat(&store, &process("new"), "").await;
    assert_eq!(list(&store).await.len(), 2);
}

/// A host that dies at every start does not fill the store, and those that live stay.
pub async fn bounded<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let steady = process("steady");
    beat(&store, &steady, "").await;
    let restarts: Vec<HolderId> = (0..MOST_HOSTS + 20).map(|_| process("restarts")).collect();
    for some in restarts.chunks(60) {
        harness.advance(Duration::from_millis(10));
        join_all(some.iter().map(|process| beat(&store, process, "{}"))).await;
        beat(&store, &steady, "").await;
    }
    let listed = list(&store).await;
    assert_eq!(listed.len(), MOST_HOSTS);
    let is_there = |process: &HolderId| listed.iter().any(|host| host.holder == process.to_string());
    assert!(is_there(&steady) && is_there(&restarts[restarts.len() - 1]));
    let (first, later) = restarts.split_at(60);
    assert_eq!(
        first.iter().filter(|process| is_there(process)).count(),
        60 - 21,
        "the most silent ones went"
    );
    assert!(later.iter().all(is_there));
}

pub async fn outlives_its_users<H: Harness>() {
    let mut harness = H::fresh(policy()).await;
    let store = harness.store();
    let (h1, h2) = (process("h1"), process("h2"));
    beat(&store, &h1, "1").await;
    beat(&store, &h2, "2").await;
    store.hosts.leave(&h2).await.unwrap();
    drop(store);
    harness.reopen().await;
    let store = harness.store();
    harness.advance(seconds(10));
    let states: Vec<(Presence, String)> = list(&store).await.into_iter().map(|h| (h.presence, h.body)).collect();
    assert_eq!(
        states,
        [(Presence::Silent, "1".to_owned()), (Presence::Left, "2".to_owned())]
    );
}

pub async fn nobody_else_s_runners<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    beat(&store, &process("h1"), "").await;
    assert_eq!(
        store.hosts.foreign_runners("").await.unwrap(),
        ForeignRunners::default()
    );
}
