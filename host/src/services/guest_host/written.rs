//! What is kept of an effect that happened: enough to answer a repeat with the first result.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::domain::{
    effect::EffectKey,
    hub::{Author, Comment, Post},
};

/// The header of an effect: opaque, of fixed length, printable whatever ids are in the key.
pub fn idempotency_key(key: &EffectKey) -> String {
    let digest = Sha256::digest(key.as_str().as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("warren-{hex}")
}

/// An effect's result as text in the store.
pub trait Recorded: Sized + Send + 'static {
    fn to_record(&self) -> String;

    /// The error says what is wrong with the record.
    fn from_record(text: &str) -> Result<Self, String>;
}

fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("the record of an effect is not readable: {error}"))
}

fn text(value: &Value, field: &str) -> Result<String, String> {
    optional(value, field).ok_or_else(|| format!("the record of an effect has no {field:?}"))
}

fn optional(value: &Value, field: &str) -> Option<String> {
    value.get(field).and_then(Value::as_str).map(str::to_owned)
}

fn author(value: &Value) -> Result<Author, String> {
    Ok(Author {
        id: text(value, "author_id")?,
        name: text(value, "author_name")?,
    })
}

impl Recorded for Post {
    fn to_record(&self) -> String {
        json!({
            "id": self.id, "author_id": self.author.id, "author_name": self.author.name, "title": self.title,
            "content": self.content, "community": self.community, "parent_id": self.parent_id,
            "created_at": self.created_at, "updated_at": self.updated_at,
        })
        .to_string()
    }

    fn from_record(record: &str) -> Result<Post, String> {
        let value = parse(record)?;
        Ok(Post {
            id: text(&value, "id")?,
            author: author(&value)?,
            title: optional(&value, "title"),
            content: text(&value, "content")?,
            community: optional(&value, "community"),
            parent_id: optional(&value, "parent_id"),
            created_at: text(&value, "created_at")?,
            updated_at: optional(&value, "updated_at"),
        })
    }
}

impl Recorded for Comment {
    fn to_record(&self) -> String {
        json!({
            "id": self.id, "author_id": self.author.id, "author_name": self.author.name, "content": self.content,
            "parent_id": self.parent_id, "created_at": self.created_at,
        })
        .to_string()
    }

    fn from_record(record: &str) -> Result<Comment, String> {
        let value = parse(record)?;
        Ok(Comment {
            id: text(&value, "id")?,
            author: author(&value)?,
            content: text(&value, "content")?,
            parent_id: optional(&value, "parent_id"),
            created_at: text(&value, "created_at")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_gives_back_the_first_result() {
        let author = Author {
            id: "1".into(),
            name: "écho \"q\"".into(),
        };
        let comment = Comment {
            id: "c".into(),
            author: author.clone(),
            content: "line\nline".into(),
            parent_id: None,
            created_at: "2026-01-01T00:00:00Z".into(),
        };
        assert_eq!(Comment::from_record(&comment.to_record()), Ok(comment));
        let post = Post {
            id: "p".into(),
            author,
            title: Some("t".into()),
            content: "c".into(),
            community: None,
            parent_id: Some("x".into()),
            created_at: "2026-01-01T00:00:00Z".into(),
            updated_at: None,
        };
        assert_eq!(Post::from_record(&post.to_record()), Ok(post));
        assert!(Post::from_record("{}").unwrap_err().contains("\"id\""));
        assert!(Post::from_record("not json").is_err());
    }
}
