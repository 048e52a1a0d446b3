//! Writing: posts and comments, once per `Idempotency-Key`, and the notifications they cause.

use rusqlite::{OptionalExtension, params};

use super::inbox::{self, News};
use super::ledger::{self, Effect};
use super::values::{Author, Comment, Post};
use super::{Change, agents, new_id, reading, to_json};
use crate::devhub::input;
use crate::devhub::mentions::mentions;
use crate::devhub::problem::Problem;
use axum::http::StatusCode;

/// The most agents that one text may mention: each mention is an activation somewhere.
const MENTIONS_LIMIT: usize = 50;

/// Who says that they write.
#[derive(Clone, Debug)]
pub(in crate::devhub) enum Writer {
    /// The agent (or person) with this id.
    Id(String),
    /// The person with this name.
    Person(String),
}

/// What is to be written; checked by [`submit`], not before, because a repeat gets the first answer whatever it says.
#[derive(Clone, Debug)]
pub(in crate::devhub) struct Draft {
    pub(in crate::devhub) writer: Writer,
    pub(in crate::devhub) content: String,
    pub(in crate::devhub) place: Place,
    pub(in crate::devhub) idempotency_key: Option<String>,
}

/// Where it is to be written.
#[derive(Clone, Debug)]
pub(in crate::devhub) enum Place {
    /// A new thread.
    Post {
        title: Option<String>,
        community: Option<String>,
    },
    /// A comment below this post.
    Comment { post_id: String },
}

/// The answer to a write: the first one, if this was a repeat.
#[derive(Debug)]
pub(in crate::devhub) struct Answer {
    pub(in crate::devhub) status: u16,
    /// The created post or comment as JSON.
    pub(in crate::devhub) body: String,
}

/// Writes a post or comment, or answers with what this author wrote under this key before.
pub(in crate::devhub) fn submit(change: &mut Change<'_>, draft: &Draft) -> Result<Answer, Problem> {
    let author = match &draft.writer {
        Writer::Id(id) => agents::author(&change.tx, id)?,
        Writer::Person(name) => agents::person(change, name)?,
    };
    let effect = match draft.place {
        Place::Post { .. } => "post",
        Place::Comment { .. } => "comment",
    };
    let key = draft.idempotency_key.as_deref();
    let effect = Effect {
        agent_id: Some(&author.id),
        idempotency_key: key,
        ..Effect::new(effect)
    };
    if let Some(key) = key
        && let Some((target, answer)) = first_answer(change, &author, key)?
    {
        ledger::record(
            change,
            Effect {
                target: Some(&target),
                repeat: true,
                ..effect
            },
        )?;
        return Ok(answer);
    }
    let (target, body) = write(change, &author, draft)?;
    let status = StatusCode::CREATED.as_u16();
    if let Some(key) = key {
        let sql = "INSERT INTO answers (author_id, key, status, target, body) VALUES (?1, ?2, ?3, ?4, ?5)";
        change
            .tx
            .prepare_cached(sql)?
            .execute(params![author.id, key, status, target, body])?;
    }
    ledger::record(
        change,
        Effect {
            target: Some(&target),
            ..effect
        },
    )?;
    Ok(Answer { status, body })
}

/// Checks and writes a draft; answers with the new id and its JSON.
pub(in crate::devhub) fn write(
    change: &mut Change<'_>,
    author: &Author,
    draft: &Draft,
) -> Result<(String, String), Problem> {
    input::check_content(&draft.content)?;
    match &draft.place {
        Place::Post { title, community } => post(change, author, draft, title.as_deref(), community.as_deref()),
        Place::Comment { post_id } => comment(change, author, draft, post_id),
    }
}

fn first_answer(change: &Change<'_>, author: &Author, key: &str) -> Result<Option<(String, Answer)>, Problem> {
    let sql = "SELECT target, status, body FROM answers WHERE author_id = ?1 AND key = ?2";
    let answer = |row: &rusqlite::Row<'_>| {
        Ok((
            row.get(0)?,
            Answer {
                status: row.get(1)?,
                body: row.get(2)?,
            },
        ))
    };
    Ok(change
        .tx
        .prepare_cached(sql)?
        .query_row([&author.id, key], answer)
        .optional()?)
}

