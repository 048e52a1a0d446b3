//! How claims end: completed, handed back, or lost. Item, breaker, cool-down and the agent's waiting items follow in one
//! step, so nobody ever sees one without the others.

use std::time::Duration;

use rusqlite::params;

use super::{
    agents::{Agent, Place},
    places,
    rows::{ITEM, StoredItem, small, stored_item},
    worker::Step,
};
use crate::{
    domain::{
        breaker::Transition,
        ending::{Ending, Reason},
        ids::{AgentId, ClaimToken, ItemId},
        time::UnixMillis,
        work_item::ItemState,
    },
    ports::{
        store::StoreError,
        work_queue::{Completed, Completion, GiveBack, Renewal, end_note},
    },
};

/// The shortest wait before a direct item is tried again whose end was nobody's fault.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// What is noted on an item that waits because a host could not run it.
const LEFT_TO_OTHERS: &str = "the host that took it can't run the agent's plugin";

pub(super) fn renew(step: &Step<'_>, renewals: &[Renewal], lease: Duration) -> Result<Vec<bool>, StoreError> {
    let until = (step.now + lease).0;
    renewals
        .iter()
        .map(|renewal| {
            // A claim lasts until it is recovered: as long as nobody else could have taken the item, going on is safe.
            let held = step.run(
                "UPDATE items SET lease_until = ?3, generation = coalesce(?4, generation) \
                 WHERE id = ?1 AND state = 'active' AND token = ?2",
                params![
                    renewal.item.to_string(),
                    renewal.token.to_string(),
                    until,
                    renewal.generation
                ],
            )?;
            Ok(held == 1)
        })
        .collect()
}

/// The item, if it is active under this token.
pub(super) fn held(step: &Step<'_>, item: ItemId, token: ClaimToken) -> Result<Option<StoredItem>, StoreError> {
    let found = places::find(step, item)?;
    Ok(found.filter(|found| {
        found.problem.is_none() && found.record.state == ItemState::Active && found.token == Some(token)
    }))
}

/// Refuse what is done under a claim that is not the agent's current one (I12).
pub(super) fn check_claim(step: &Step<'_>, agent: &AgentId, item: ItemId, token: ClaimToken) -> Result<(), StoreError> {
    let current = step.first(
        "SELECT 1 FROM items WHERE id = ?1 AND state = 'active' AND token = ?2 AND agent_id = ?3",
        params![item.to_string(), token.to_string(), agent.as_str()],
        |_| Ok(()),
    )?;
    current.ok_or(StoreError::StaleClaim)
}

/// What was answered when this claim ended, if it was ended by its holder.
fn answered(step: &Step<'_>, item: ItemId, token: ClaimToken) -> Result<Option<(String, UnixMillis, u32)>, StoreError> {
    step.first(
        "SELECT answer, retry_at, attempt FROM claims WHERE token = ?1 AND item = ?2 AND answer <> ''",
        params![token.to_string(), item.to_string()],
        |row| Ok((row.get(0)?, UnixMillis(row.get(1)?), small(row.get(2)?))),
    )
}

pub(super) fn complete(step: &mut Step<'_>, completion: &Completion) -> Result<Completed, StoreError> {
    let Some(mut item) = held(step, completion.item, completion.token)? else {
        return match answered(step, completion.item, completion.token)? {
            Some((answer, at, attempt)) => match answer.as_str() {
                "done" => Ok(Completed::Done),
                "dead" => Ok(Completed::Dead),
                "retry" => Ok(Completed::Retry { at, attempt }),
                _ => Err(StoreError::StaleClaim),
            },
            None => Err(StoreError::StaleClaim),
        };
    };
    if let Some(generation) = &completion.generation {
        step.run(
            "UPDATE items SET generation = ?2 WHERE seq = ?1",
            params![item.seq, generation],
        )?;
    }
    let ending = &completion.ending;
    let mut agent = Agent::of(step, &item.record.item)?;
    agent.ended(step, ending.reason, &ending.detail)?;
    let transition = agent
        .breaker
        .ended(step.now, ending.reason, &step.policy.breaker, rand::random());
    cool_down(&mut agent, step, ending.cools_down());
    agent.save(step)?;
    agent.tell(step, transition)?;
    let completed = settle(step, &mut item, ending, &agent)?;
    places::release_waiting(step, &agent.id)?;
    Ok(completed)
}

fn cool_down(agent: &mut Agent, step: &Step<'_>, cools: bool) {
    if cools {
        // Not jittered: one agent's pause meets no other's.
        agent.cool_until = Some(step.now + step.policy.cool_down.ceiling(agent.cool_downs));
        agent.cool_downs = agent.cool_downs.saturating_add(1);
    } else {
        agent.cool_until = None;
        agent.cool_downs = 0;
    }
}

