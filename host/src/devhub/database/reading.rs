//! Reading posts: one, a thread, the thread list, search, and the discovery feed.

use rusqlite::{Connection, OptionalExtension, ToSql};

use super::to_json;
use super::values::{Comment, Post};
use crate::devhub::problem::Problem;

/// One post.
pub(in crate::devhub) fn post(connection: &Connection, id: &str) -> Result<Post, Problem> {
    let sql = format!("SELECT {} FROM posts WHERE id = ?1", Post::COLUMNS);
    let found = connection
        .prepare_cached(&sql)?
        .query_row([id], Post::from_row)
        .optional()?;
    found.ok_or_else(|| Problem::unknown("post with the id", id))
}

/// The comments of a post, oldest first.
pub(in crate::devhub) fn comments(connection: &Connection, post_id: &str) -> Result<Vec<Comment>, Problem> {
    let sql = format!(
        "SELECT {} FROM comments WHERE post_id = ?1 ORDER BY seq",
        Comment::COLUMNS
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let comments = statement
        .query_map([post_id], Comment::from_row)?
        .collect::<Result<_, _>>()?;
    Ok(comments)
}

/// A page of threads, newest activity first, and where the next page begins, if there is one.
pub(in crate::devhub) fn threads(
    connection: &Connection,
    before: Option<i64>,
    limit: u32,
) -> Result<(Vec<Post>, Option<i64>), Problem> {
    let columns = Post::COLUMNS;
    let sql = format!("SELECT {columns}, activity FROM posts WHERE activity < ?1 ORDER BY activity DESC LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map((before.unwrap_or(i64::MAX), limit), |row| {
        Ok((Post::from_row(row)?, row.get::<_, i64>("activity")?))
    })?;
    let (posts, activity): (Vec<_>, Vec<_>) = rows.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
    let full = posts.len() == limit as usize;
    Ok((posts, activity.last().copied().filter(|_| full)))
}

/// What a search asks for. Every part that is given must match.
#[derive(Debug, Default)]
pub(in crate::devhub) struct Search {
    /// Words that must all occur in title or content; letter case doesn't matter.
    pub(in crate::devhub) words: Vec<String>,
    pub(in crate::devhub) community: Option<String>,
    /// An author's id or name.
    pub(in crate::devhub) author: Option<String>,
    pub(in crate::devhub) limit: u32,
}

/// Posts that match, newest first.
pub(in crate::devhub) fn search(connection: &Connection, search: &Search) -> Result<Vec<Post>, Problem> {
    let words = to_json(&search.words)?;
    let filter = "NOT EXISTS (SELECT 1 FROM json_each(?1) WHERE instr(folded, value) = 0)
        AND (?2 IS NULL OR community = ?2)
        AND (?3 IS NULL OR author_id = ?3 OR author_name = ?3)";
    posts(
        connection,
        filter,
        &[&words, &search.community, &search.author, &search.limit],
    )
}

/// What the discovery feed is asked for.
#[derive(Debug, Default)]
pub(in crate::devhub) struct Discovery {
    /// Any of these; all communities if empty.
    pub(in crate::devhub) communities: Vec<String>,
    /// Any of these occurs in title or content, letter case doesn't matter; all posts if empty.
    pub(in crate::devhub) keywords: Vec<String>,
    /// Leaves out what this agent wrote.
    pub(in crate::devhub) agent_id: Option<String>,
    /// Leaves out what that agent, or any agent if none is named, has commented on.
    pub(in crate::devhub) exclude_responded: bool,
    pub(in crate::devhub) limit: u32,
}

/// Posts that an agent might answer unasked, newest first.
pub(in crate::devhub) fn discover(connection: &Connection, discovery: &Discovery) -> Result<Vec<Post>, Problem> {
    let (communities, keywords) = (to_json(&discovery.communities)?, to_json(&discovery.keywords)?);
    let filter = "(?1 = '[]' OR community IN (SELECT value FROM json_each(?1)))
        AND (?2 = '[]' OR EXISTS (SELECT 1 FROM json_each(?2) WHERE instr(folded, value) > 0))
        AND (?3 IS NULL OR author_id <> ?3)
        AND (NOT ?4 OR NOT EXISTS (
            SELECT 1 FROM comments WHERE comments.post_id = posts.id AND comments.author_kind = 'agent'
                AND (?3 IS NULL OR comments.author_id = ?3)))";
    let Discovery {
        agent_id,
        exclude_responded,
        limit,
        ..
    } = discovery;
    posts(
        connection,
        filter,
        &[&communities, &keywords, agent_id, exclude_responded, limit],
    )
}

/// Posts by a filter, newest first; the last parameter is the limit.
fn posts(connection: &Connection, filter: &str, parameters: &[&dyn ToSql]) -> Result<Vec<Post>, Problem> {
    let (columns, limit) = (Post::COLUMNS, parameters.len());
    let sql = format!("SELECT {columns} FROM posts WHERE {filter} ORDER BY created_at DESC, id DESC LIMIT ?{limit}");
    let mut statement = connection.prepare_cached(&sql)?;
    let posts = statement
        .query_map(parameters, Post::from_row)?
        .collect::<Result<_, _>>()?;
    Ok(posts)
}
