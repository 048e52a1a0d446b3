//! Generation numbers.

use async_trait::async_trait;
use rusqlite::params;

use super::{SqliteStore, rows::small};
use crate::{
    domain::{ids::PluginName, plugin::Digest},
    ports::{plugin_store::PluginStore, store::StoreError},
};

#[async_trait]
impl PluginStore for SqliteStore {
    async fn generation(&self, plugin: &PluginName, digest: &Digest) -> Result<u32, StoreError> {
        let (plugin, digest) = (plugin.clone(), digest.to_string());
        self.workers
            .write(move |step| {
                let key = params![plugin.as_str(), digest];
                step.run(
                    "INSERT INTO generations (plugin, digest, number) \
                     SELECT ?1, ?2, (SELECT coalesce(max(number), 0) + 1 FROM generations WHERE plugin = ?1) WHERE true \
                     ON CONFLICT DO NOTHING",
                    key,
                )?;
                let sql = "SELECT number FROM generations WHERE plugin = ?1 AND digest = ?2";
                let number = step.first(sql, key, |row| row.get(0))?;
                number.map(small).ok_or_else(|| StoreError::Corrupt("a generation is gone".to_owned()))
            })
            .await
    }
}