/// What becomes of the item.
fn settle(step: &mut Step<'_>, item: &mut StoredItem, ending: &Ending, agent: &Agent) -> Result<Completed, StoreError> {
    let note = end_note(ending.reason, &ending.detail);
    let work = &item.record.item;
    if ending.reason == Reason::Ok || work.task_type.hub_remembers() {
        places::end(step, item, ItemState::Done, Some(ending.reason), &note)?;
        places::end_claim(step, item, "done", None)?;
        return Ok(Completed::Done);
    }
    let attempt = work.attempt;
    let exhausted = ending.reason.uses_attempt() && attempt >= step.policy.max_attempts;
    if ending.permanent || exhausted {
        let note = if exhausted && !ending.permanent {
            format!("{note} (attempt {attempt} of {})", step.policy.max_attempts)
        } else {
            note
        };
        places::end(step, item, ItemState::Dead, Some(ending.reason), &note)?;
        places::end_claim(step, item, "dead", None)?;
        return Ok(Completed::Dead);
    }
    let (attempt, wait) = if ending.reason.uses_attempt() {
        (attempt + 1, step.policy.retry.wait(attempt - 1, rand::random()))
    } else {
        let pause = step.policy.cool_down.ceiling(agent.cool_downs.saturating_sub(1));
        (attempt, pause.max(SHORTEST_PAUSE))
    };
    let at = step.now + wait;
    item.record.item.attempt = attempt;
    item.record.reason = Some(ending.reason);
    places::end_claim(step, item, "retry", Some((at, attempt)))?;
    places::put(
        step,
        item,
        &Place::Delayed {
            until: at,
            by_breaker: false,
            note,
        },
        false,
    )?;
    Ok(Completed::Retry { at, attempt })
}

pub(super) fn give_back(step: &mut Step<'_>, id: ItemId, token: ClaimToken, why: GiveBack) -> Result<(), StoreError> {
    let Some(item) = held(step, id, token)? else {
        return match answered(step, id, token)? {
            Some((answer, ..)) if answer == "returned" => Ok(()),
            _ => Err(StoreError::StaleClaim),
        };
    };
    places::end_claim(step, &item, "returned", None)?;
    let place = match why {
        GiveBack::Shutdown => Place::Queued,
        GiveBack::PluginUnavailable { retry_after } => {
            step.run(
                "UPDATE agents SET last_started = (SELECT started_before FROM items WHERE seq = ?2) WHERE id = ?1",
                params![item.record.item.agent_id.as_str(), item.seq],
            )?;
            Place::Delayed {
                until: step.now + retry_after,
                by_breaker: false,
                note: LEFT_TO_OTHERS.to_owned(),
            }
        }
    };
    places::put(step, &item, &place, true)?;
    if place != Place::Queued {
        places::release_waiting(step, &item.record.item.agent_id)?;
    }
    Ok(())
}

/// Items that were left to others are ready; nobody is woken for them.
pub(super) fn plugin_came(step: &mut Step<'_>, items: &[ItemId]) -> Result<u64, StoreError> {
    let mut came = 0;
    for item in items {
        came += step.run(
            "UPDATE items SET state = 'queued', note = '', due_at = NULL, ready_at = ?3 \
             WHERE id = ?1 AND state = 'delayed' AND note = ?2",
            params![item.to_string(), LEFT_TO_OTHERS, step.now.0],
        )?;
    }
    Ok(came)
}

/// The claim's host died: the item goes back to its old place with its attempt, and the agent is told of it.
pub(super) fn lose(step: &mut Step<'_>, mut item: StoredItem) -> Result<(), StoreError> {
    if let Some(problem) = item.problem.clone() {
        return places::bury(step, &item, &problem);
    }
    places::end_claim(step, &item, "", None)?;
    let id = item.record.item.agent_id.clone();
    let mut place = Place::Queued;
    item.record.reason = Some(Reason::LeaseLost);
    let mut agent = Agent::of(step, &item.record.item)?;
    let transition = agent.breaker.lease_lost(step.now, &step.policy.breaker, rand::random());
    if let Some(Transition::Opened { until, reason }) = transition {
        item.record.reason = Some(reason);
        place = Place::Delayed {
            until,
            by_breaker: true,
            note: format!(
                "the breaker is open: {} hosts in a row were lost",
                step.policy.breaker.lease_losses
            ),
        };
    }
    agent.ended(
        step,
        item.record.reason.unwrap_or(Reason::LeaseLost),
        "the claim's lease ran out",
    )?;
    agent.save(step)?;
    agent.tell(step, transition)?;
    places::put(step, &item, &place, true)?;
    if place != Place::Queued {
        places::release_waiting(step, &id)?;
    }
    Ok(())
}

/// End every claim now: their hosts are dead.
pub(super) fn release_all(step: &mut Step<'_>) -> Result<u64, StoreError> {
    let sql = format!("SELECT {ITEM} FROM items WHERE state = 'active' ORDER BY seq");
    let items = step.all(&sql, [], stored_item)?;
    let released = items.len() as u64;
    for item in items {
        lose(step, item)?;
    }
    Ok(released)
}
