//! Numbers for plugin generations, the same on every host.

use async_trait::async_trait;

use super::store::StoreError;
use crate::domain::{ids::PluginName, plugin::Digest};

#[async_trait]
pub trait PluginStore: Send + Sync {
    /// The generation number of this digest: the one it was given before, else the plugin's next, from 1.
    async fn generation(&self, plugin: &PluginName, digest: &Digest) -> Result<u32, StoreError>;
}
