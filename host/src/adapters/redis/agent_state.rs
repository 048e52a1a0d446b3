//! Keys and values of an agent: a hash each.

use async_trait::async_trait;

use super::{RedisStore, keys::Kind, reply::Reply};
use crate::ports::{
    agent_state::{AgentState, StateQuota, StateScope, Written},
    store::StoreError,
};

/// What each of the keys holds.
const KIND: Kind = "hash";

#[async_trait]
impl AgentState for RedisStore {
    async fn get(&self, scope: &StateScope, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let own = self.calls.keys.state_of(&scope.agent);
        let mut command = redis::cmd("HGET");
        command.arg(&own).arg(key);
        self.calls.command_on(&command, &own, KIND).await
    }

    async fn set(
        &self,
        scope: &StateScope,
        key: &str,
        value: &[u8],
        quota: &StateQuota,
    ) -> Result<Written, StoreError> {
        let over = |words: String| Ok(Written::OverQuota(words));
        let too_large = value.len() as u64 > quota.value;
        let call = self
            .calls
            .script_on(
                &self.calls.scripts.state_set,
                Some((self.calls.keys.state_of(&scope.agent), KIND)),
            )
            .arg(scope.item.to_string())
            .arg(scope.token.to_string())
            .arg(scope.agent.as_str())
            .arg(key)
            // What is refused anyway need not travel; the claim is checked all the same.
            .arg(if too_large { &[] } else { value })
            .arg(if too_large { 0 } else { quota.bytes })
            .arg(quota.keys);
        let mut reply = Reply::new(call.run().await?)?;
        let answer = reply.text()?;
        if too_large {
            let (size, limit) = (value.len(), quota.value);
            return over(format!("a value of {size} bytes is over the limit of {limit} bytes"));
        }
        match answer.as_str() {
            "ok" => Ok(Written::Ok),
            "keys" => over(format!("one more key is over the limit of {} keys", quota.keys)),
            _ => over(format!(
                "{} bytes more than the {} that are kept is over the limit of {} bytes",
                key.len() + value.len(),
                reply.count()?,
                quota.bytes
            )),
        }
    }

    async fn delete(&self, scope: &StateScope, key: &str) -> Result<(), StoreError> {
        let own = self.calls.keys.state_of(&scope.agent);
        let call = self
            .calls
            .script_on(&self.calls.scripts.state_delete, Some((own, KIND)));
        call.arg(scope.item.to_string())
            .arg(scope.token.to_string())
            .arg(scope.agent.as_str())
            .arg(key)
            .run()
            .await?;
        Ok(())
    }

    async fn keys(&self, scope: &StateScope, after: Option<&str>, limit: u32) -> Result<Vec<String>, StoreError> {
        // All of an agent's keys are few, by its quota.
        let own = self.calls.keys.state_of(&scope.agent);
        let command = redis::cmd("HKEYS").arg(&own).to_owned();
        let mut keys: Vec<String> = self.calls.command_on(&command, &own, KIND).await?;
        keys.retain(|key| after.is_none_or(|after| key.as_str() > after));
        keys.sort_unstable();
        keys.truncate(limit as usize);
        Ok(keys)
    }
}
