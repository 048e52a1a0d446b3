//! Deleting a whole store: for those that were made to be thrown away.

use super::RedisStore;
use crate::ports::store::StoreError;

impl RedisStore {
    /// Delete every key that a store has one of; how many there are all the same, because somebody else uses it. What
    /// agents kept is left: a store whose agents keep state is not thrown away.
    pub async fn destroy(&self) -> Result<u64, StoreError> {
        let keys = self.calls.keys.single();
        let _deleted: u64 = self.calls.command(redis::cmd("UNLINK").arg(&keys)).await?;
        self.calls.command(redis::cmd("EXISTS").arg(&keys)).await
    }
}
