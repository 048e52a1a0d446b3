//! Adding items: merging, the breaker's and the operator's word, bounds, and the same answer to a repeat.

use rusqlite::params;

use super::{
    agents::{Agent, Place, busy},
    leadership::check_fence,
    places,
    rows::{millis, rank, small},
    worker::Step,
};
use crate::{
    domain::{
        ids::ItemId,
        work_item::{ItemState, TaskType, WorkItem},
    },
    ports::{
        store::StoreError,
        work_queue::{Enqueued, Fence, Requeued},
    },
};

pub(super) fn enqueue(
    step: &mut Step<'_>,
    fence: Option<&Fence>,
    items: &[WorkItem],
) -> Result<Vec<Enqueued>, StoreError> {
    if let Some(fence) = fence {
        check_fence(step, fence)?;
    }
    items.iter().map(|item| one(step, item)).collect()
}

fn one(step: &mut Step<'_>, item: &WorkItem) -> Result<Enqueued, StoreError> {
    if let Some(answer) = earlier_answer(step, item.id)? {
        return Ok(answer);
    }
    let mut agent = Agent::of(step, item)?;
    agent.rename(step, &item.agent_name)?;
    if item.task_type.hub_remembers() {
        if let Some(answer) = merge(step, item)? {
            return keep(step, item.id, answer);
        }
        if let Some(reason) = agent.skips(step.now) {
            return keep(step, item.id, Enqueued::Skipped { reason });
        }
    }
    let limit = step.policy.max_queue;
    if places::depth(step, item.priority)? >= limit {
        return keep(step, item.id, Enqueued::Full { limit });
    }
    let place = agent.place(item, step.now, busy(step, &item.agent_id)?, false);
    insert(step, item, &place)
}

/// What the same id was answered before.
fn earlier_answer(step: &Step<'_>, id: ItemId) -> Result<Option<Enqueued>, StoreError> {
    let id = id.to_string();
    let state = step.first("SELECT first_state FROM items WHERE id = ?1", [&id], |row| {
        row.get::<_, String>(0)
    })?;
    if let Some(state) = state {
        let state = state
            .parse()
            .map_err(|error| StoreError::Corrupt(format!("item {id}: {error}")))?;
        return Ok(Some(Enqueued::Added(state)));
    }
    let answer = step.first("SELECT kind, detail, news FROM answers WHERE id = ?1", [&id], |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, bool>(2)?,
        ))
    })?;
    let Some((kind, detail, news)) = answer else {
        return Ok(None);
    };
    let corrupt = || StoreError::Corrupt(format!("the answer to {id}: {kind} {detail:?}"));
    Ok(Some(match kind.as_str() {
        "merged" => Enqueued::Merged {
            into: ItemId::parse(&detail).map_err(|_| corrupt())?,
            news,
        },
        "skipped" => Enqueued::Skipped { reason: detail },
        "full" => Enqueued::Full {
            limit: detail.parse().map_err(|_| corrupt())?,
        },
        _ => return Err(corrupt()),
    }))
}

/// Keep the answer to an item that was not added.
fn keep(step: &Step<'_>, id: ItemId, answer: Enqueued) -> Result<Enqueued, StoreError> {
    let (kind, detail, news) = match &answer {
        Enqueued::Merged { into, news } => ("merged", into.to_string(), *news),
        Enqueued::Skipped { reason } => ("skipped", reason.clone(), false),
        Enqueued::Full { limit } => ("full", limit.to_string(), false),
        Enqueued::Added(_) => return Ok(answer),
    };
    step.run(
        "INSERT INTO answers (id, at, kind, detail, news) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![id.to_string(), step.now.0, kind, detail, news],
    )?;
    Ok(answer)
}

pub(super) const MERGEABLE: &str = "SELECT seq, id, inbox_count FROM items INDEXED BY items_mergeable WHERE agent_id = ?1 AND task_type = ?2 \
     AND task_type <> 'direct' AND state IN ('queued', 'waiting', 'delayed', 'held') \
     ORDER BY inbox_count DESC, seq LIMIT 1";
