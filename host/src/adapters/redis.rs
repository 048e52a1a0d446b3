//! The store of a cluster: Redis or Valkey, 7.0 or newer, shared by any number of hosts.
//!
//! Every change is one Lua script in a file of its own (`lua/`, put together by `scripts`), so hosts never see half of one;
//! times are Redis's. The truth is a hash of records and the sets that say where everything stands
//! (`lua/parts/places.lua`); the familiar `work:…` keys are projections that the same scripts keep. Calls share one
//! connection (`calls`), and those of a kind that come together go together (`combine`); what blocks has its own: `wakes` for work, `signals` for everything else that is waited for.

mod agent_state;
mod agents;
mod assemble;
mod batches;
mod calls;
mod claiming;
mod combine;
mod connection;
mod destroy;
mod effects;
mod events;
mod hosts;
mod items;
mod keys;
mod leadership;
mod open;
mod plugins;
mod queue;
mod reply;
mod rest;
mod scripts;
mod signals;
mod wakes;

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

pub use open::ConnectError;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    domain::{secret::Secret, time::UnixMillis},
    ports::{
        standing_claim::Standing,
        store::{Store, StorePolicy},
        work_queue::{Completed, Enqueued},
    },
};

/// Where the store's time comes from.
#[derive(Clone)]
pub enum StoreClock {
    /// Redis's own clock, the same for every host.
    Redis,
    /// Told with each call: for tests that move time by hand.
    ByHand(Arc<dyn Fn() -> UnixMillis + Send + Sync>),
}

impl fmt::Debug for StoreClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StoreClock::Redis => "Redis",
            StoreClock::ByHand(_) => "ByHand",
        })
    }
}

/// What a store is connected with.
#[derive(Clone, Debug)]
pub struct RedisConfig {
    /// `redis://`, `rediss://` (TLS) or `redis+unix://`, with user, password and database where they are needed. What the
    /// user must be allowed to do is in `warren.example.toml`, at `store.url`.
    pub url: Secret,
    /// Certificates, as PEM, that `rediss://` trusts instead of those that this machine trusts.
    pub ca_file: Option<PathBuf>,
    /// In front of every key; hosts with another one are another cluster. With a hash tag (`{s0}:`) all keys are in one slot.
    pub key_prefix: String,
    pub policy: StorePolicy,
    /// How long one call may take, making a connection included: far shorter than any lease.
    pub call_timeout: Duration,
    pub clock: StoreClock,
}

/// A connected store. It implements every port of [`Store`]; clones share it, and the last one that is dropped ends it.
#[derive(Clone)]
pub struct RedisStore {
    calls: calls::Calls,
    signals: Arc<signals::Signals>,
    wakes: Arc<wakes::Wakes>,
    /// The claim that goes along with what is enqueued.
    standing: Standing,
    description: String,
    max_queue: u64,
    submits: Arc<combine::Combine<batches::NewItem, Enqueued>>,
    ends: Arc<combine::Combine<batches::End, Completed>>,
    /// Until when a sweep need not be one.
    rest: Arc<rest::Rest>,
    tasks: Arc<Tasks>,
}

struct Tasks {
    listener: AbortOnDropHandle<()>,
    waker: AbortOnDropHandle<()>,
}

impl RedisStore {
    /// Connect and make sure that it is a store that this version can use; make one where there is none.
    pub async fn connect(config: RedisConfig) -> Result<RedisStore, ConnectError> {
        let opened = open::open(&config).await?;
        let (signals, listener) = signals::start(opened.client.clone(), &opened.calls);
        let (wakes, waker) = wakes::start(opened.client, &opened.calls);
        Ok(RedisStore {
            calls: opened.calls,
            signals,
            wakes,
            standing: Standing::default(),
            description: opened.description,
            max_queue: config.policy.max_queue,
            submits: combine::Combine::new(),
            ends: combine::Combine::new(),
            rest: Arc::default(),
            tasks: Arc::new(Tasks { listener, waker }),
        })
    }

    /// For people: what and where it is, without secrets.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The store as its ports.
    pub fn store(&self) -> Store {
        let store = Arc::new(self.clone());
        Store {
            queue: store.clone(),
            leadership: store.clone(),
            effects: store.clone(),
            agent_state: store.clone(),
            agents: store.clone(),
            plugins: store.clone(),
            events: store.clone(),
            hosts: store,
        }
    }

    /// End the connections that wait. Whoever waits goes on at the end of its time; other calls are not touched.
    pub fn close(&self) {
        self.tasks.listener.abort();
        self.tasks.waker.abort();
    }
}
