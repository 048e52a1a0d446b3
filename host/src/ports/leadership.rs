//! The leader's lease and what the leader keeps for its successor (DESIGN §5).

use std::time::Duration;

use async_trait::async_trait;

use super::{store::StoreError, work_queue::Fence};
use crate::domain::{
    ids::{HolderId, HostName, Term},
    time::UnixMillis,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bid {
    pub holder: HolderId,
    /// Where this host's API can be reached, for forwarding.
    pub address: String,
    pub ttl: Duration,
}

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    pub host: HostName,
    /// The holder in full, as [`HolderId`] prints it; another system's word where that holds the lease.
    pub holder: String,
    pub term: Term,
    pub address: String,
    pub since: UnixMillis,
    /// What is left of the lease.
    pub remaining: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// The lease is this holder's, in a new term. A repeat of the same bid while it holds gets the same term.
    Won(Term),
    /// Somebody else leads, or the lease is reserved for another host for a moment.
    Held(Option<Leader>),
}

/// What a successor found of its predecessor's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inherited {
    Nothing,
    State {
        /// Which term wrote it.
        term: Term,
        body: String,
    },
    /// It does not match its checksum: rebuild it, never trust it.
    Damaged {
        detail: String,
    },
}

#[async_trait]
pub trait Leadership: Send + Sync {
    /// If the lease is free, take it *and* the next term, in one step.
    async fn acquire(&self, bid: &Bid) -> Result<Acquired, StoreError>;

    /// Extend the lease if it is this holder's in this term; `Fenced` means: step down now.
    async fn renew(&self, fence: &Fence, ttl: Duration) -> Result<(), StoreError>;

    /// Give the lease up, if it is this holder's, and wake those who wait for it. A repeat is fine.
    async fn release(&self, fence: &Fence) -> Result<(), StoreError>;

    /// Who leads now; nothing if the lease is free.
    async fn leader(&self) -> Result<Option<Leader>, StoreError>;

    /// Return when the lease may have become free, or at the latest after `at_most`. Safe to cancel.
    async fn wait_for_vacancy(&self, at_most: Duration);

    /// For `span`, only `host` may acquire. Leader-only.
    async fn reserve(&self, fence: &Fence, host: &HostName, span: Duration) -> Result<(), StoreError>;

    /// Keep the leader's state, with a checksum and the term. Leader-only.
    async fn save_state(&self, fence: &Fence, body: &str) -> Result<(), StoreError>;

    async fn load_state(&self) -> Result<Inherited, StoreError>;
}
