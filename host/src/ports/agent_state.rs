//! What an agent keeps between activations: keys and values of its own, within a quota.

use async_trait::async_trait;

use super::store::StoreError;
use crate::domain::ids::{AgentId, ClaimToken, ItemId};

/// On whose behalf state is touched. Writes are refused as `StaleClaim` once the claim is lost (I12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateScope {
    pub agent: AgentId,
    pub item: ItemId,
    pub token: ClaimToken,
}

/// How much an agent may keep; bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateQuota {
    /// Keys and values together.
    pub bytes: u64,
    pub keys: u32,
    pub value: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    Ok,
    /// Over the quota, which these words name with the limit; nothing was changed.
    OverQuota(String),
}

#[async_trait]
pub trait AgentState: Send + Sync {
    async fn get(&self, scope: &StateScope, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    async fn set(&self, scope: &StateScope, key: &str, value: &[u8], quota: &StateQuota)
    -> Result<Written, StoreError>;

    /// Deleting what is not there is fine.
    async fn delete(&self, scope: &StateScope, key: &str) -> Result<(), StoreError>;

    /// At most `limit` keys after `after`, in byte order.
    async fn keys(&self, scope: &StateScope, after: Option<&str>, limit: u32) -> Result<Vec<String>, StoreError>;
}
