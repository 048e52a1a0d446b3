//! Claiming: the best ready item, strictly by priority but for the fairness share.

use std::time::Duration;

use rusqlite::params;

use super::{
    agents::{Agent, Place, busy},
    places,
    rows::{ITEM, StoredItem, millis, stored_item},
    worker::Step,
};
use crate::{
    domain::{
        breaker::BreakerState,
        ids::{AgentId, ClaimToken, HostName},
        work_item::Priority,
    },
    ports::{
        store::StoreError,
        work_queue::{ClaimRequest, Claimed},
    },
};

/// Items that one step moves out of the way, so that it keeps nobody waiting for long.
const MOST_MOVES: u32 = 256;

/// The first ready item of a priority behind another.
pub(super) const HEAD: &str = "SELECT seq, agent_id FROM items INDEXED BY items_ready \
     WHERE state = 'queued' AND priority = ?1 AND seq > ?2 ORDER BY seq LIMIT 1";

/// Where a walk begins, per priority.
const FROM_THE_FIRST: [i64; Priority::ALL.len()] = [i64::MIN; Priority::ALL.len()];

pub(super) struct Claims {
    pub claimed: Vec<Claimed>,
    /// It stopped at its bound of moves: ready items may be left, another step is to look.
    pub more: bool,
}

pub(super) fn claim(step: &mut Step<'_>, request: &ClaimRequest) -> Result<Claims, StoreError> {
    let mut claimed = Vec::new();
    let mut walk = Walk {
        after: FROM_THE_FIRST,
        avoid: &request.avoid,
        moves: 0,
    };
    let mut exhausted = false;
    for token in &request.tokens {
        match used(step, *token)? {
            Used::Active(claim) => claimed.push(*claim),
            Used::Ended => {}
            Used::Never if exhausted => {}
            Used::Never => match next(step, &mut walk)? {
                Some((item, probe)) => claimed.push(activate(step, item, probe, *token, &request.host, request.lease)?),
                None => exhausted = true,
            },
        }
    }
    Ok(Claims {
        claimed,
        more: walk.moves >= MOST_MOVES,
    })
}

/// What became of a token.
enum Used {
    Never,
    Active(Box<Claimed>),
    Ended,
}

fn used(step: &Step<'_>, token: ClaimToken) -> Result<Used, StoreError> {
    let text = token.to_string();
    let Some(item) = step.first("SELECT item FROM claims WHERE token = ?1", [&text], |row| {
        row.get::<_, String>(0)
    })?
    else {
        return Ok(Used::Never);
    };
    let sql = format!("SELECT {ITEM} FROM items WHERE id = ?1 AND state = 'active' AND token = ?2");
    Ok(match step.first(&sql, [&item, &text], stored_item)? {
        Some(item) if item.problem.is_none() => Used::Active(Box::new(Claimed {
            token,
            probe: item.probe,
            waited: item.waited,
            item: item.record.item,
        })),
        _ => Used::Ended,
    })
}

/// Where a claim call stands in the queues.
struct Walk<'a> {
    /// Per priority: where it is to go on, behind items that are left to others.
    after: [i64; Priority::ALL.len()],
    avoid: &'a [AgentId],
    moves: u32,
}

impl Walk<'_> {
    /// The first item of a priority (by rank) that is marked ready and is not left to others.
    fn head(&mut self, step: &Step<'_>, rank: usize) -> Result<Option<i64>, StoreError> {
        loop {
            let head = step.first(HEAD, params![rank as i64, self.after[rank]], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
            })?;
            match head {
                Some((seq, agent)) if self.avoid.iter().any(|a| a.as_str() == agent) => self.after[rank] = seq,
                head => return Ok(head.map(|(seq, _)| seq)),
            }
        }
    }
}

