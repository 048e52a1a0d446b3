//! Keys and values of an agent.

use async_trait::async_trait;
use rusqlite::{OptionalExtension, params};

use super::{
    SqliteStore,
    finish::check_claim,
    rows::{int, large, unavailable},
    worker::Step,
};
use crate::ports::{
    agent_state::{AgentState, StateQuota, StateScope, Written},
    store::StoreError,
};

fn set(
    step: &Step<'_>,
    scope: &StateScope,
    key: &str,
    value: &[u8],
    quota: &StateQuota,
) -> Result<Written, StoreError> {
    check_claim(step, &scope.agent, scope.item, scope.token)?;
    if value.len() as u64 > quota.value {
        let over = format!(
            "a value of {} bytes is over the limit of {} bytes",
            value.len(),
            quota.value
        );
        return Ok(Written::OverQuota(over));
    }
    let agent = scope.agent.as_str();
    let others = step.first(
        "SELECT count(*), coalesce(sum(size), 0) FROM agent_state WHERE agent_id = ?1 AND key <> ?2",
        params![agent, key],
        |row| Ok((large(row.get(0)?), large(row.get(1)?))),
    )?;
    let (keys, bytes) = others.unwrap_or_default();
    if keys + 1 > u64::from(quota.keys) {
        return Ok(Written::OverQuota(format!(
            "one more key is over the limit of {} keys",
            quota.keys
        )));
    }
    let size = (key.len() + value.len()) as u64;
    if bytes + size > quota.bytes {
        let over = format!(
            "{size} bytes more than the {bytes} that are kept is over the limit of {} bytes",
            quota.bytes
        );
        return Ok(Written::OverQuota(over));
    }
    step.run(
        "INSERT INTO agent_state (agent_id, key, size, value) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (agent_id, key) DO UPDATE SET size = excluded.size, value = excluded.value",
        params![agent, key, int(size), value],
    )?;
    Ok(Written::Ok)
}

#[async_trait]
impl AgentState for SqliteStore {
    async fn get(&self, scope: &StateScope, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let (agent, key) = (scope.agent.clone(), key.to_owned());
        self.workers
            .read(move |db, _| {
                db.prepare_cached("SELECT value FROM agent_state WHERE agent_id = ?1 AND key = ?2")
                    .and_then(|mut s| s.query_row(params![agent.as_str(), key], |row| row.get(0)).optional())
                    .map_err(unavailable)
            })
            .await
    }

    async fn set(
        &self,
        scope: &StateScope,
        key: &str,
        value: &[u8],
        quota: &StateQuota,
    ) -> Result<Written, StoreError> {
        let (scope, key, value, quota) = (scope.clone(), key.to_owned(), value.to_vec(), *quota);
        self.workers
            .write(move |step| set(step, &scope, &key, &value, &quota))
            .await
    }

    async fn delete(&self, scope: &StateScope, key: &str) -> Result<(), StoreError> {
        let (scope, key) = (scope.clone(), key.to_owned());
        self.workers
            .write(move |step| {
                check_claim(step, &scope.agent, scope.item, scope.token)?;
                step.run(
                    "DELETE FROM agent_state WHERE agent_id = ?1 AND key = ?2",
                    params![scope.agent.as_str(), key],
                )?;
                Ok(())
            })
            .await
    }

    async fn keys(&self, scope: &StateScope, after: Option<&str>, limit: u32) -> Result<Vec<String>, StoreError> {
        let (agent, after) = (scope.agent.clone(), after.map(str::to_owned));
        self.workers
            .read(move |db, _| {
                db.prepare_cached(
                    "SELECT key FROM agent_state WHERE agent_id = ?1 AND (?2 IS NULL OR key > ?2) ORDER BY key LIMIT ?3",
                )
                .and_then(|mut s| {
                    s.query_map(params![agent.as_str(), after, limit], |row| row.get(0))?.collect()
                })
                .map_err(unavailable)
            })
            .await
    }
}
