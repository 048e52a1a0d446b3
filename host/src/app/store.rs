//! The store of a host: which one the configuration names, opened, and what a host does with it as a whole.
//!
//! A Redis that is not there yet is waited for, because a host that gives up would only be started again; a wrong address
//! or a server that this version can't use is an error, because waiting would not mend it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::anyhow;
use tokio::time;
use tracing::{debug, info, warn};

use super::{
    api::context::HostState,
    config::{Config, store::StoreKind},
};
use crate::{
    adapters::{
        redis::{ConnectError, RedisConfig, RedisStore, StoreClock},
        sqlite::{SqliteConfig, SqliteStore},
    },
    domain::{ids::HostName, time::UnixMillis},
    ports::{
        clock::Clock,
        store::{Store, StoreError},
    },
};

/// Between two tries to reach a Redis that is not there yet.
const TRY_EVERY: Duration = Duration::from_millis(500);

#[derive(Clone)]
pub enum OpenStore {
    Sqlite(SqliteStore),
    Redis(RedisStore),
}

impl OpenStore {
    /// Open the store, or wait until it can be reached, which `state` tells meanwhile. Must be called on the host's own
    /// runtime; safe to cancel.
    pub async fn open(
        config: &Config,
        name: &HostName,
        clock: Arc<dyn Clock>,
        state: &HostState,
    ) -> anyhow::Result<OpenStore> {
        match config.store.effective_kind() {
            StoreKind::Redis => reach(&redis_config(config)?, state).await.map(OpenStore::Redis),
            StoreKind::Sqlite | StoreKind::Auto => Ok(OpenStore::Sqlite(SqliteStore::open(SqliteConfig {
                path: config.store_path(),
                owner: name.clone(),
                policy: config.store_policy(),
                clock,
                wall: wall_clock(),
            })?)),
        }
    }

    pub fn ports(&self) -> Store {
        match self {
            OpenStore::Sqlite(store) => store.store(),
            OpenStore::Redis(store) => store.store(),
        }
    }

    /// What and where it is, without secrets.
    pub fn description(&self) -> &str {
        match self {
            OpenStore::Sqlite(store) => store.description(),
            OpenStore::Redis(store) => store.description(),
        }
    }

    /// End what a dead owner of an embedded store left. In a shared one others may be alive: leases tell.
    pub async fn take_over(&self) -> Result<u64, StoreError> {
        match self {
            OpenStore::Sqlite(store) => store.take_over().await,
            OpenStore::Redis(_) => Ok(0),
        }
    }

    /// Resolves when an embedded store has ended by itself, with why. A Redis that goes away comes back.
    pub async fn ended(&self) -> String {
        match self {
            OpenStore::Sqlite(store) => store.ended().await,
            OpenStore::Redis(_) => std::future::pending().await,
        }
    }

    pub async fn close(&self) {
        match self {
            OpenStore::Sqlite(store) => store.close().await,
            OpenStore::Redis(store) => store.close(),
        }
    }
}

pub(super) fn redis_config(config: &Config) -> anyhow::Result<RedisConfig> {
    let url = config.store.url.clone();
    Ok(RedisConfig {
        url: url.ok_or_else(|| anyhow!("store.url is not set: set it, or REDIS_URL, to the Redis's address"))?,
        ca_file: config.store.ca_file.clone(),
        key_prefix: config.store.key_prefix.clone(),
        policy: config.store_policy(),
        call_timeout: config.leader.store_timeout,
        clock: StoreClock::Redis,
    })
}

/// Try until it is there. What is in the way is logged whenever it changes.
async fn reach(config: &RedisConfig, state: &HostState) -> anyhow::Result<RedisStore> {
    let mut told = String::new();
    loop {
        match RedisStore::connect(config.clone()).await {
            Ok(store) => {
                if !told.is_empty() {
                    info!("the store can be used now");
                }
                return Ok(store);
            }
            Err(error @ ConnectError::Unavailable { .. }) => {
                let text = error.to_string();
                // First what can be asked, then what is told: who reads the log may ask at once.
                state.store_awaited(text.clone());
                if text == told {
                    debug!(error = text, "store_not_reached");
                } else {
                    warn!(error = text, "waiting for the store; trying again every {TRY_EVERY:?}");
                }
                told = text;
            }
            Err(error) => return Err(error.into()),
        }
        time::sleep(TRY_EVERY).await;
    }
}

/// The wall clock, asked once: from then on an embedded store's time moves with the boot clock.
pub(super) fn wall_clock() -> UnixMillis {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
