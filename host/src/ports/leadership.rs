//! The leader's lease and what the leader keeps for its successor (DESIGN §5).

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use super::{store::StoreError, work_queue::Fence};
use crate::domain::{
    ids::{HolderId, HostName, Term},
    preference::Score,
    time::UnixMillis,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bid {
    pub holder: HolderId,
    /// Where this host's API can be reached, for forwarding.
    pub address: String,
    pub ttl: Duration,
    /// Who waits with a higher one goes first (`domain::preference`).
    pub score: Score,
    /// The newest term that the bidder has heard of. What it wins is newer, also in a store that has lost its data: so a
    /// holder's terms grow, and none of its old fences becomes good again (I7).
    pub known: Term,
    /// How long a bidder that does not win counts as waiting, unless it bids again.
    pub waits: Duration,
}

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    pub host: HostName,
    /// The holder in full, as [`HolderId`] prints it; another system's word where that holds the lease.
    pub holder: String,
    /// 0 if another system leads.
    pub term: Term,
    pub address: String,
    pub since: UnixMillis,
    /// What is left of the lease.
    pub remaining: Duration,
}

impl Leader {
    /// Whether it is no Warren host: a Python coordinator on the same Redis, for example. Leader-only work is its then.
    pub fn is_foreign(&self) -> bool {
        self.term == Term(0)
    }
}

/// A host that waits for the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub host: HostName,
    /// As [`HolderId`] prints it.
    pub holder: String,
    pub score: Score,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// The lease is this holder's, in a new term. A repeat of the same bid while it holds gets the same term.
    Won(Term),
    /// Somebody else leads.
    Held(Leader),
    /// Nobody leads, but for so long the lease is reserved for another host, or a better one that waits goes first.
    Wait(Duration),
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
    /// If the lease is free, take it *and* the next term, in one step. Who does not win waits from then on.
    async fn acquire(&self, bid: &Bid) -> Result<Acquired, StoreError>;

    /// Extend the lease if it is this holder's in this term; `Fenced` means: step down now.
    async fn renew(&self, fence: &Fence, ttl: Duration) -> Result<(), StoreError>;

    /// Give the lease up, if it is this holder's, and wake those who wait for it. A repeat is fine.
    async fn release(&self, fence: &Fence) -> Result<(), StoreError>;

    /// Who leads now; nothing if the lease is free.
    async fn leader(&self) -> Result<Option<Leader>, StoreError>;

    /// Changes whenever the lease may have become free otherwise than by running out. Ask before the bid: what happens from
    /// then on is told, if need be once the store can be heard again.
    fn vacancies(&self) -> watch::Receiver<()>;

    /// Who waits for the lease, best first.
    async fn candidates(&self) -> Result<Vec<Candidate>, StoreError>;

    /// Wait no more. A repeat is fine.
    async fn withdraw(&self, holder: &HolderId) -> Result<(), StoreError>;

    /// For `span`, only `host` may acquire. Leader-only.
    async fn reserve(&self, fence: &Fence, host: &HostName, span: Duration) -> Result<(), StoreError>;

    /// Keep the leader's state, with a checksum and the term. Leader-only.
    async fn save_state(&self, fence: &Fence, body: &str) -> Result<(), StoreError>;

    async fn load_state(&self) -> Result<Inherited, StoreError>;
}
