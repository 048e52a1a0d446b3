//! What operators see and set of an agent.

use std::collections::BTreeMap;

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::{
    SqliteStore,
    agents::{Agent, select},
    places,
    rows::{large, small, unavailable},
    worker::Step,
};
use crate::{
    domain::{
        breaker::{BreakerMode, Transition},
        effect::EffectKind,
        ending::Reason,
        ids::{AgentId, AgentName},
        time::UnixMillis,
    },
    ports::{
        agent_records::{AgentItems, AgentRecord, AgentRecords, BreakerCommand, BreakerRecord},
        store::StoreError,
    },
};

/// An agent with its counts.
fn record(db: &Connection, agent: Agent, now: UnixMillis) -> Result<AgentRecord, StoreError> {
    Ok(AgentRecord {
        endings: endings(db, &agent.id).map_err(unavailable)?,
        posts_today: today(db, &agent.id, EffectKind::Post, now).map_err(unavailable)?,
        comments_today: today(db, &agent.id, EffectKind::Comment, now).map_err(unavailable)?,
        items: items(db, &agent.id).map_err(unavailable)?,
        id: agent.id,
        name: agent.name,
        paused: agent.paused,
        breaker: agent.breaker,
        cool_until: agent.cool_until,
        cool_downs: agent.cool_downs,
        last_started: agent.last_started,
        last_ended: agent.last_ended,
        last_reason: agent.last_reason,
        last_detail: agent.last_detail,
        now,
    })
}

fn endings(db: &Connection, agent: &AgentId) -> rusqlite::Result<BTreeMap<Reason, u64>> {
    let mut statement = db.prepare_cached("SELECT reason, n FROM endings WHERE agent_id = ?1")?;
    let rows = statement.query_map([agent.as_str()], |row| {
        let reason: Result<Reason, _> = row.get_ref(0)?.as_str()?.parse();
        Ok((reason, large(row.get(1)?)))
    })?;
    let mut endings = BTreeMap::new();
    for row in rows {
        // A reason that this version does not know was counted by a newer one: it has no name to be shown under.
        if let (Ok(reason), n) = row? {
            endings.insert(reason, n);
        }
    }
    Ok(endings)
}

fn items(db: &Connection, agent: &AgentId) -> rusqlite::Result<AgentItems> {
    let mut statement = db.prepare_cached(
        "SELECT state, count(*) FROM items WHERE agent_id = ?1 AND state IN ('active', 'queued', 'waiting', 'held') \
         GROUP BY state UNION ALL SELECT 'breaker', count(*) FROM items WHERE agent_id = ?1 AND state = 'delayed' \
         AND by_breaker",
    )?;
    let mut rows = statement.query([agent.as_str()])?;
    let mut items = AgentItems::default();
    while let Some(row) = rows.next()? {
        let count = large(row.get(1)?);
        match row.get_ref(0)?.as_str()? {
            "active" => items.active = count > 0,
            "queued" => items.queued = count,
            "waiting" => items.waiting = count,
            "held" => items.held = count,
            _ => items.behind_breaker = count,
        }
    }
    Ok(items)
}

fn today(db: &Connection, agent: &AgentId, kind: EffectKind, now: UnixMillis) -> rusqlite::Result<u32> {
    db.prepare_cached("SELECT count(*) FROM effects WHERE agent_id = ?1 AND day = ?2 AND kind = ?3")?
        .query_row(params![agent.as_str(), now.utc_day(), kind.as_str()], |row| {
            Ok(small(row.get(0)?))
        })
}

fn records(
    db: &Connection,
    condition: &str,
    params: impl rusqlite::Params,
    now: UnixMillis,
) -> Result<Vec<AgentRecord>, StoreError> {
    select(db, condition, params)?
        .into_iter()
        .map(|agent| record(db, agent, now))
        .collect()
}

/// What the index of agents in backoff is of, so that SQLite takes it.
const IN_BACKOFF: &str = "(mode = 'forced_open' OR (mode = 'automatic' AND open_until IS NOT NULL))";
/// Those with a time from which they may run, and then those without; a test holds that each uses an index.
pub(super) const OPEN: &str = "mode = 'automatic' AND open_until IS NOT NULL ORDER BY open_until, id LIMIT ?1";
pub(super) const FORCED_OPEN: &str = "mode = 'forced_open' ORDER BY id LIMIT ?1";

pub(super) fn of_backoff(condition: &str) -> String {
    format!("{IN_BACKOFF} AND {condition}")
}

