//! `[store]`: where the shared state is.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::formats::optional_path;

/// The database's name in `host.data_dir`.
pub const FILE: &str = "warren.db";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// One file of one host.
    Sqlite,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    pub kind: StoreKind,
    /// The database. Unset: `warren.db` in `host.data_dir`.
    #[serde(with = "optional_path")]
    pub path: Option<PathBuf>,
}

impl Default for StoreConfig {
    fn default() -> StoreConfig {
        StoreConfig {
            kind: StoreKind::Sqlite,
            path: None,
        }
    }
}
