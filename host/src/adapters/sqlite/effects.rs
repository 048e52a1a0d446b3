//! Effects: begun once, counted once, remembered with their result.

use async_trait::async_trait;
use rusqlite::params;

use super::{SqliteStore, finish::check_claim, rows::large, worker::Step};
use crate::{
    domain::effect::{EffectKey, EffectKind},
    ports::{
        effects::{EffectIntent, EffectStart, Effects},
        store::StoreError,
    },
};

fn begin(step: &mut Step<'_>, intent: &EffectIntent) -> Result<EffectStart, StoreError> {
    check_claim(step, &intent.agent, intent.item, intent.token)?;
    let token = intent.token.to_string();
    let known = step.first(
        "SELECT result, token FROM effects WHERE key = ?1",
        [intent.key.as_str()],
        |row| Ok((row.get::<_, Option<String>>(0)?, row.get::<_, String>(1)?)),
    )?;
    match known {
        Some((Some(result), _)) => return Ok(EffectStart::Done { result }),
        // The same claim asks again: its first answer was lost on the way, and it gets that answer again.
        Some((None, begun_by)) if begun_by == token => return Ok(EffectStart::Fresh),
        Some((None, _)) => return Ok(EffectStart::Unknown),
        None => {}
    }
    if let Some(limit) = over_limit(step, intent)? {
        return Ok(EffectStart::LimitReached { limit });
    }
    step.run(
        "INSERT INTO effects (key, agent_id, kind, day, thread, token, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            intent.key.as_str(),
            intent.agent.as_str(),
            intent.kind.as_str(),
            step.now.utc_day(),
            intent.thread,
            token,
            step.now.0,
        ],
    )?;
    Ok(EffectStart::Fresh)
}

/// The limit that one more such effect would exceed, in words.
fn over_limit(step: &Step<'_>, intent: &EffectIntent) -> Result<Option<String>, StoreError> {
    let (name, limit) = match intent.kind {
        EffectKind::Post => ("max_daily_posts", intent.limits.max_daily_posts),
        EffectKind::Comment => ("max_daily_comments", intent.limits.max_daily_comments),
    };
    let today = step.first(
        "SELECT count(*) FROM effects WHERE agent_id = ?1 AND day = ?2 AND kind = ?3",
        params![intent.agent.as_str(), step.now.utc_day(), intent.kind.as_str()],
        |row| row.get(0),
    )?;
    if large(today.unwrap_or(0)) >= u64::from(limit) {
        return Ok(Some(format!("{name} of {limit} per UTC day is used up")));
    }
    let (EffectKind::Comment, Some(thread)) = (intent.kind, &intent.thread) else {
        return Ok(None);
    };
    let here = step.first(
        "SELECT count(*) FROM effects WHERE agent_id = ?1 AND thread = ?2",
        params![intent.agent.as_str(), thread],
        |row| row.get(0),
    )?;
    let limit = intent.limits.max_responses_per_thread;
    Ok((large(here.unwrap_or(0)) >= u64::from(limit))
        .then(|| format!("max_responses_per_thread of {limit} is used up in {thread}")))
}

fn finish(step: &mut Step<'_>, key: &EffectKey, result: &str) -> Result<(), StoreError> {
    let found = step.run(
        "UPDATE effects SET result = coalesce(result, ?2) WHERE key = ?1",
        params![key.as_str(), result],
    )?;
    if found == 0 {
        return Err(StoreError::Corrupt(format!(
            "the effect {key} is to be finished, but was never begun"
        )));
    }
    Ok(())
}

fn abandon(step: &mut Step<'_>, intent: &EffectIntent) -> Result<(), StoreError> {
    check_claim(step, &intent.agent, intent.item, intent.token)?;
    step.run(
        "DELETE FROM effects WHERE key = ?1 AND result IS NULL",
        [intent.key.as_str()],
    )?;
    Ok(())
}

#[async_trait]
impl Effects for SqliteStore {
    async fn begin(&self, intent: &EffectIntent) -> Result<EffectStart, StoreError> {
        let intent = intent.clone();
        self.workers.write(move |step| begin(step, &intent)).await
    }

    async fn finish(&self, key: &EffectKey, result: &str) -> Result<(), StoreError> {
        let (key, result) = (key.clone(), result.to_owned());
        self.workers.write(move |step| finish(step, &key, &result)).await
    }

    async fn abandon(&self, intent: &EffectIntent) -> Result<(), StoreError> {
        let intent = intent.clone();
        self.workers.write(move |step| abandon(step, &intent)).await
    }

    async fn note_keys(&self, address: &str, honoured: bool) -> Result<(), StoreError> {
        let address = address.to_owned();
        self.workers
            .write(move |step| {
                step.run(
                    "INSERT INTO hubs (address, honours_keys) VALUES (?1, ?2)
                     ON CONFLICT (address) DO UPDATE SET honours_keys = excluded.honours_keys",
                    params![address, honoured],
                )?;
                Ok(())
            })
            .await
    }

    async fn keys_honoured(&self, address: &str) -> Result<bool, StoreError> {
        let address = address.to_owned();
        self.workers
            .write(move |step| {
                let known = step.first("SELECT honours_keys FROM hubs WHERE address = ?1", [&address], |row| {
                    row.get(0)
                })?;
                Ok(known.unwrap_or(false))
            })
            .await
    }
}
