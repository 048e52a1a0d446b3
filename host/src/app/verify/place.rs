//! Where scopes are kept: in the cluster's Redis under a prefix of their own, or in a file beside the host's.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use reqwest::Url;

use super::{ScopeId, Wiring};
use crate::{
    adapters::{
        redis::{RedisConfig, RedisStore},
        sqlite::{SqliteConfig, SqliteStore},
    },
    app::store::{OpenStore, wall_clock},
    domain::{backoff::Backoff, breaker::BreakerPolicy},
    ports::store::StorePolicy,
};

/// In front of a scope's keys, behind the cluster's prefix. `warren:` is what a Redis user of Warren may use.
const SCOPES: &str = "warren:verify:";

/// What SQLite has beside the file.
const BESIDE: [&str; 4] = ["", "-wal", "-shm", ".lock"];

/// Failures that open a scope's breaker.
pub const THRESHOLD: u32 = 3;
/// For how long it opens first: long enough to be seen from another machine, short enough to wait for.
pub const OPEN_FOR: Duration = Duration::from_millis(1500);

#[derive(Clone)]
pub enum Place {
    /// The cluster's own store.
    Redis(Box<RedisConfig>),
    /// The data folder.
    Files(PathBuf),
}

impl Place {
    /// What a person types before a Redis command; nothing where there is no Redis.
    pub fn redis_cli(&self) -> Option<String> {
        match self {
            Place::Redis(config) => Some(redis_cli(config.url.expose())),
            Place::Files(_) => None,
        }
    }

    /// The cluster's.
    pub fn key_prefix(&self) -> &str {
        match self {
            Place::Redis(config) => &config.key_prefix,
            Place::Files(_) => "",
        }
    }

    /// The keys or the file of a scope, for people.
    pub fn name_of(&self, id: ScopeId) -> String {
        match self {
            Place::Redis(config) => format!("{}*", prefix(config, id)),
            Place::Files(folder) => file(folder, id).display().to_string(),
        }
    }

    pub async fn open(&self, id: ScopeId, wiring: &Wiring) -> anyhow::Result<OpenStore> {
        match self {
            Place::Redis(config) => {
                let scoped = RedisConfig {
                    key_prefix: prefix(config, id),
                    policy: policy(),
                    ..RedisConfig::clone(config)
                };
                Ok(OpenStore::Redis(RedisStore::connect(scoped).await?))
            }
            Place::Files(folder) => Ok(OpenStore::Sqlite(SqliteStore::open(SqliteConfig {
                path: file(folder, id),
                owner: wiring.host.clone(),
                policy: policy(),
                clock: Arc::clone(&wiring.clock),
                wall: wall_clock(),
            })?)),
        }
    }

    /// Delete all of a scope and close its store; how many keys or files are there all the same.
    pub async fn destroy(&self, id: ScopeId, store: Option<OpenStore>, wiring: &Wiring) -> anyhow::Result<u64> {
        let store = match (self, store) {
            (Place::Redis(_), None) => Some(self.open(id, wiring).await?),
            (_, store) => store,
        };
        match (self, store) {
            (Place::Redis(_), Some(OpenStore::Redis(store))) => {
                store.close();
                Ok(store.destroy().await?)
            }
            (Place::Files(folder), store) => {
                if let Some(store) = store {
                    store.close().await;
                }
                remove(&file(folder, id))
            }
            _ => anyhow::bail!("scope {id} is not kept where this host keeps scopes"),
        }
    }
}

fn prefix(config: &RedisConfig, id: ScopeId) -> String {
    format!("{}{SCOPES}{id}:", config.key_prefix)
}

fn file(folder: &Path, id: ScopeId) -> PathBuf {
    folder.join(format!("verify-{id}.db"))
}

fn remove(file: &Path) -> anyhow::Result<u64> {
    for beside in BESIDE {
        let mut path = file.as_os_str().to_owned();
        path.push(beside);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("can't remove {}", Path::new(&path).display()));
            }
            _ => {}
        }
    }
    Ok(0)
}

/// Short spans, and nothing by chance.
fn policy() -> StorePolicy {
    StorePolicy {
        max_queue: 5_000,
        fairness: 0,
        breaker: BreakerPolicy {
            threshold: THRESHOLD,
            base: OPEN_FOR,
            max: 4 * OPEN_FOR,
            jitter: 0.0,
            probe_retry: Duration::from_millis(500),
            ..BreakerPolicy::default()
        },
        cool_down: Backoff {
            base: Duration::from_millis(1),
            max: Duration::from_millis(1),
        },
        keep_events: 1_000,
        ..StorePolicy::default()
    }
}

/// The same server in the words of `redis-cli`; a password is left to its prompt.
fn redis_cli(url: &str) -> String {
    let Ok(url) = Url::parse(url) else {
        return "redis-cli".to_owned();
    };
    let mut words = vec!["redis-cli".to_owned()];
    let mut database = url.path().trim_matches('/').to_owned();
    match (url.scheme(), url.host_str()) {
        ("redis+unix" | "unix", _) => {
            words.push(format!("-s {}", url.path()));
            let chosen = url.query_pairs().find(|(key, _)| key == "db");
            database = chosen.map(|(_, value)| value.into_owned()).unwrap_or_default();
        }
        (_, host) => {
            words.push(format!("-h {}", host.unwrap_or("localhost").trim_matches(['[', ']'])));
            words.push(format!("-p {}", url.port().unwrap_or(6379)));
        }
    }
    if !matches!(database.as_str(), "" | "0") {
        words.push(format!("-n {database}"));
    }
    if url.scheme() == "rediss" {
        words.push("--tls".to_owned());
    }
    if !url.username().is_empty() {
        words.push(format!("--user {}", url.username()));
    }
    if url.password().is_some() {
        words.push("--askpass".to_owned());
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redis_cli_reaches_the_same_server_and_shows_no_password() {
        assert_eq!(redis_cli("redis://10.0.0.7"), "redis-cli -h 10.0.0.7 -p 6379");
        assert_eq!(
            redis_cli("rediss://warren:secret@redis.example:7000/2"),
            "redis-cli -h redis.example -p 7000 -n 2 --tls --user warren --askpass"
        );
        assert_eq!(
            redis_cli("redis+unix:///run/redis.sock?db=1"),
            "redis-cli -s /run/redis.sock -n 1"
        );
    }

    #[test]
    fn a_scope_has_keys_that_its_cluster_s_user_may_use() {
        let config = |prefix: &str| RedisConfig {
            ca_file: None,
            url: "redis://h".to_owned().into(),
            key_prefix: prefix.to_owned(),
            policy: StorePolicy::default(),
            call_timeout: Duration::from_secs(1),
            clock: crate::adapters::redis::StoreClock::Redis,
        };
        let id = ScopeId::fresh();
        assert_eq!(prefix(&config(""), id), format!("warren:verify:{id}:"));
        assert_eq!(prefix(&config("{a}:"), id), format!("{{a}}:warren:verify:{id}:"));
    }
}
