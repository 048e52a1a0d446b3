//! Items in pages, for whoever looks at the queue.

use rusqlite::{Connection, OptionalExtension, params};

use super::rows::{ITEM, StoredItem, int, large, stored_item};
use crate::{
    domain::{
        ending::Reason,
        work_item::{ItemState, TaskType},
    },
    ports::work_queue::{ItemFilter, ItemPage},
};

/// Items that one call looks at where no index selects them.
const LOOKED_AT: u32 = 5_000;

/// One page. What has an index of its own (an agent's items, dead ones) is read to its end; else only so many items are
/// looked at, because the others wait for the reading thread meanwhile.
pub(super) fn page(db: &Connection, filter: &ItemFilter) -> rusqlite::Result<ItemPage> {
    let last = if indexed(filter) {
        None
    } else {
        last_looked_at(db, filter)?
    };
    let found = select(db, filter, last)?;
    let next = if found.len() == filter.limit as usize {
        found.last().map(|item| item.seq)
    } else {
        last
    };
    Ok(ItemPage {
        items: found.into_iter().map(|item| item.record).collect(),
        next: next.map(large),
    })
}

fn indexed(filter: &ItemFilter) -> bool {
    filter.agent.is_some() || filter.state == Some(ItemState::Dead)
}

/// The place that this call stops at, if there may be more behind it.
fn last_looked_at(db: &Connection, filter: &ItemFilter) -> rusqlite::Result<Option<i64>> {
    let (after, order) = direction(filter);
    db.prepare_cached(&format!(
        "SELECT seq FROM items WHERE (?1 IS NULL OR seq {after} ?1) ORDER BY seq {order} LIMIT 1 OFFSET ?2"
    ))?
    .query_row(params![filter.after.map(int), LOOKED_AT - 1], |row| row.get(0))
    .optional()
}

/// What comes after a place, and the order of that.
fn direction(filter: &ItemFilter) -> (&'static str, &'static str) {
    if filter.oldest_first {
        (">", "ASC")
    } else {
        ("<", "DESC")
    }
}

fn select(db: &Connection, filter: &ItemFilter, last: Option<i64>) -> rusqlite::Result<Vec<StoredItem>> {
    let (after, order) = direction(filter);
    let until = if filter.oldest_first { "<=" } else { ">=" };
    // Conditions that are not asked for are left out, so that SQLite can choose an index for the others; the state is
    // written out, because an index of one state is chosen by the text.
    let mut sql = format!("SELECT {ITEM} FROM items WHERE true");
    if let Some(state) = filter.state {
        sql.push_str(&format!(" AND state = '{state}'"));
    }
    for (asked, condition) in [
        (filter.agent.is_some(), " AND agent_id = ?1".to_owned()),
        (filter.task_type.is_some(), " AND task_type = ?2".to_owned()),
        (filter.reason.is_some(), " AND reason = ?3".to_owned()),
        (filter.after.is_some(), format!(" AND seq {after} ?4")),
        (last.is_some(), format!(" AND seq {until} ?5")),
    ] {
        if asked {
            sql.push_str(&condition);
        }
    }
    sql.push_str(&format!(" ORDER BY seq {order} LIMIT ?6"));
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(
        params![
            filter.agent.as_ref().map(|agent| agent.as_str()),
            filter.task_type.map(TaskType::as_str),
            filter.reason.map(Reason::as_str),
            filter.after.map(int),
            last,
            filter.limit
        ],
        stored_item,
    )?;
    rows.collect()
}
