//! Effects: begun once, counted once, remembered with their result.

use async_trait::async_trait;

use super::{
    RedisStore,
    reply::{Reply, number},
};
use crate::{
    domain::effect::{EffectKey, EffectKind},
    ports::{
        effects::{EffectIntent, EffectStart, Effects},
        store::StoreError,
    },
};

#[async_trait]
impl Effects for RedisStore {
    async fn begin(&self, intent: &EffectIntent) -> Result<EffectStart, StoreError> {
        let (name, limit) = match intent.kind {
            EffectKind::Post => ("max_daily_posts", intent.limits.max_daily_posts),
            EffectKind::Comment => ("max_daily_comments", intent.limits.max_daily_comments),
        };
        let call = self
            .calls
            .script(&self.calls.scripts.effect_begin)
            .arg(intent.item.to_string())
            .arg(intent.token.to_string())
            .arg(intent.agent.as_str())
            .arg(intent.key.as_str())
            .arg(intent.kind.as_str())
            .arg(name)
            .arg(limit)
            .arg(intent.thread.as_deref().unwrap_or_default())
            .arg(intent.limits.max_responses_per_thread);
        let mut reply = Reply::new(call.run().await?)?;
        Ok(match reply.text()?.as_str() {
            "fresh" => EffectStart::Fresh,
            "unknown" => EffectStart::Unknown,
            "done" => EffectStart::Done { result: reply.text()? },
            "limit" => EffectStart::LimitReached { limit: reply.text()? },
            other => return Err(StoreError::Corrupt(format!("{other:?} is no start of an effect"))),
        })
    }

    async fn finish(&self, key: &EffectKey, result: &str) -> Result<(), StoreError> {
        let call = self.calls.script(&self.calls.scripts.effect_finish);
        if number(call.arg(key.as_str()).arg(result).run().await?)? == 0 {
            return Err(StoreError::Corrupt(format!(
                "the effect {key} is to be finished, but was never begun"
            )));
        }
        Ok(())
    }

    async fn abandon(&self, intent: &EffectIntent) -> Result<(), StoreError> {
        let call = self.calls.script(&self.calls.scripts.effect_abandon);
        call.arg(intent.item.to_string())
            .arg(intent.token.to_string())
            .arg(intent.agent.as_str())
            .arg(intent.key.as_str())
            .run()
            .await?;
        Ok(())
    }

    async fn note_keys(&self, address: &str, honoured: bool) -> Result<(), StoreError> {
        let mut command = redis::cmd("HSET");
        command
            .arg(self.calls.keys.of("data"))
            .arg(format!("u{address}"))
            .arg(u8::from(honoured));
        self.calls.command(&command).await
    }

    async fn keys_honoured(&self, address: &str) -> Result<bool, StoreError> {
        let mut command = redis::cmd("HGET");
        command.arg(self.calls.keys.of("data")).arg(format!("u{address}"));
        let noted: Option<String> = self.calls.command(&command).await?;
        Ok(noted.as_deref() == Some("1"))
    }
}
