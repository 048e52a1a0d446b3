//! Bodies: read up to a limit, understood or refused, and never repeated in an error.

use std::time::Duration;

use reqwest::{Response, StatusCode, header::CONTENT_TYPE};
use serde::{Deserialize, de::DeserializeOwned};

use super::{address::Call, failure::Failure};

/// How much of an error's body is read for the Hub's explanation, in bytes.
const EXPLANATION_READ: usize = 8 * 1024;

/// How much of an explanation is repeated, in characters.
const EXPLANATION_SHOWN: usize = 300;

/// How much of a body that nobody needs is read, in bytes, and for how long: more costs more than a new connection.
const DRAINED: usize = 64 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// A whole answer of a good status.
pub(super) struct Answer {
    status: StatusCode,
    content_type: String,
    body: Vec<u8>,
}

/// Reads the body, which may have up to `max` bytes.
pub(super) async fn read(call: &Call, mut response: Response, max: u64) -> Result<Answer, Failure> {
    check_length(call, &response, max)?;
    let mut answer = Answer {
        status: response.status(),
        content_type: content_type(&response),
        body: Vec::new(),
    };
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| Failure::transport(call, error))?
    {
        if (answer.body.len() + chunk.len()) as u64 > max {
            return Err(too_large(call, answer.status, max));
        }
        answer.body.extend_from_slice(&chunk);
    }
    Ok(answer)
}

/// Reads a body that nobody needs, so that its connection can be used again. Whatever goes wrong with that only costs the
/// connection.
pub(super) async fn drain(mut response: Response) {
    let read = async {
        let mut size = 0;
        while let Ok(Some(chunk)) = response.chunk().await {
            size += chunk.len();
            if size > DRAINED {
                break;
            }
        }
    };
    if tokio::time::timeout(DRAIN_TIME, read).await.is_err() {
        tracing::debug!("a body that nobody needs did not end in time");
    }
}

/// Refuses an answer that says itself that it is too large.
pub(super) fn check_length(call: &Call, response: &Response, max: u64) -> Result<(), Failure> {
    match response.content_length() {
        Some(length) if length > max => Err(too_large(call, response.status(), max)),
        _ => Ok(()),
    }
}

pub(super) fn too_large(call: &Call, status: StatusCode, max: u64) -> Failure {
    Failure::malformed(
        call,
        status,
        &format!("more than the {max} bytes that an answer may have"),
    )
}

/// The answer's media type as it may stand in an error.
pub(super) fn content_type(response: &Response) -> String {
    let value = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    value.unwrap_or("no content type").chars().take(60).collect()
}

impl Answer {
    /// What the answer says; an error names the place in it that is wrong.
    pub(super) fn parse<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Failure> {
        let mut json = serde_json::Deserializer::from_slice(&self.body);
        let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            let at = if path == "." {
                String::new()
            } else {
                format!(" at {path}")
            };
            format!("{}{at}", words(error.inner()))
        });
        parsed
            .and_then(|value| json.end().map(|()| value).map_err(|error| words(&error)))
            .map_err(|what| not_the_api(call, self.status, &self.content_type, &what))
    }
}

pub(super) fn not_the_api(call: &Call, status: StatusCode, content_type: &str, what: &str) -> Failure {
    let what = format!("{content_type} that is not what the Hub API says: {what}");
    Failure::malformed(call, status, &what)
}

/// A JSON error without the value that it is about, which may be anybody's secret.
pub(super) fn words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if !error.is_data() || text.starts_with("missing field") {
        return text;
    }
    // "invalid type: string \"…\", expected a sequence at line 1 column 2"
    match text.rsplit_once(", expected ") {
        Some((_, expected)) => format!("something else than {expected}"),
        None => format!("a wrong value at line {} column {}", error.line(), error.column()),
    }
}

/// The Hub's own explanation of an error, in the forms that Hubs use; `secret` is cut out of it, should the Hub or a proxy
/// repeat the request.
pub(super) async fn explanation(mut response: Response, secret: Option<&str>) -> Option<String> {
    let mut body = Vec::new();
    // An explanation that can't be read is none: the status is what counts.
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > EXPLANATION_READ {
            return None;
        }
    }
    let said: Explanation = serde_json::from_slice(&body).ok()?;
    let said = match (said.error, said.detail) {
        (Some(Said::Text(text)), _) | (Some(Said::Object { message: text }), _) | (None, Some(text)) => text,
        (None, None) => return None,
    };
    let said = match secret {
        Some(secret) => said.replace(secret, "…"),
        None => said,
    };
    let shown = said.chars().filter(|c| !c.is_control()).take(EXPLANATION_SHOWN);
    Some(shown.collect())
}

#[derive(Deserialize)]
struct Explanation {
    error: Option<Said>,
    detail: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Text(String),
    Object { message: String },
}
