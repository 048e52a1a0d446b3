//! Generation numbers.

use async_trait::async_trait;

use super::{RedisStore, reply::number};
use crate::{
    domain::{ids::PluginName, plugin::Digest},
    ports::{plugin_store::PluginStore, store::StoreError},
};

#[async_trait]
impl PluginStore for RedisStore {
    async fn generation(&self, plugin: &PluginName, digest: &Digest) -> Result<u32, StoreError> {
        let call = self.calls.script(&self.calls.scripts.generation);
        let answer = number(call.arg(plugin.as_str()).arg(digest.to_string()).run().await?)?;
        u32::try_from(answer).map_err(|_| StoreError::Corrupt(format!("{answer} is no generation number")))
    }
}
