//! The registry of hosts: each says from time to time that it lives, and what it is.

use std::time::Duration;

use async_trait::async_trait;

use super::store::StoreError;
use crate::domain::ids::HolderId;

/// How long a host that is gone is remembered.
pub const REMEMBERED: Duration = Duration::from_secs(3600);
/// Processes that are remembered, those that have been silent for longest go first: a host that dies at every start makes a
/// new entry each time.
pub const MOST_HOSTS: usize = 1_000;

/// Whether a process still lives, by the store's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Beating,
    /// Its last beat's time to live is over.
    Silent,
    /// It has left.
    Left,
}

/// One process, as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenHost {
    /// The [`HolderId`] as text.
    pub holder: String,
    pub presence: Presence,
    /// Since its last beat, or since it left.
    pub ago: Duration,
    /// What it said last.
    pub body: String,
}

/// Part of a look for another system's runners.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignRunners {
    /// As they call themselves, without control characters and at most 64 characters of it; in order.
    pub ids: Vec<String>,
    /// Where the next look goes on; empty when everything has been looked at.
    pub next: String,
}

#[async_trait]
pub trait Hosts: Send + Sync {
    /// This process lives, for `ttl` at least, and says this of itself. Ignored once it has left.
    async fn beat(&self, host: &HolderId, body: &str, ttl: Duration) -> Result<(), StoreError>;

    /// This process ends now. What it said last is kept. A repeat is fine.
    async fn leave(&self, host: &HolderId) -> Result<(), StoreError>;

    /// All that live and those that are remembered, sorted by name and start. At most [`MOST_HOSTS`].
    async fn list(&self) -> Result<Vec<SeenHost>, StoreError>;

    /// Runners of the Python system that show a sign of life in this store: a bounded part of a look, from where the last
    /// one ended (empty: from the start).
    async fn foreign_runners(&self, from: &str) -> Result<ForeignRunners, StoreError>;
}
