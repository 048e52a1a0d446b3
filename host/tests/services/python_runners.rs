//! The leader notices Python runners on the same store: once each, whatever happens to the leader.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{task::JoinHandle, time};
use tokio_util::sync::CancellationToken;
use warren::{
    domain::ids::HolderId,
    ports::{
        hosts::{ForeignRunners, Hosts, SeenHost},
        store::StoreError,
    },
    services::{
        leader_state::{self, LeaderNotes},
        python_runners::PythonRunners,
    },
};

use super::{
    faults::away,
    rig::{Rig, STORE_TIMEOUT, seconds},
};

const EVERY: Duration = Duration::from_secs(30);

/// Keys of which one look sees so many.
struct Keyspace {
    keys: Mutex<Vec<String>>,
    per_look: usize,
}

impl Keyspace {
    fn of(keys: &[&str], per_look: usize) -> Arc<Keyspace> {
        Arc::new(Keyspace {
            keys: Mutex::new(keys.iter().map(ToString::to_string).collect()),
            per_look,
        })
    }

    fn set(&self, keys: &[&str]) {
        *self.keys.lock().unwrap() = keys.iter().map(ToString::to_string).collect();
    }
}

#[async_trait]
impl Hosts for Keyspace {
    async fn beat(&self, _: &HolderId, _: &str, _: Duration) -> Result<(), StoreError> {
        Ok(())
    }
    async fn leave(&self, _: &HolderId) -> Result<(), StoreError> {
        Ok(())
    }
    async fn list(&self) -> Result<Vec<SeenHost>, StoreError> {
        Ok(Vec::new())
    }
    async fn foreign_runners(&self, from: &str) -> Result<ForeignRunners, StoreError> {
        let keys = self.keys.lock().unwrap();
        let from: usize = from.parse().unwrap_or(0);
        let till = (from + self.per_look).min(keys.len());
        Ok(ForeignRunners {
            ids: keys[from.min(till)..till].to_vec(),
            next: if till < keys.len() {
                till.to_string()
            } else {
                String::new()
            },
        })
    }
}

/// A host that looks while it leads.
fn lead(rig: &Rig, name: &str, keyspace: &Arc<Keyspace>) -> (CancellationToken, JoinHandle<anyhow::Result<()>>) {
    let task = PythonRunners {
        hosts: keyspace.clone(),
        events: rig.faulty.clone(),
        notes: Arc::new(LeaderNotes::new(rig.store.leadership.clone())),
        every: EVERY,
        call_timeout: STORE_TIMEOUT,
    };
    let (election, _) = rig.election(name, vec![Arc::new(task)]);
    let stop = CancellationToken::new();
    (stop.clone(), tokio::spawn(election.run(stop)))
}

/// The runners that events tell of, in order.
async fn told(rig: &Rig) -> Vec<String> {
    let events = rig.store.events.after(0, 1000, Duration::ZERO).await.unwrap();
    let of = |detail: &str| detail.split_whitespace().nth(3).unwrap_or_default().to_owned();
    let sightings = events.iter().filter(|event| event.kind == "python_runner_seen");
    sightings.map(|event| of(&event.detail)).collect()
}

async fn noted(rig: &Rig) -> BTreeSet<String> {
    leader_state::look(&*rig.store.leadership).await.unwrap().python_runners
}

#[tokio::test(start_paused = true)]
async fn each_sighting_is_told_once_also_by_successors() {
    let rig = Rig::start().await;
    let keyspace = Keyspace::of(&["a", "b"], 100);
    let (stop, first) = lead(&rig, "h1", &keyspace);
    time::sleep(EVERY * 4).await;
    assert_eq!(told(&rig).await, ["a", "b"]);
    stop.cancel();
    first.await.unwrap().unwrap();

    keyspace.set(&["b", "c"]);
    let (_stop, _second) = lead(&rig, "h2", &keyspace);
    time::sleep(EVERY * 4).await;
    assert_eq!(told(&rig).await, ["a", "b", "c"]);
    assert_eq!(noted(&rig).await, BTreeSet::from(["b".to_owned(), "c".to_owned()]));

    // Gone, and back again: that is a new sighting.
    keyspace.set(&[]);
    time::sleep(EVERY * 2).await;
    assert_eq!(noted(&rig).await, BTreeSet::new());
    keyspace.set(&["c"]);
    time::sleep(EVERY * 2).await;
    assert_eq!(told(&rig).await, ["a", "b", "c", "c"]);
}

/// A large store takes several looks: who was not met yet in this pass is not gone.
#[tokio::test(start_paused = true)]
async fn a_pass_in_parts_forgets_nobody() {
    let rig = Rig::start().await;
    let keyspace = Keyspace::of(&["a", "b", "c", "d", "e"], 2);
    let _leading = lead(&rig, "h1", &keyspace);
    time::sleep(EVERY * 20).await;
    assert_eq!(told(&rig).await, ["a", "b", "c", "d", "e"]);
    assert_eq!(noted(&rig).await.len(), 5);
    keyspace.set(&["a", "b", "c", "d"]);
    time::sleep(EVERY * 6).await;
    assert_eq!(noted(&rig).await.len(), 4);
}

/// A crowd is not told of one by one: twenty are trouble enough.
#[tokio::test(start_paused = true)]
async fn a_crowd_is_bounded() {
    let rig = Rig::start().await;
    let names: Vec<String> = (0..500).map(|n| format!("py-{n:03}")).collect();
    let keyspace = Keyspace::of(&names.iter().map(String::as_str).collect::<Vec<_>>(), 100);
    let _leading = lead(&rig, "h1", &keyspace);
    time::sleep(EVERY * 30).await;
    assert_eq!((told(&rig).await.len(), noted(&rig).await.len()), (20, 20));
}

/// A state that can't be saved now is saved later, and the event comes then.
#[tokio::test(start_paused = true)]
async fn an_outage_delays_the_sighting() {
    let rig = Rig::start().await;
    let keyspace = Keyspace::of(&["a"], 1);
    let task = PythonRunners {
        hosts: keyspace.clone(),
        events: rig.faulty.clone(),
        notes: Arc::new(LeaderNotes::new(rig.faulty.clone())),
        every: EVERY,
        call_timeout: STORE_TIMEOUT,
    };
    rig.faulty.set("save_state", away());
    let _leading = rig.lead(vec![Arc::new(task)]);
    time::sleep(EVERY * 3).await;
    assert!(rig.faulty.calls("save_state") >= 2);
    assert_eq!(told(&rig).await, Vec::<String>::new());
    rig.faulty.heal();
    time::sleep(EVERY * 2).await;
    assert_eq!(told(&rig).await, ["a"]);
}

/// Only the leader looks.
#[tokio::test(start_paused = true)]
async fn a_follower_does_not_look() {
    let rig = Rig::start().await;
    let _leader = lead(&rig, "h1", &Keyspace::of(&[], 1));
    time::sleep(seconds(1)).await;
    let _follower = lead(&rig, "h2", &Keyspace::of(&["a"], 1));
    time::sleep(EVERY * 3).await;
    assert_eq!(told(&rig).await, Vec::<String>::new());
}
