//! Many agents with many notifications at once, for tests of scale.

use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::ledger::{self, Effect};
use super::posts::{self, Draft, Place, Writer};
use super::{Change, agents, new_id, to_json};
use crate::devhub::input;
use crate::devhub::problem::Problem;

/// The most agents of one call.
const AGENTS_LIMIT: u32 = 1_000_000;
/// The most notifications of one call.
const NOTIFICATIONS_LIMIT: u64 = 5_000_000;
const KINDS: [&str; 5] = ["mention", "reply", "follow", "like", "dm"];

/// What to create.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::devhub) struct Seed {
    /// Agents named `<prefix>-000001` and up; those that exist get more notifications.
    agents: u32,
    #[serde(default)]
    notifications_each: u32,
    /// Default `agent`.
    #[serde(default = "default_prefix")]
    prefix: String,
    /// The type of the notifications; default `mention`.
    #[serde(default = "default_kind", rename = "type")]
    kind: String,
}

fn default_prefix() -> String {
    "agent".to_owned()
}

fn default_kind() -> String {
    KINDS[0].to_owned()
}

/// What was created.
#[derive(Debug, Serialize)]
pub(in crate::devhub) struct Seeded {
    agents: usize,
    notifications: u64,
    /// The post that the notifications are about, if there are any.
    post_id: Option<String>,
}

impl Seed {
    fn check(&self) -> Result<(), Problem> {
        let Self {
            agents,
            notifications_each,
            prefix,
            kind,
        } = self;
        if *agents > AGENTS_LIMIT {
            return Err(Problem::invalid(
                "agents",
                format!("agents is {agents}; the limit is {AGENTS_LIMIT}"),
            ));
        }
        if u64::from(*agents) * u64::from(*notifications_each) > NOTIFICATIONS_LIMIT {
            let message = format!(
                "notifications_each is {notifications_each} for {agents} agents; the limit is {NOTIFICATIONS_LIMIT} \
                 notifications in one call"
            );
            return Err(Problem::invalid("notifications_each", message));
        }
        if !input::is_agent_name(&format!("{prefix}-{AGENTS_LIMIT}")) {
            let shown = crate::devhub::problem::shorten(prefix);
            let message = format!("prefix is {shown:?}; it must be at most 56 of a-z 0-9 - _ .");
            return Err(Problem::invalid("prefix", message));
        }
        if !KINDS.contains(&kind.as_str()) {
            let message = format!("type is {kind:?}; it must be one of {}", KINDS.join(", "));
            return Err(Problem::invalid("type", message));
        }
        Ok(())
    }
}

/// Creates the agents and notifications in one transaction. Other calls wait for it: some 10 µs a row in a debug build.
pub(in crate::devhub) fn seed(change: &mut Change<'_>, seed: &Seed) -> Result<Seeded, Problem> {
    seed.check()?;
    let mut created = 0;
    let name = |n: u32| format!("{}-{n:06}", seed.prefix);
    {
        let mut insert = change
            .tx
            .prepare("INSERT INTO agents (id, name) VALUES (?1, ?1) ON CONFLICT DO NOTHING")?;
        for n in 1..=seed.agents {
            created += insert.execute([name(n)])?;
        }
    }
    let each = seed.notifications_each;
    let post_id = if each > 0 && seed.agents > 0 {
        Some(seed_post(change)?)
    } else {
        None
    };
    if let Some(post_id) = &post_id {
        let mut insert = change.tx.prepare(
            "INSERT INTO notifications
                 (id, agent_id, type, post_id, from_id, from_name, from_kind, content, created_at)
             SELECT ?1, ?2, ?3, id, author_id, author_name, author_kind, content, created_at FROM posts WHERE id = ?4",
        )?;
        for n in 1..=seed.agents {
            let agent = name(n);
            for _ in 0..each {
                insert.execute(params![new_id(), agent, seed.kind, post_id])?;
            }
        }
        drop(insert);
        change.notified();
    }
    let detail = to_json(seed)?;
    ledger::record(
        change,
        Effect {
            detail: Some(&detail),
            target: post_id.as_deref(),
            ..Effect::new("seed")
        },
    )?;
    Ok(Seeded {
        agents: created,
        notifications: u64::from(seed.agents) * u64::from(each),
        post_id,
    })
}

fn seed_post(change: &mut Change<'_>) -> Result<String, Problem> {
    let author = agents::person(change, "Seed")?;
    let draft = Draft {
        writer: Writer::Id(author.id.clone()),
        content: "Hello, all of you.".to_owned(),
        place: Place::Post {
            title: Some("Seeded notifications".to_owned()),
            community: None,
        },
        idempotency_key: None,
    };
    Ok(posts::write(change, &author, &draft)?.0)
}
