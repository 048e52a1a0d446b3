//! Moving an item between the states in which nobody runs it. Every move goes through here, so that what belongs to one
//! state never outlives it.

use rusqlite::params;

use super::{
    agents::{Place, busy},
    rows::{ITEM, StoredItem, large, rank, stored_item},
    worker::Step,
};
use crate::{
    domain::{
        ending::Reason,
        event::NewEvent,
        ids::{AgentId, ItemId},
        time::UnixMillis,
        work_item::{ItemState, Priority},
    },
    ports::store::StoreError,
};

pub(super) fn state(place: &Place) -> ItemState {
    match place {
        Place::Queued => ItemState::Queued,
        Place::Waiting => ItemState::Waiting,
        Place::Delayed { .. } => ItemState::Delayed,
        Place::Held { .. } => ItemState::Held,
    }
}

/// The columns `due_at`, `by_breaker` and `note` of a place.
pub(super) fn columns(place: &Place) -> (Option<i64>, bool, &str) {
    match place {
        Place::Queued | Place::Waiting => (None, false, ""),
        Place::Delayed {
            until,
            by_breaker,
            note,
        } => (Some(until.0), *by_breaker, note),
        Place::Held { note } => (None, false, note),
    }
}

pub(super) fn find(step: &Step<'_>, id: ItemId) -> Result<Option<StoredItem>, StoreError> {
    step.first(
        &format!("SELECT {ITEM} FROM items WHERE id = ?1"),
        [id.to_string()],
        stored_item,
    )
}

/// Put an item where it belongs; it keeps its place in the order. `resumed` tells that its start was counted already.
pub(super) fn put(step: &mut Step<'_>, item: &StoredItem, place: &Place, resumed: bool) -> Result<(), StoreError> {
    let state = state(place);
    let (due_at, by_breaker, note) = columns(place);
    step.run(
        "UPDATE items SET state = ?2, due_at = ?3, by_breaker = ?4, note = ?5, ready_at = ?6, resumed = ?7, attempt = ?8, \
         reason = ?9, host = NULL, token = NULL, lease_until = NULL, probe = 0 WHERE seq = ?1",
        params![
            item.seq,
            state.as_str(),
            due_at,
            by_breaker,
            note,
            step.now.0,
            resumed,
            item.record.item.attempt,
            item.record.reason.map(Reason::as_str),
        ],
    )?;
    if state == ItemState::Queued {
        step.signals.ready += 1;
    }
    Ok(())
}

/// End an item: done or dead.
pub(super) fn end(
    step: &mut Step<'_>,
    item: &StoredItem,
    state: ItemState,
    reason: Option<Reason>,
    note: &str,
) -> Result<(), StoreError> {
    step.run(
        "UPDATE items SET state = ?2, reason = ?3, note = ?4, ended_at = ?5, due_at = NULL, by_breaker = 0, host = NULL, \
         token = NULL, lease_until = NULL, probe = 0 WHERE seq = ?1",
        params![item.seq, state.as_str(), reason.map(Reason::as_str), note, step.now.0],
    )?;
    step.signals.ended.push(item.record.item.id);
    Ok(())
}

/// Give up on a row that Warren can't have written: dead, with valid values where the row's are not, and the reason.
pub(super) fn bury(step: &mut Step<'_>, item: &StoredItem, problem: &str) -> Result<(), StoreError> {
    let fixed = &item.record.item;
    step.run(
        "UPDATE items SET id = ?2, agent_id = ?3, agent_name = ?4, task_type = ?5, priority = ?6, first_state = 'queued' \
         WHERE seq = ?1",
        params![
            item.seq,
            fixed.id.to_string(),
            fixed.agent_id.as_str(),
            fixed.agent_name.as_str(),
            fixed.task_type.as_str(),
            rank(fixed.priority),
        ],
    )?;
    end(step, item, ItemState::Dead, item.record.reason, problem)?;
    super::events::append(
        step,
        &NewEvent {
            kind: "item_unreadable",
            host: None,
            agent: Some(fixed.agent_id.clone()),
            item: Some(fixed.id),
            detail: problem.to_owned(),
        },
    )?;
    release_waiting(step, &fixed.agent_id)
}

pub(super) const NEXT_WAITING: &str =
    "SELECT seq FROM items WHERE agent_id = ?1 AND state = 'waiting' ORDER BY priority, seq LIMIT 1";

/// Make the agent's best waiting item ready, unless one is active or ready already. Called by whatever takes an item from
/// `queued` or `active`: so while items wait, one of their agent is ready or active, and none waits for ever.
pub(super) fn release_waiting(step: &mut Step<'_>, agent: &AgentId) -> Result<(), StoreError> {
    let next = step.first(NEXT_WAITING, [agent.as_str()], |row| row.get::<_, i64>(0))?;
    let Some(seq) = next else { return Ok(()) };
    if busy(step, agent)? {
        return Ok(());
    }
    step.run(
        "UPDATE items SET state = 'queued', note = '', ready_at = ?2 WHERE seq = ?1",
        params![seq, step.now.0],
    )?;
    step.signals.ready += 1;
    Ok(())
}

/// Make an agent's items of one state ready; those that are not will be moved when a claim reaches them.
pub(super) fn ready_all(step: &mut Step<'_>, agent: &AgentId, condition: &str) -> Result<(), StoreError> {
    let sql = format!(
        "UPDATE items SET state = 'queued', note = '', due_at = NULL, by_breaker = 0, ready_at = ?2 \
         WHERE agent_id = ?1 AND {condition}"
    );
    step.signals.ready += step.run(&sql, params![agent.as_str(), step.now.0])?;
    Ok(())
}

/// Hold an agent's ready and waiting items.
pub(super) fn hold_all(step: &mut Step<'_>, agent: &AgentId, note: &str) -> Result<(), StoreError> {
    step.run(
        "UPDATE items SET state = 'held', note = ?2 WHERE agent_id = ?1 AND state IN ('queued', 'waiting')",
        params![agent.as_str(), note],
    )?;
    Ok(())
}

/// Queued, waiting and held items of a priority: what its bound is about.
pub(super) fn depth(step: &Step<'_>, priority: Priority) -> Result<u64, StoreError> {
    depth_of_rank(step, rank(priority))
}

pub(super) fn depth_of_rank(step: &Step<'_>, rank: i64) -> Result<u64, StoreError> {
    // Three look-ups: for an IN, SQLite would build a table of the three words at each call.
    let depth = step.first(
        "SELECT (SELECT n FROM counts WHERE state = 'queued' AND priority = ?1) \
         + (SELECT n FROM counts WHERE state = 'waiting' AND priority = ?1) \
         + (SELECT n FROM counts WHERE state = 'held' AND priority = ?1)",
        [rank],
        |row| row.get::<_, Option<i64>>(0),
    )?;
    Ok(large(depth.flatten().unwrap_or(0)))
}

/// Note that a claim has ended, with the answer that a repeat gets.
pub(super) fn end_claim(
    step: &Step<'_>,
    item: &StoredItem,
    answer: &str,
    retry: Option<(UnixMillis, u32)>,
) -> Result<(), StoreError> {
    let (at, attempt) = retry.unwrap_or_default();
    step.run(
        "UPDATE claims SET ended_at = ?2, answer = ?3, retry_at = ?4, attempt = ?5 WHERE token = ?1",
        params![item.token.map(|t| t.to_string()), step.now.0, answer, at.0, attempt],
    )?;
    Ok(())
}
