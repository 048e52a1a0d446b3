//! The periodic work of the queue: recover, promote, forget. Bounded per step; any number may run at any time.

use rusqlite::params;

use super::{
    finish::lose,
    places,
    rows::{ITEM, millis, stored_item},
    worker::Step,
};
use crate::{
    domain::ids::HostName,
    ports::{store::StoreError, work_queue::Swept},
};

/// Rows of one kind that one sweep touches.
const BOUND: u32 = 500;

/// The queries that choose what a sweep works on; a test holds that each uses an index.
pub(super) const EXPIRED: &str = "state = 'active' AND lease_until <= ?1 ORDER BY lease_until LIMIT ?2";
pub(super) const DUE: &str = "state = 'delayed' AND due_at <= ?1 ORDER BY due_at LIMIT ?2";
pub(super) const ODD: &str = "state NOT IN ('queued', 'waiting', 'delayed', 'held', 'active', 'done', 'dead') \
     OR priority NOT IN (0, 1, 2) OR (state = 'active' AND lease_until IS NULL) \
     OR (state = 'delayed' AND due_at IS NULL) LIMIT ?1";
/// What has grown too old: `?1` the time before which, `?2` how many.
pub(super) const OLD: [&str; 4] = [
    "DELETE FROM items WHERE seq IN (SELECT seq FROM items WHERE state = 'done' AND ended_at < ?1 LIMIT ?2)",
    "DELETE FROM claims WHERE token IN (SELECT token FROM claims WHERE ended_at IS NOT NULL AND ended_at < ?1 LIMIT ?2)",
    "DELETE FROM answers WHERE id IN (SELECT id FROM answers WHERE at < ?1 LIMIT ?2)",
    "DELETE FROM effects WHERE key IN (SELECT key FROM effects WHERE at < ?1 LIMIT ?2)",
];

pub(super) fn sweep(step: &mut Step<'_>) -> Result<Swept, StoreError> {
    let mut swept = Swept::default();
    let bound = u64::from(BOUND);

    let odd = step.all(
        &format!("SELECT {ITEM} FROM items INDEXED BY items_odd WHERE {ODD}"),
        [BOUND],
        stored_item,
    )?;
    swept.more |= odd.len() as u64 == bound;
    for item in odd {
        let problem = item.problem.clone().unwrap_or_else(|| "unreadable entry".to_owned());
        places::bury(step, &item, &problem)?;
    }

    let expired = step.all(
        &format!("SELECT {ITEM} FROM items INDEXED BY items_lease WHERE {EXPIRED}"),
        params![step.now.0, BOUND],
        stored_item,
    )?;
    swept.more |= expired.len() as u64 == bound;
    for item in expired {
        let host = item.record.host.clone();
        let (id, agent) = (item.record.item.id, item.record.item.agent_id.clone());
        lose(step, item)?;
        swept.recovered.extend(host.map(|host: HostName| (id, agent, host)));
    }

    swept.promoted = step.run(
        &format!(
            "UPDATE items SET state = 'queued', ready_at = due_at, due_at = NULL, by_breaker = 0, note = '' \
             WHERE seq IN (SELECT seq FROM items INDEXED BY items_due WHERE {DUE})"
        ),
        params![step.now.0, BOUND],
    )?;
    step.signals.ready += swept.promoted;
    swept.more |= swept.promoted == bound;

    for (sql, kept) in OLD.iter().zip([
        step.policy.keep_done,
        step.policy.keep_done,
        step.policy.keep_done,
        step.policy.keep_effects,
    ]) {
        let before = step.now.0.saturating_sub(millis(kept));
        let forgotten = step.run(sql, params![before, BOUND])?;
        swept.forgotten += forgotten;
        swept.more |= forgotten == bound;
    }
    Ok(swept)
}