/// The next item to claim, and whether it is a probe. What turns out not to be ready is moved to where it belongs.
fn next(step: &mut Step<'_>, walk: &mut Walk<'_>) -> Result<Option<(StoredItem, bool)>, StoreError> {
    while walk.moves < MOST_MOVES {
        let mut heads = Vec::with_capacity(Priority::ALL.len());
        for rank in 0..Priority::ALL.len() {
            heads.extend(walk.head(step, rank)?);
        }
        // Ready items of lower priority wait behind a higher one: this claim counts for the share.
        let lower = heads.iter().skip(1).min().copied();
        let (seq, fair) = match (heads.first(), lower) {
            (None, _) => return Ok(None),
            (Some(first), None) => (*first, None),
            (Some(first), Some(lower)) => {
                let turn = step.policy.fairness != 0 && passed_over(step)? + 1 >= i64::from(step.policy.fairness);
                (if turn { lower } else { *first }, Some(turn))
            }
        };
        let item = step.first(&format!("SELECT {ITEM} FROM items WHERE seq = ?1"), [seq], stored_item)?;
        let Some(item) = item else {
            return Err(StoreError::Corrupt(
                "an index of the queue names an item that is not there".to_owned(),
            ));
        };
        let readied = step.signals.ready;
        if let Some(probe) = ready(step, &item)? {
            if let (Some(turn), true) = (fair, step.policy.fairness != 0) {
                count_share(step, turn)?;
            }
            return Ok(Some((item, probe)));
        }
        if step.signals.ready != readied {
            // An item became ready: it may stand before what was walked past.
            walk.after = FROM_THE_FIRST;
        }
        walk.moves += 1;
    }
    Ok(None)
}

/// Claims in a row for which a lower priority was passed over.
fn passed_over(step: &Step<'_>) -> Result<i64, StoreError> {
    let passed = step.first(
        "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'passed_over'",
        [],
        |row| row.get(0),
    )?;
    Ok(passed.unwrap_or(0))
}

fn count_share(step: &Step<'_>, turn: bool) -> Result<(), StoreError> {
    let passed = if turn { 0 } else { passed_over(step)? + 1 };
    step.run(
        "UPDATE meta SET value = ?1 WHERE key = 'passed_over'",
        [passed.to_string()],
    )?;
    Ok(())
}

/// Whether an item may be claimed, and then whether as a probe. If not, it has been moved.
fn ready(step: &mut Step<'_>, item: &StoredItem) -> Result<Option<bool>, StoreError> {
    if let Some(problem) = &item.problem {
        places::bury(step, item, problem)?;
        return Ok(None);
    }
    let work = &item.record.item;
    let agent = match Agent::of(step, work) {
        Err(StoreError::Corrupt(problem)) => {
            places::bury(step, item, &problem)?;
            return Ok(None);
        }
        agent => agent?,
    };
    match agent.place(work, step.now, busy(step, &work.agent_id)?, item.resumed) {
        Place::Queued => {
            let half_open = matches!(agent.breaker.state(step.now), BreakerState::HalfOpen { .. });
            Ok(Some(half_open))
        }
        elsewhere => {
            places::put(step, item, &elsewhere, item.resumed)?;
            if elsewhere != Place::Waiting {
                places::release_waiting(step, &work.agent_id)?;
            }
            Ok(None)
        }
    }
}

fn activate(
    step: &mut Step<'_>,
    item: StoredItem,
    probe: bool,
    token: ClaimToken,
    host: &HostName,
    lease: Duration,
) -> Result<Claimed, StoreError> {
    let waited = step.now.since(item.ready_at);
    let text = token.to_string();
    step.run(
        "UPDATE items SET state = 'active', host = ?2, token = ?3, lease_until = ?4, probe = ?5, waited = ?6, note = '', \
         started_before = (SELECT last_started FROM agents WHERE id = agent_id) WHERE seq = ?1",
        params![item.seq, host.as_str(), text, (step.now + lease).0, probe, millis(waited)],
    )?;
    let work = item.record.item;
    step.run(
        "INSERT INTO claims (token, item) VALUES (?1, ?2)",
        params![text, work.id.to_string()],
    )?;
    step.run(
        "UPDATE agents SET last_started = ?2 WHERE id = ?1",
        params![work.agent_id.as_str(), step.now.0],
    )?;
    Ok(Claimed {
        token,
        item: work,
        probe,
        waited,
    })
}