pub(super) const MERGEABLE_ACTIVE: &str =
    "SELECT seq, id, inbox_count FROM items WHERE state = 'active' AND agent_id = ?1 AND task_type = ?2";

/// Merge into an item of the agent and task type, if there is one to merge into. Of several (a recovered item and the one
/// that waited behind it) the one with the largest count is it, so that `news` is told only for what none of them covers.
fn merge(step: &Step<'_>, item: &WorkItem) -> Result<Option<Enqueued>, StoreError> {
    let read = |row: &rusqlite::Row<'_>| {
        Ok((
            row.get::<_, i64>(0)?,
            row.get::<_, String>(1)?,
            small(row.get::<_, i64>(2)?),
        ))
    };
    let key = params![item.agent_id.as_str(), item.task_type.as_str()];
    let open = step.first(MERGEABLE, key, read)?;
    let target = match open {
        Some(open) => Some(open),
        None => step
            .first(MERGEABLE_ACTIVE, key, read)?
            // More than the active one was made for: news, which waits behind it.
            .filter(|(_, _, active_count)| item.inbox_count <= *active_count),
    };
    let Some((seq, id, count)) = target else {
        return Ok(None);
    };
    let Ok(into) = ItemId::parse(&id) else { return Ok(None) };
    let news = item.inbox_count > count;
    if news {
        step.run(
            "UPDATE items SET inbox_count = ?2 WHERE seq = ?1",
            params![seq, item.inbox_count],
        )?;
    }
    Ok(Some(Enqueued::Merged { into, news }))
}

fn insert(step: &mut Step<'_>, item: &WorkItem, place: &Place) -> Result<Enqueued, StoreError> {
    let state = places::state(place);
    let (due_at, by_breaker, note) = places::columns(place);
    step.run(
        "INSERT INTO items (id, agent_id, agent_name, task_type, priority, inbox_count, created_at, attempt, payload, \
         min_interval, trace_context, state, first_state, note, due_at, by_breaker, ready_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12, ?13, ?14, ?15, ?16)",
        params![
            item.id.to_string(),
            item.agent_id.as_str(),
            item.agent_name.as_str(),
            item.task_type.as_str(),
            rank(item.priority),
            item.inbox_count,
            item.created_at.0,
            item.attempt.max(1),
            // Only a direct item has one.
            item.payload.as_ref().filter(|_| item.task_type == TaskType::Direct),
            millis(item.min_interval),
            item.trace_context,
            state.as_str(),
            note,
            due_at,
            by_breaker,
            step.now.0,
        ],
    )?;
    if state == ItemState::Queued {
        step.signals.ready += 1;
    }
    Ok(Enqueued::Added(state))
}

/// Put dead items back at the tail of their queue, with attempt 1, as far as it has room.
pub(super) fn requeue_dead(step: &mut Step<'_>, items: &[ItemId]) -> Result<Vec<Requeued>, StoreError> {
    items.iter().map(|id| requeue_one(step, &id.to_string())).collect()
}

fn requeue_one(step: &mut Step<'_>, id: &str) -> Result<Requeued, StoreError> {
    let dead = step.first(
        "SELECT priority FROM items WHERE id = ?1 AND state = 'dead'",
        [id],
        |row| row.get::<_, i64>(0),
    )?;
    let Some(rank) = dead else {
        return Ok(Requeued::NotDead);
    };
    if places::depth_of_rank(step, rank)? >= step.policy.max_queue {
        return Ok(Requeued::Full);
    }
    step.run(
        "UPDATE items SET seq = (SELECT max(seq) + 1 FROM items), state = 'queued', attempt = 1, note = '', \
         ready_at = ?2, reason = NULL, ended_at = NULL, resumed = 0 WHERE id = ?1",
        params![id, step.now.0],
    )?;
    step.signals.ready += 1;
    Ok(Requeued::Ready)
}

pub(super) fn purge_dead(step: &mut Step<'_>, items: &[ItemId]) -> Result<u64, StoreError> {
    let mut purged = 0;
    for id in items {
        purged += step.run("DELETE FROM items WHERE id = ?1 AND state = 'dead'", [id.to_string()])?;
    }
    Ok(purged)
}
