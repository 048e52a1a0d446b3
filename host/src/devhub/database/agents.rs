//! Agents and people: registration, and the lists that the leader polls.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;

use super::ledger::{self, Effect};
use super::values::{Author, Moment};
use super::{Change, new_id};
use crate::devhub::input;
use crate::devhub::problem::Problem;
use axum::http::StatusCode;

/// An agent in a list.
#[derive(Clone, Debug, Serialize)]
pub(in crate::devhub) struct Agent {
    pub(in crate::devhub) id: String,
    pub(in crate::devhub) name: String,
    pub(in crate::devhub) notification_count: i64,
    pub(in crate::devhub) last_activated_at: Option<Moment>,
}

/// Which agents a list holds, and in what order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::devhub) enum Listing {
    /// All, by name.
    All,
    /// Those with unread notifications, most first.
    Unread,
    /// Those that never ran, then those that have not run since this moment (in microseconds), longest ago first.
    NotSince(i64),
}

/// At most `limit` agents.
pub(in crate::devhub) fn list(connection: &Connection, listing: Listing, limit: u32) -> Result<Vec<Agent>, Problem> {
    let (filter, since) = match listing {
        Listing::All => ("?1 IS NULL ORDER BY name", None),
        Listing::Unread => ("?1 IS NULL AND unread > 0 ORDER BY unread DESC, name", None),
        Listing::NotSince(since) => (
            "last_activated IS NULL OR last_activated <= ?1 ORDER BY last_activated, name",
            Some(since),
        ),
    };
    let sql = format!("SELECT id, name, unread, last_activated FROM agents WHERE {filter} LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let agents = statement
        .query_map(params![since, limit], agent)?
        .collect::<Result<_, _>>()?;
    Ok(agents)
}

fn agent(row: &Row<'_>) -> rusqlite::Result<Agent> {
    Ok(Agent {
        id: row.get(0)?,
        name: row.get(1)?,
        notification_count: row.get(2)?,
        last_activated_at: row.get(3)?,
    })
}

/// Registers an agent. True if it is new, false if this very agent was there already.
///
/// # Errors
/// 422 for a name or id against the rules, 409 if the id or the name belongs to another agent.
pub(in crate::devhub) fn register(change: &mut Change<'_>, id: &str, name: &str) -> Result<bool, Problem> {
    input::check_agent_name(name)?;
    input::check_id("id", id)?;
    let taken = change
        .tx
        .query_row(
            "SELECT id, name FROM agents WHERE id = ?1 OR name = ?2",
            [id, name],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)),
        )
        .optional()?;
    if let Some((other_id, other_name)) = taken {
        if other_id == id && other_name == name {
            return Ok(false);
        }
        let message = format!("agent {id:?} ({name:?}) clashes with agent {other_id:?} ({other_name:?}); rename one");
        return Err(Problem::new(StatusCode::CONFLICT, "agent_exists", message));
    }
    change
        .tx
        .execute("INSERT INTO agents (id, name) VALUES (?1, ?2)", [id, name])?;
    change.event("agent", &serde_json::json!({ "id": id, "name": name }))?;
    ledger::record(
        change,
        Effect {
            agent_id: Some(id),
            ..Effect::new("registered")
        },
    )?;
    Ok(true)
}

/// Notes that an agent was activated now.
pub(in crate::devhub) fn activated(change: &mut Change<'_>, id: &str) -> Result<(), Problem> {
    let sql = "UPDATE agents SET last_activated = ?2 WHERE id = ?1";
    if change.tx.execute(sql, params![id, change.now])? == 0 {
        return Err(Problem::unknown("agent with the id", id));
    }
    ledger::record(
        change,
        Effect {
            agent_id: Some(id),
            ..Effect::new("activated")
        },
    )
}

/// 404 unless an agent has this id.
pub(in crate::devhub) fn must_exist(connection: &Connection, id: &str) -> Result<(), Problem> {
    let known = connection
        .prepare_cached("SELECT 1 FROM agents WHERE id = ?1")?
        .exists([id])?;
    if known {
        Ok(())
    } else {
        Err(Problem::unknown("agent with the id", id))
    }
}

/// The id of the agent with this name.
pub(in crate::devhub) fn id_of(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached("SELECT id FROM agents WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

/// The agent or person with this id.
pub(in crate::devhub) fn author(connection: &Connection, id: &str) -> Result<Author, Problem> {
    let sql = "SELECT id, name, 'agent' FROM agents WHERE id = ?1
               UNION ALL SELECT id, name, 'person' FROM people WHERE id = ?1 LIMIT 1";
    let found = connection
        .prepare_cached(sql)?
        .query_row([id], |row| Author::at(row, 0))
        .optional()?;
    found.ok_or_else(|| {
        let shown = crate::devhub::problem::shorten(id);
        let message = format!(
            "there is no agent with the id {shown:?}; register it with POST /api/v1/agents, or write as a person \
             with author_name instead of agent_id"
        );
        Problem::invalid("agent_id", message)
    })
}

/// The person with this name, who comes into being with the first thing they write.
///
/// # Errors
/// 422 for a name against the rules, or one that belongs to an agent: nobody writes in an agent's name by mistake.
pub(in crate::devhub) fn person(change: &Change<'_>, name: &str) -> Result<Author, Problem> {
    input::check_person_name(name)?;
    if id_of(&change.tx, &name.to_lowercase())?.is_some() {
        let message = format!("author_name is {name:?}, which is the name of an agent; choose another");
        return Err(Problem::invalid("author_name", message));
    }
    let id = new_id();
    change.tx.execute(
        "INSERT INTO people (id, name) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        [&id, name],
    )?;
    let id = change
        .tx
        .query_row("SELECT id FROM people WHERE name = ?1", [name], |row| row.get(0))?;
    Ok(Author {
        id,
        name: name.to_owned(),
        kind: "person".to_owned(),
    })
}
