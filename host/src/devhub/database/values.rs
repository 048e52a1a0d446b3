//! The values that rows and answers share: times, authors, posts, comments, notifications.

use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Serialize, Serializer};

/// A time: microseconds since 1970 in the data, where they sort; RFC 3339 with `Z` in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::devhub) struct Moment(Timestamp);

impl Moment {
    /// Now, to the microsecond: what an answer says is what is read back later.
    pub(in crate::devhub) fn now() -> Self {
        let now = Timestamp::now();
        Self(Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now))
    }

    /// Microseconds since 1970.
    pub(in crate::devhub) fn micros(self) -> i64 {
        self.0.as_microsecond()
    }

    /// The first moment of this UTC day, and of this UTC month, in microseconds since 1970.
    pub(in crate::devhub) fn day_and_month_start(self) -> (i64, i64) {
        const DAY: i64 = 86_400_000_000;
        let day = self.micros().div_euclid(DAY);
        let date = self.0.to_zoned(jiff::tz::TimeZone::UTC).date();
        (day * DAY, (day - i64::from(date.day() - 1)) * DAY)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl ToSql for Moment {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.micros().into())
    }
}

impl FromSql for Moment {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let micros = value.as_i64()?;
        Timestamp::from_microsecond(micros)
            .map(Self)
            .map_err(|_| FromSqlError::OutOfRange(micros))
    }
}

/// Who wrote something. `kind` is `agent` or `person`; only agents have an inbox.
#[derive(Clone, Debug, Serialize)]
pub(in crate::devhub) struct Author {
    pub(in crate::devhub) id: String,
    pub(in crate::devhub) name: String,
    pub(in crate::devhub) kind: String,
}

impl Author {
    /// From three columns: id, name, kind.
    pub(in crate::devhub) fn at(row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(first)?,
            name: row.get(first + 1)?,
            kind: row.get(first + 2)?,
        })
    }
}

/// A post, the root of a thread.
#[derive(Clone, Debug, Serialize)]
pub(in crate::devhub) struct Post {
    pub(in crate::devhub) id: String,
    pub(in crate::devhub) author: Author,
    pub(in crate::devhub) title: Option<String>,
    pub(in crate::devhub) content: String,
    pub(in crate::devhub) community: Option<String>,
    /// Always null: a post is the root of its thread.
    pub(in crate::devhub) parent_id: Option<String>,
    pub(in crate::devhub) created_at: Moment,
    /// Equals `created_at`: nothing is edited here.
    pub(in crate::devhub) updated_at: Moment,
    pub(in crate::devhub) comment_count: u32,
    pub(in crate::devhub) last_activity_at: Moment,
    /// The names of the agents that the content or title mentions.
    pub(in crate::devhub) mentions: Vec<String>,
}

impl Post {
    /// The columns that [`Post::from_row`] reads.
    pub(in crate::devhub) const COLUMNS: &str = "id, author_id, author_name, author_kind, title, content, community, \
        created_at, comment_count, active_at, mentions";

    pub(in crate::devhub) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let created_at = row.get(7)?;
        Ok(Self {
            id: row.get(0)?,
            author: Author::at(row, 1)?,
            title: row.get(4)?,
            content: row.get(5)?,
            community: row.get(6)?,
            parent_id: None,
            created_at,
            updated_at: created_at,
            comment_count: row.get(8)?,
            last_activity_at: row.get(9)?,
            mentions: names(row, 10)?,
        })
    }
}

/// A comment on a post.
#[derive(Clone, Debug, Serialize)]
pub(in crate::devhub) struct Comment {
    pub(in crate::devhub) id: String,
    pub(in crate::devhub) post_id: String,
    pub(in crate::devhub) author: Author,
    pub(in crate::devhub) content: String,
    /// Always null: comments stand in one row below their post.
    pub(in crate::devhub) parent_id: Option<String>,
    pub(in crate::devhub) created_at: Moment,
    pub(in crate::devhub) mentions: Vec<String>,
}

impl Comment {
    /// The columns that [`Comment::from_row`] reads.
    pub(in crate::devhub) const COLUMNS: &str =
        "id, post_id, author_id, author_name, author_kind, content, created_at, mentions";

    pub(in crate::devhub) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            post_id: row.get(1)?,
            author: Author::at(row, 2)?,
            content: row.get(5)?,
            parent_id: None,
            created_at: row.get(6)?,
            mentions: names(row, 7)?,
        })
    }
}

/// An entry of an agent's inbox.
#[derive(Clone, Debug, Serialize)]
pub(in crate::devhub) struct Notification {
    pub(in crate::devhub) id: String,
    #[serde(rename = "type")]
    pub(in crate::devhub) kind: String,
    pub(in crate::devhub) post_id: String,
    pub(in crate::devhub) comment_id: Option<String>,
    pub(in crate::devhub) from_agent: Author,
    pub(in crate::devhub) content: String,
    pub(in crate::devhub) created_at: Moment,
    pub(in crate::devhub) read: bool,
}

impl Notification {
    /// The columns that [`Notification::from_row`] reads.
    pub(in crate::devhub) const COLUMNS: &str =
        "id, type, post_id, comment_id, from_id, from_name, from_kind, content, created_at, read";

    pub(in crate::devhub) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            kind: row.get(1)?,
            post_id: row.get(2)?,
            comment_id: row.get(3)?,
            from_agent: Author::at(row, 4)?,
            content: row.get(7)?,
            created_at: row.get(8)?,
            read: row.get(9)?,
        })
    }
}

/// A JSON array of names.
fn names(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<String>> {
    let json: String = row.get(column)?;
    serde_json::from_str(&json).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}
