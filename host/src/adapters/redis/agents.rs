//! What operators see and set of an agent.

use async_trait::async_trait;
use redis::Value;

use super::{
    RedisStore,
    reply::{Reply, number},
};
use crate::{
    domain::{
        breaker::{Breaker, BreakerMode, Transition},
        ids::{AgentId, AgentName},
        time::UnixMillis,
    },
    ports::{
        agent_records::{AgentItems, AgentRecord, AgentRecords, BreakerCommand, BreakerRecord},
        store::StoreError,
    },
};

/// Agents that one call of the script tells.
const AT_ONCE: u32 = 500;
/// Breakers that one call tells, so that it takes about a millisecond.
const BREAKERS_AT_ONCE: u32 = 250;

fn corrupt(what: String) -> StoreError {
    StoreError::Corrupt(format!("agents: {what}"))
}

/// Mode and numbers, as scripts tell them one after another.
fn breaker(reply: &mut Reply, id: &AgentId) -> Result<Breaker, StoreError> {
    let mode = match reply.text()?.as_str() {
        "automatic" => BreakerMode::Automatic,
        "forced_open" => BreakerMode::ForcedOpen,
        "disabled" => BreakerMode::Disabled,
        other => return Err(corrupt(format!("agent {id}: {other:?} is not a breaker mode"))),
    };
    Ok(Breaker {
        mode,
        failures: reply.small()?,
        exponent: reply.small()?,
        healthy_since: reply.time()?,
        open_until: reply.time()?,
        probed: reply.flag()?,
        lease_losses: reply.small()?,
    })
}

/// One breaker, as the script `backoff` tells it.
fn breaker_record(value: Value, now: UnixMillis) -> Result<BreakerRecord, StoreError> {
    let mut reply = Reply::new(value)?;
    let id = AgentId::new(reply.text()?).map_err(|error| corrupt(error.to_string()))?;
    Ok(BreakerRecord {
        name: AgentName::new(reply.text()?).map_err(|error| corrupt(error.to_string()))?,
        breaker: breaker(&mut reply, &id)?,
        id,
        // A reason that this version does not know was written by a newer one.
        last_reason: reply.text()?.parse().ok(),
        last_detail: reply.text()?,
        now,
    })
}

/// One agent, as the script `agents` tells it.
fn record(value: Value, now: UnixMillis) -> Result<AgentRecord, StoreError> {
    let mut reply = Reply::new(value)?;
    let id = AgentId::new(reply.text()?).map_err(|error| corrupt(error.to_string()))?;
    let name = AgentName::new(reply.text()?).map_err(|error| corrupt(error.to_string()))?;
    let paused = reply.flag()?;
    let breaker = breaker(&mut reply, &id)?;
    let mut record = AgentRecord {
        id,
        name,
        paused,
        breaker,
        cool_until: reply.time()?,
        cool_downs: reply.small()?,
        last_started: reply.time()?,
        last_ended: reply.time()?,
        // A reason that this version does not know was written by a newer one, here and below.
        last_reason: reply.text()?.parse().ok(),
        last_detail: reply.text()?,
        posts_today: reply.small()?,
        comments_today: reply.small()?,
        items: AgentItems {
            active: reply.flag()?,
            queued: reply.count()?,
            waiting: reply.count()?,
            held: reply.count()?,
            behind_breaker: reply.count()?,
        },
        endings: Default::default(),
        now,
    };
    while reply.len() > 0 {
        let (reason, count) = (reply.text()?, reply.count()?);
        if let Ok(reason) = reason.parse() {
            record.endings.insert(reason, count);
        }
    }
    Ok(record)
}

impl RedisStore {
    async fn records(&self, which: &str, what: &str, limit: u32) -> Result<Vec<AgentRecord>, StoreError> {
        let call = self
            .calls
            .script(&self.calls.scripts.agents)
            .arg(which)
            .arg(what)
            .arg(limit);
        let mut reply = Reply::new(call.run().await?)?;
        let now = UnixMillis(reply.number()?);
        let mut records = Vec::with_capacity(reply.len());
        while let Some(agent) = reply.next() {
            records.push(record(agent, now)?);
        }
        Ok(records)
    }
}

#[async_trait]
impl AgentRecords for RedisStore {
    async fn agent(&self, id_or_name: &str) -> Result<Option<AgentRecord>, StoreError> {
        Ok(self.records("one", id_or_name, 1).await?.pop())
    }

    async fn agents(&self, after: Option<&AgentId>, limit: u32) -> Result<Vec<AgentRecord>, StoreError> {
        let mut found: Vec<AgentRecord> = Vec::new();
        while found.len() < limit as usize {
            let from = found
                .last()
                .map(|record| &record.id)
                .or(after)
                .map_or(String::new(), ToString::to_string);
            let wanted = (limit - found.len() as u32).min(AT_ONCE);
            let page = self.records("page", &from, wanted).await?;
            let last = page.len() < wanted as usize;
            found.extend(page);
            if last {
                break;
            }
        }
        Ok(found)
    }

    async fn set_paused(&self, agent: &AgentId, paused: bool) -> Result<bool, StoreError> {
        loop {
            let call = self.calls.script(&self.calls.scripts.pause);
            let mut reply = Reply::new(call.arg(agent.as_str()).arg(u8::from(paused)).run().await?)?;
            let (known, more) = (reply.flag()?, reply.flag()?);
            if !more {
                return Ok(known);
            }
        }
    }

    async fn set_paused_ahead(&self, agent: &AgentName, paused: bool) -> Result<bool, StoreError> {
        let call = self.calls.script(&self.calls.scripts.pause_ahead);
        Ok(number(call.arg(agent.as_str()).arg(u8::from(paused)).run().await?)? == 1)
    }

    async fn paused_ahead(&self, agent: &AgentName) -> Result<bool, StoreError> {
        let call = self.calls.script(&self.calls.scripts.paused_ahead);
        Ok(number(call.arg(agent.as_str()).run().await?)? == 1)
    }

    async fn command_breaker(
        &self,
        agent: &AgentId,
        command: BreakerCommand,
    ) -> Result<Option<Transition>, StoreError> {
        let (word, transition) = match command {
            BreakerCommand::Reset => ("reset", Transition::Reset),
            BreakerCommand::ForceOpen => ("force_open", Transition::ForcedOpen),
            BreakerCommand::Disable => ("disable", Transition::Disabled),
        };
        let mut rest = 0;
        loop {
            let call = self.calls.script(&self.calls.scripts.command);
            let mut reply = Reply::new(call.arg(agent.as_str()).arg(word).arg(rest).run().await?)?;
            let (known, more) = (reply.flag()?, reply.flag()?);
            if !more {
                return Ok(known.then_some(transition));
            }
            rest = 1;
        }
    }

    async fn in_backoff(&self, limit: u32) -> Result<Vec<BreakerRecord>, StoreError> {
        let (mut found, mut place) = (Vec::new(), String::new());
        while found.len() < limit as usize {
            let wanted = (limit - found.len() as u32).min(BREAKERS_AT_ONCE);
            let call = self.calls.script(&self.calls.scripts.backoff).arg(&place).arg(wanted);
            let mut reply = Reply::new(call.run().await?)?;
            let now = UnixMillis(reply.number()?);
            place = reply.text()?;
            while let Some(agent) = reply.next() {
                found.push(breaker_record(agent, now)?);
            }
            if place.is_empty() {
                break;
            }
        }
        Ok(found)
    }
}
