//! The configuration: one `warren.toml`, every key of which an environment variable overrides.
//!
//! There is one struct per section, whose fields are the documentation; `warren.example.toml` shows them all, and a test
//! holds it to them. The set of keys is read off the defaults, so that a key exists nowhere twice. Layers, from the weakest:
//! defaults, `HOSTNAME`, the file, `HUB_URL`, `HUB_API_KEY` and `REDIS_URL`, `WARREN_…` variables. Everything that is wrong is reported
//! at once.

pub mod api;
pub mod breaker;
mod environment;
pub mod formats;
pub mod host;
pub mod hub;
pub mod leader;
pub mod limits;
mod load;
pub mod log;
pub mod problem;
pub mod queue;
pub mod runner;
mod schema;
pub mod secret;
pub mod store;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use self::problem::Checks;
pub use self::{
    load::{DEFAULT_FILE, Entry, Loaded, Sources},
    problem::{Problem, Problems},
};
use crate::{
    domain::{
        backoff::Backoff,
        ids::{HostName, InvalidName},
    },
    ports::store::StorePolicy,
};

/// Everything that an operator can set. As loaded, what is unset but has a value (host name, paths) is filled in.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub host: host::HostConfig,
    pub hub: hub::HubConfig,
    pub store: store::StoreConfig,
    pub leader: leader::LeaderConfig,
    pub queue: queue::QueueConfig,
    pub breaker: breaker::BreakerConfig,
    pub runner: runner::RunnerConfig,
    pub limits: limits::LimitsConfig,
    pub api: api::ApiConfig,
    pub log: log::LogConfig,
}

impl Config {
    pub fn host_name(&self) -> Result<HostName, InvalidName> {
        HostName::new(self.host.name.clone().unwrap_or_else(host::machine_name))
    }

    pub fn store_path(&self) -> PathBuf {
        self.in_data_dir(self.store.path.as_deref(), store::FILE)
    }

    pub fn token_file(&self) -> PathBuf {
        self.in_data_dir(self.api.token_file.as_deref(), api::TOKEN_FILE)
    }

    /// Keep everything that was in the data folder, or would be, in another one.
    pub fn move_data_dir(&mut self, folder: PathBuf) {
        for path in [&mut self.store.path, &mut self.api.token_file].into_iter().flatten() {
            if let Ok(rest) = path.strip_prefix(&self.host.data_dir) {
                *path = folder.join(rest);
            }
        }
        self.host.data_dir = folder;
    }

    fn in_data_dir(&self, path: Option<&Path>, name: &str) -> PathBuf {
        path.map_or_else(|| self.host.data_dir.join(name), Path::to_owned)
    }

    /// Where others reach the API that listens on `listened`.
    pub fn advertised_address(&self, listened: SocketAddr) -> String {
        match &self.api.advertise {
            Some(address) => address.trim_end_matches('/').to_owned(),
            None if listened.ip().is_unspecified() => {
                let name = self.host.name.clone().unwrap_or_else(host::machine_name);
                format!("http://{name}:{}", listened.port())
            }
            None => format!("http://{listened}"),
        }
    }

    /// What the store decides by.
    pub fn store_policy(&self) -> StorePolicy {
        let queue = &self.queue;
        StorePolicy {
            max_queue: queue.max_length,
            fairness: queue.fairness,
            breaker: self.breaker.policy(),
            retry: Backoff {
                base: queue.retry_base,
                max: queue.retry_max,
            },
            max_attempts: queue.max_attempts,
            cool_down: Backoff {
                base: queue.cool_down_base,
                max: queue.cool_down_max,
            },
            keep_done: queue.keep_results,
            keep_effects: queue.keep_effects,
            keep_events: queue.keep_events,
        }
    }

    fn check(&self) -> Checks {
        let mut checks = Checks::default();
        self.host.check(&mut checks);
        self.hub.check(&mut checks);
        self.store.check(&mut checks);
        self.leader.check(&mut checks);
        self.queue.check(&mut checks);
        self.breaker.check(&mut checks);
        self.runner.check(&mut checks);
        self.limits.check(&mut checks);
        self.api.check(&mut checks);
        self.log.check(&mut checks);
        checks
    }

    /// Fill in what is unset but has a value.
    fn resolve(&mut self) {
        self.host.name.get_or_insert_with(host::machine_name);
        self.store.path = Some(self.store_path());
        self.store.kind = self.store.effective_kind();
        self.api.token_file = Some(self.token_file());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{breaker::BreakerPolicy, limits::Limits};

    #[test]
    fn the_defaults_are_the_domain_s() {
        let config = Config::default();
        assert_eq!(config.store_policy(), StorePolicy::default());
        assert_eq!(config.breaker.policy(), BreakerPolicy::default());
        assert_eq!(config.limits.limits(), Limits::default());
        assert!(config.check().into_failures().is_empty());
    }

    #[test]
    fn others_are_told_an_address_that_they_can_use() {
        let mut config = Config::default();
        config.host.name = Some("h1".to_owned());
        let advertised = |config: &Config, listened: &str| config.advertised_address(listened.parse().unwrap());
        assert_eq!(advertised(&config, "10.0.0.7:9090"), "http://10.0.0.7:9090");
        assert_eq!(advertised(&config, "0.0.0.0:9090"), "http://h1:9090");
        config.api.advertise = Some("http://warren.example:80/".to_owned());
        assert_eq!(advertised(&config, "0.0.0.0:9090"), "http://warren.example:80");
    }

    #[test]
    fn the_familiar_variable_means_redis_and_an_explicit_kind_wins() {
        let mut config = Config::default();
        assert_eq!(config.store.effective_kind(), store::StoreKind::Sqlite);
        config.store.url = Some("redis://127.0.0.1".to_owned().into());
        assert_eq!(config.store.effective_kind(), store::StoreKind::Redis);
        config.store.kind = store::StoreKind::Sqlite;
        assert_eq!(config.store.effective_kind(), store::StoreKind::Sqlite);
        assert!(config.check().into_failures().is_empty());
        config.store.kind = store::StoreKind::Redis;
        config.store.url = None;
        assert_eq!(config.check().into_failures().len(), 1);
    }

    #[test]
    fn paths_start_in_the_data_folder_unless_set() {
        let mut config = Config::default();
        config.host.data_dir = "/var/lib/warren".into();
        assert_eq!(config.store_path(), Path::new("/var/lib/warren/warren.db"));
        config.api.token_file = Some("/run/token".into());
        assert_eq!(config.token_file(), Path::new("/run/token"));
    }
}
