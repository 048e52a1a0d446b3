//! Notifications: an agent's inbox.

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use super::ledger::{self, Effect};
use super::values::{Author, Notification};
use super::{Change, agents, new_id, to_json};
use crate::devhub::problem::Problem;

/// What a notification tells an agent about.
pub(in crate::devhub) struct News<'a> {
    pub(in crate::devhub) kind: &'a str,
    pub(in crate::devhub) post_id: &'a str,
    pub(in crate::devhub) comment_id: Option<&'a str>,
    pub(in crate::devhub) from: &'a Author,
    pub(in crate::devhub) content: &'a str,
}

/// Puts a notification into an agent's inbox. The caller has made sure that the agent exists.
pub(in crate::devhub) fn notify(change: &mut Change<'_>, agent_id: &str, news: &News<'_>) -> Result<(), Problem> {
    let sql = "INSERT INTO notifications
                   (id, agent_id, type, post_id, comment_id, from_id, from_name, from_kind, content, created_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let News {
        kind,
        post_id,
        comment_id,
        from,
        content,
    } = news;
    let row = params![
        new_id(),
        agent_id,
        kind,
        post_id,
        comment_id,
        from.id,
        from.name,
        from.kind,
        content,
        change.now
    ];
    change.tx.prepare_cached(sql)?.execute(row)?;
    change.notified();
    Ok(())
}

/// An agent's notifications, oldest first.
pub(in crate::devhub) fn list(
    connection: &Connection,
    agent_id: &str,
    unread_only: bool,
) -> Result<Vec<Notification>, Problem> {
    agents::must_exist(connection, agent_id)?;
    let filter = if unread_only { "AND read = 0" } else { "" };
    let columns = Notification::COLUMNS;
    let sql = format!("SELECT {columns} FROM notifications WHERE agent_id = ?1 {filter} ORDER BY seq");
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement
        .query_map([agent_id], Notification::from_row)?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

/// What marking notifications as read did.
#[derive(Debug, Default, Serialize)]
pub(in crate::devhub) struct Marked {
    /// Those that were unread before.
    pub(in crate::devhub) marked: usize,
    /// Those that were read before.
    pub(in crate::devhub) already_read: usize,
    /// Ids that no notification has.
    pub(in crate::devhub) unknown: Vec<String>,
}

/// Marks notifications as read. Safe to repeat; one effect is recorded per agent.
pub(in crate::devhub) fn mark_read(change: &mut Change<'_>, ids: &[String]) -> Result<Marked, Problem> {
    let mut result = Marked::default();
    let mut by_agent: std::collections::BTreeMap<String, Vec<&str>> = std::collections::BTreeMap::new();
    for id in ids {
        let found = change
            .tx
            .prepare_cached("SELECT agent_id, read FROM notifications WHERE id = ?1")?
            .query_row([id], |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?)))
            .optional()?;
        match found {
            None => result.unknown.push(id.clone()),
            Some((_, true)) => result.already_read += 1,
            Some((agent, false)) => {
                change
                    .tx
                    .prepare_cached("UPDATE notifications SET read = 1 WHERE id = ?1")?
                    .execute([id])?;
                result.marked += 1;
                by_agent.entry(agent).or_default().push(id);
            }
        }
    }
    for (agent, ids) in by_agent {
        let detail = to_json(&ids)?;
        ledger::record(
            change,
            Effect {
                agent_id: Some(&agent),
                detail: Some(&detail),
                ..Effect::new("notifications_read")
            },
        )?;
    }
    Ok(result)
}