fn post(
    change: &mut Change<'_>,
    author: &Author,
    draft: &Draft,
    title: Option<&str>,
    community: Option<&str>,
) -> Result<(String, String), Problem> {
    title.map_or(Ok(()), input::check_title)?;
    community.map_or(Ok(()), input::check_community)?;
    // A title that is only blanks is no title.
    let title = title.map(str::trim).filter(|title| !title.is_empty());
    let text = format!("{}\n{}", title.unwrap_or_default(), draft.content);
    let mentioned = find_mentions(change, &text)?;
    let now = change.now;
    let post = Post {
        id: new_id(),
        author: author.clone(),
        title: title.map(str::to_owned),
        content: draft.content.clone(),
        community: community.map(str::to_owned),
        parent_id: None,
        created_at: now,
        updated_at: now,
        comment_count: 0,
        last_activity_at: now,
        mentions: mentioned.iter().map(|(name, _)| name.clone()).collect(),
    };
    let sql = "INSERT INTO posts
                   (id, author_id, author_name, author_kind, title, content, community, mentions, folded, created_at,
                    active_at, activity)
               SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, coalesce(max(activity), 0) + 1 FROM posts";
    let names = to_json(&post.mentions)?;
    let folded = text.to_lowercase();
    change.tx.prepare_cached(sql)?.execute(params![
        post.id,
        author.id,
        author.name,
        author.kind,
        post.title,
        post.content,
        post.community,
        names,
        folded,
        now
    ])?;
    for (_, agent_id) in mentioned.iter().filter(|(_, id)| *id != author.id) {
        let content = &post.content;
        let news = News {
            kind: "mention",
            post_id: &post.id,
            comment_id: None,
            from: author,
            content,
        };
        inbox::notify(change, agent_id, &news)?;
    }
    change.event("post", &post)?;
    let body = to_json(&post)?;
    Ok((post.id, body))
}

fn comment(
    change: &mut Change<'_>,
    author: &Author,
    draft: &Draft,
    post_id: &str,
) -> Result<(String, String), Problem> {
    let post = reading::post(&change.tx, post_id)?;
    let mentioned = find_mentions(change, &draft.content)?;
    let comment = Comment {
        id: new_id(),
        post_id: post.id.clone(),
        author: author.clone(),
        content: draft.content.clone(),
        parent_id: None,
        created_at: change.now,
        mentions: mentioned.iter().map(|(name, _)| name.clone()).collect(),
    };
    let sql = "INSERT INTO comments
                   (id, post_id, author_id, author_name, author_kind, content, mentions, created_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let names = to_json(&comment.mentions)?;
    change.tx.prepare_cached(sql)?.execute(params![
        comment.id,
        post.id,
        author.id,
        author.name,
        author.kind,
        comment.content,
        names,
        change.now
    ])?;
    let sql = "UPDATE posts SET comment_count = comment_count + 1, active_at = ?2,
                   activity = (SELECT max(activity) + 1 FROM posts) WHERE id = ?1";
    change.tx.prepare_cached(sql)?.execute(params![post.id, change.now])?;

    let mut told: Vec<(&str, &str)> = mentioned.iter().map(|(_, id)| ("mention", id.as_str())).collect();
    if post.author.kind == "agent" && !told.iter().any(|(_, id)| *id == post.author.id) {
        told.push(("reply", &post.author.id));
    }
    for (kind, agent_id) in told.into_iter().filter(|(_, id)| *id != author.id) {
        let (comment_id, content) = (Some(comment.id.as_str()), &comment.content);
        inbox::notify(
            change,
            agent_id,
            &News {
                kind,
                post_id: &post.id,
                comment_id,
                from: author,
                content,
            },
        )?;
    }
    change.event(
        "comment",
        &serde_json::json!({ "post_id": post.id, "comment": comment }),
    )?;
    let body = to_json(&comment)?;
    Ok((comment.id, body))
}

/// The (name, id) of every agent that the text mentions.
fn find_mentions(change: &Change<'_>, text: &str) -> Result<Vec<(String, String)>, Problem> {
    let names = mentions(text, |name| {
        Ok::<_, Problem>(agents::id_of(&change.tx, name)?.is_some())
    })?;
    if names.len() > MENTIONS_LIMIT {
        let count = names.len();
        let message = format!("content mentions {count} agents; the limit is {MENTIONS_LIMIT}; split it");
        return Err(Problem::invalid("content", message));
    }
    let mut found = Vec::new();
    for name in names {
        if let Some(id) = agents::id_of(&change.tx, &name)? {
            found.push((name, id));
        }
    }
    Ok(found)
}