fn in_backoff(db: &Connection, limit: u32, now: UnixMillis) -> Result<Vec<BreakerRecord>, StoreError> {
    let mut agents = select(db, &of_backoff(OPEN), [limit])?;
    let room = limit - u32::try_from(agents.len()).unwrap_or(limit).min(limit);
    agents.extend(select(db, &of_backoff(FORCED_OPEN), [room])?);
    let record = |agent: Agent| BreakerRecord {
        id: agent.id,
        name: agent.name,
        breaker: agent.breaker,
        last_reason: agent.last_reason,
        last_detail: agent.last_detail,
        now,
    };
    Ok(agents.into_iter().map(record).collect())
}

fn set_paused(step: &mut Step<'_>, id: &AgentId, paused: bool) -> Result<bool, StoreError> {
    let Some(mut agent) = Agent::load(step, id)? else {
        return Ok(false);
    };
    if agent.paused != paused {
        agent.paused = paused;
        agent.save(step)?;
        agent.tell_paused(step)?;
    }
    if paused {
        places::hold_all(step, id, "the agent is paused")?;
    } else if agent.breaker.mode != BreakerMode::ForcedOpen {
        places::ready_all(step, id, "state = 'held'")?;
    }
    Ok(true)
}

fn set_paused_ahead(step: &Step<'_>, name: &AgentName, paused: bool) -> Result<bool, StoreError> {
    let known = step.first("SELECT 1 FROM agents WHERE name = ?1", [name.as_str()], |_| Ok(()))?;
    if known.is_some() {
        return Ok(false);
    }
    let change = if paused {
        "INSERT INTO paused_ahead (name) VALUES (?1) ON CONFLICT DO NOTHING"
    } else {
        "DELETE FROM paused_ahead WHERE name = ?1"
    };
    step.run(change, [name.as_str()])?;
    Ok(true)
}

fn command_breaker(
    step: &mut Step<'_>,
    id: &AgentId,
    command: BreakerCommand,
) -> Result<Option<Transition>, StoreError> {
    let Some(mut agent) = Agent::load(step, id)? else {
        return Ok(None);
    };
    let transition = match command {
        BreakerCommand::Reset => agent.breaker.reset(),
        BreakerCommand::ForceOpen => agent.breaker.force_open(),
        BreakerCommand::Disable => agent.breaker.disable(),
    };
    agent.save(step)?;
    agent.tell(step, Some(transition))?;
    if command == BreakerCommand::ForceOpen {
        places::hold_all(step, id, "the breaker is forced open")?;
    } else {
        places::ready_all(step, id, "state = 'delayed' AND by_breaker")?;
        if !agent.paused {
            places::ready_all(step, id, "state = 'held'")?;
        }
    }
    Ok(Some(transition))
}

#[async_trait]
impl AgentRecords for SqliteStore {
    async fn agent(&self, id_or_name: &str) -> Result<Option<AgentRecord>, StoreError> {
        let wanted = id_or_name.to_owned();
        self.workers
            .read(move |db, now| {
                let mut found = records(db, "id = ?1", [&wanted], now)?;
                if found.is_empty() {
                    found = records(db, "name = ?1 ORDER BY id LIMIT 1", [&wanted], now)?;
                }
                Ok(found.pop())
            })
            .await
    }

    async fn agents(&self, after: Option<&AgentId>, limit: u32) -> Result<Vec<AgentRecord>, StoreError> {
        let after = after.map_or(String::new(), |id| id.as_str().to_owned());
        self.workers
            .read(move |db, now| records(db, "id > ?1 ORDER BY id LIMIT ?2", params![after, limit], now))
            .await
    }

    async fn set_paused(&self, agent: &AgentId, paused: bool) -> Result<bool, StoreError> {
        let agent = agent.clone();
        self.workers.write(move |step| set_paused(step, &agent, paused)).await
    }

    async fn set_paused_ahead(&self, agent: &AgentName, paused: bool) -> Result<bool, StoreError> {
        let name = agent.clone();
        self.workers
            .write(move |step| set_paused_ahead(step, &name, paused))
            .await
    }

    async fn paused_ahead(&self, agent: &AgentName) -> Result<bool, StoreError> {
        let name = agent.clone();
        self.workers
            .read(move |db, _| {
                db.prepare_cached("SELECT 1 FROM paused_ahead WHERE name = ?1")
                    .and_then(|mut statement| statement.exists([name.as_str()]))
                    .map_err(unavailable)
            })
            .await
    }

    async fn command_breaker(
        &self,
        agent: &AgentId,
        command: BreakerCommand,
    ) -> Result<Option<Transition>, StoreError> {
        let agent = agent.clone();
        self.workers
            .write(move |step| command_breaker(step, &agent, command))
            .await
    }

    async fn in_backoff(&self, limit: u32) -> Result<Vec<BreakerRecord>, StoreError> {
        self.workers.read(move |db, now| in_backoff(db, limit, now)).await
    }
}
