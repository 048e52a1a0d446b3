//! `[store]`: where the shared state is.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{
    formats::{optional, optional_path},
    problem::Checks,
};
use crate::domain::secret::Secret;

/// The database's name in `host.data_dir`.
pub const FILE: &str = "warren.db";
/// Every key carries the prefix: a long one only costs memory.
const LONGEST_PREFIX: usize = 64;
/// TLS, plain, and a socket of this machine.
const SCHEMES: [&str; 3] = ["redis://", "rediss://", "redis+unix://"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// `redis` where `store.url` is set, else `sqlite`: whoever sets the familiar `REDIS_URL` means it.
    Auto,
    /// One file of one host.
    Sqlite,
    /// A Redis or Valkey that any number of hosts share.
    Redis,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    pub kind: StoreKind,
    /// The database. Unset: `warren.db` in `host.data_dir`.
    #[serde(with = "optional_path")]
    pub path: Option<PathBuf>,
    /// Where the Redis is, with user and password where it wants them; so it is never shown.
    #[serde(with = "optional")]
    pub url: Option<Secret>,
    /// In front of every key. Hosts with another prefix are another cluster.
    pub key_prefix: String,
    /// Certificates, as PEM, that `rediss://` trusts instead of the machine's.
    #[serde(with = "optional_path")]
    pub ca_file: Option<PathBuf>,
}

impl Default for StoreConfig {
    fn default() -> StoreConfig {
        StoreConfig {
            kind: StoreKind::Auto,
            path: None,
            url: None,
            key_prefix: String::new(),
            ca_file: None,
        }
    }
}

impl StoreConfig {
    /// Which store it is: never `Auto`.
    pub fn effective_kind(&self) -> StoreKind {
        match (self.kind, &self.url) {
            (StoreKind::Auto, Some(_)) => StoreKind::Redis,
            (StoreKind::Auto, None) => StoreKind::Sqlite,
            (kind, _) => kind,
        }
    }

    pub(super) fn check(&self, checks: &mut Checks) {
        checks.require(
            self.kind != StoreKind::Redis || self.url.is_some(),
            &["store.url", "store.kind"],
            || "it is not set, and store.kind is \"redis\": set it, or REDIS_URL, to redis://[user:password@]host[:port]".into(),
        );
        if let Some(url) = &self.url {
            checks.require(
                SCHEMES.iter().any(|scheme| url.expose().starts_with(scheme)),
                &["store.url"],
                || {
                    format!(
                        "it does not begin with {} (it is not shown, because it may hold a password)",
                        SCHEMES.join(", ")
                    )
                },
            );
            checks.require(
                self.ca_file.is_none() || url.expose().starts_with("rediss://"),
                &["store.ca_file", "store.url"],
                || "certificates are for TLS, but store.url does not begin with rediss://".into(),
            );
        }
        let length = self.key_prefix.len();
        checks.require(length <= LONGEST_PREFIX, &["store.key_prefix"], || {
            format!("it has {length} bytes; at most {LONGEST_PREFIX} are allowed")
        });
        checks.require(
            self.key_prefix.bytes().all(|byte| byte.is_ascii_graphic()),
            &["store.key_prefix"],
            || {
                format!(
                    "{:?} is not allowed: it is made of printable ASCII without spaces",
                    self.key_prefix
                )
            },
        );
    }
}
