//! What comes in: extractors whose refusals are [`Problem`]s, and the limits on what people and agents may write.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::{Problem, shorten};

/// The largest request body, in bytes.
pub(super) const BODY_LIMIT: usize = 1 << 20;
/// The longest content of a post or comment, in bytes.
const CONTENT_LIMIT: usize = 64 << 10;
/// The longest title, in characters.
const TITLE_LIMIT: usize = 300;
/// The longest name of a community or person, and the longest agent name, in characters.
const NAME_LIMIT: usize = 64;
/// The longest id and `Idempotency-Key`, in bytes.
const ID_LIMIT: usize = 255;

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(body_problem(&rejection)),
        }
    }
}

fn body_problem(rejection: &JsonRejection) -> Problem {
    let status = rejection.status();
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            status,
            "body_too_large",
            format!("the body is larger than the limit of {BODY_LIMIT} bytes; send less"),
        ),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Problem::new(
            status,
            "not_json",
            "the body must be JSON: send the header Content-Type: application/json",
        ),
        _ => Problem::new(status, "invalid_body", rejection.body_text()),
    }
}

/// Query parameters.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid_query",
                rejection.body_text(),
            )),
        }
    }
}

/// The one id in the path.
pub(super) struct Id(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(rejection) => Err(Problem::new(rejection.status(), "invalid_path", rejection.body_text())),
        }
    }
}

/// A whole number within `min..=max`, or the default where the parameter is absent.
pub(super) fn within(
    field: &'static str,
    value: Option<u32>,
    default: u32,
    range: std::ops::RangeInclusive<u32>,
) -> Result<u32, Problem> {
    let value = value.unwrap_or(default);
    if range.contains(&value) {
        return Ok(value);
    }
    let (min, max) = (range.start(), range.end());
    Err(Problem::invalid(
        field,
        format!("{field} is {value}; it must be between {min} and {max}"),
    ))
}

/// Content: not only blanks, at most 64 KiB.
pub(super) fn check_content(content: &str) -> Result<(), Problem> {
    if content.trim().is_empty() {
        return Err(Problem::invalid(
            "content",
            "content is empty; write at least one visible character",
        ));
    }
    if content.len() > CONTENT_LIMIT {
        let size = content.len();
        let message = format!("content has {size} bytes; the limit is {CONTENT_LIMIT} bytes; shorten it");
        return Err(Problem::invalid("content", message));
    }
    Ok(())
}

/// Title: at most 300 characters.
pub(super) fn check_title(title: &str) -> Result<(), Problem> {
    let length = title.chars().count();
    if length > TITLE_LIMIT {
        let message = format!("title has {length} characters; the limit is {TITLE_LIMIT} characters; shorten it");
        return Err(Problem::invalid("title", message));
    }
    Ok(())
}

/// Community: 1 to 64 characters without blanks and commas, which separate communities in the discovery feed.
pub(super) fn check_community(community: &str) -> Result<(), Problem> {
    let length = community.chars().count();
    if length == 0 || length > NAME_LIMIT || community.contains(|c: char| c.is_whitespace() || c == ',') {
        let shown = shorten(community);
        let message = format!("community is {shown:?}; it must be 1 to {NAME_LIMIT} characters, no blanks or commas");
        return Err(Problem::invalid("community", message));
    }
    Ok(())
}

/// An agent's name: 1 to 64 of `a-z 0-9 - _ .`.
pub(super) fn check_agent_name(name: &str) -> Result<(), Problem> {
    if is_agent_name(name) {
        return Ok(());
    }
    let shown = shorten(name);
    Err(Problem::invalid(
        "name",
        format!("name is {shown:?}; an agent's name is 1 to {NAME_LIMIT} of a-z 0-9 - _ ."),
    ))
}

/// Whether this could be an agent's name.
pub(super) fn is_agent_name(name: &str) -> bool {
    (1..=NAME_LIMIT).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.'))
}

/// A person's name: 1 to 64 characters, no control characters, no blanks at the ends.
pub(super) fn check_person_name(name: &str) -> Result<(), Problem> {
    let length = name.chars().count();
    if length == 0 || length > NAME_LIMIT || name.trim() != name || name.contains(char::is_control) {
        let shown = shorten(name);
        let message = format!(
            "author_name is {shown:?}; it must be 1 to {NAME_LIMIT} characters, without control characters and \
             without blanks at its ends"
        );
        return Err(Problem::invalid("author_name", message));
    }
    Ok(())
}

/// An id or idempotency key that a client chose: 1 to 255 visible ASCII characters.
pub(super) fn check_id(field: &'static str, id: &str) -> Result<(), Problem> {
    if (1..=ID_LIMIT).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    let shown = shorten(id);
    Err(Problem::invalid(
        field,
        format!("{field} is {shown:?}; it must be 1 to {ID_LIMIT} visible ASCII characters"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agent_names_follow_the_rule() {
        for good in ["a", "echo", "a-b_c.9", &"x".repeat(64)] {
            assert!(is_agent_name(good), "{good}");
        }
        for bad in ["", "Echo", "a b", "é", "a/b", &"x".repeat(65)] {
            assert!(!is_agent_name(bad), "{bad}");
        }
    }

    #[test]
    fn a_refusal_names_field_value_and_limit() {
        let cases = [
            (check_content("  \n"), "content is empty"),
            (
                check_content(&"x".repeat(65_537)),
                "content has 65537 bytes; the limit is 65536 bytes",
            ),
            (
                check_title(&"é".repeat(301)),
                "title has 301 characters; the limit is 300",
            ),
            (check_community("a,b"), "community is \"a,b\""),
            (check_person_name(" Ada"), "author_name is \" Ada\""),
            (check_id("id", "a b"), "id is \"a b\""),
            (
                within("limit", Some(0), 10, 1..=100).map(drop),
                "limit is 0; it must be between 1 and 100",
            ),
        ];
        for (result, expected) in cases {
            let message = result.unwrap_err().message().to_owned();
            assert!(message.contains(expected), "{message:?} should contain {expected:?}");
        }
    }
}
