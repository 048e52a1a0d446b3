//! The event stream: bounded, in order, the same seen from every host.

use std::time::Duration;

use async_trait::async_trait;

use super::store::StoreError;
use crate::domain::event::{Event, NewEvent};

#[async_trait]
pub trait Events: Send + Sync {
    async fn append(&self, event: NewEvent) -> Result<(), StoreError>;

    /// Events after `seq` (0 for all that are kept), oldest first, at most `limit`. Waits up to `at_most` while there are
    /// none. Safe to cancel.
    async fn after(&self, seq: u64, limit: u32, at_most: Duration) -> Result<Vec<Event>, StoreError>;

    /// The newest event's `seq`; 0 if there has been none.
    async fn latest(&self) -> Result<u64, StoreError>;
}
