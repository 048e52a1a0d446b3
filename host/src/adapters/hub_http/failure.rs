//! How one try of a call can fail, and what that says about repeating it.

use std::{error::Error, time::Duration};

use reqwest::{
    Response, StatusCode,
    header::{DATE, HeaderMap, LOCATION, RETRY_AFTER},
};

use super::address::Call;
use crate::ports::hub::HubError;

/// What happened, as far as it matters for what may be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// No connection: nothing was sent.
    NotSent,
    /// Sent, but no whole answer came: it may have happened.
    Lost,
    /// 408 or 429: the Hub did nothing and may be asked again.
    Busy,
    /// 5xx: it may have happened.
    Broken,
    /// 404 or 410.
    NotFound,
    /// The request is wrong: another 4xx.
    Rejected,
    /// 409 or 422: the request is wrong, or a repeated key is (its first request is still under way, or had another body).
    Disputed,
    /// The host is set up wrong: a redirect, or its API key refused. Not the agent's doing.
    Misconfigured,
    /// The answer is not what the API says.
    Malformed,
}

/// One try that failed.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) kind: Kind,
    /// Names the call and, where there was one, the status.
    pub(super) message: String,
    /// How long the Hub asks to be left alone.
    pub(super) retry_after: Option<Duration>,
}

impl Failure {
    pub(super) fn new(kind: Kind, message: String) -> Failure {
        Failure {
            kind,
            message,
            retry_after: None,
        }
    }

    pub(super) fn rejected(message: String) -> Failure {
        Failure::new(Kind::Rejected, message)
    }

    /// The answer had a good status, but is not what the API says. `what` must not repeat the answer's content.
    pub(super) fn malformed(call: &Call, status: StatusCode, what: &str) -> Failure {
        Failure::new(
            Kind::Malformed,
            format!("{call}: answered {} with {what}", status.as_u16()),
        )
    }

    /// The connection failed, before or after the request was sent.
    pub(super) fn transport(call: &Call, error: reqwest::Error) -> Failure {
        let kind = if error.is_connect() { Kind::NotSent } else { Kind::Lost };
        let what = match kind {
            Kind::NotSent => "no connection",
            _ if error.is_body() || error.is_decode() => "the answer was cut",
            _ => "no answer",
        };
        Failure::new(kind, format!("{call}: {what}: {}", root_cause(&error.without_url())))
    }

    pub(super) fn timeout(call: &Call, limit: Duration) -> Failure {
        Failure::new(Kind::Lost, format!("{call}: no whole answer within {limit:?}"))
    }

    /// Whether asking again can help.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self.kind, Kind::NotSent | Kind::Lost | Kind::Busy | Kind::Broken)
    }

    /// Whether a write that failed so may have happened. An answer of a good status that can't be understood is one: the
    /// write was probably done, and its result is unknown.
    pub(super) fn may_have_happened(&self) -> bool {
        matches!(self.kind, Kind::Lost | Kind::Broken | Kind::Malformed)
    }
}

impl From<Failure> for HubError {
    fn from(failure: Failure) -> HubError {
        match failure.kind {
            Kind::NotSent | Kind::Lost | Kind::Busy | Kind::Broken | Kind::Misconfigured => {
                HubError::Unavailable(failure.message)
            }
            Kind::NotFound => HubError::NotFound(failure.message),
            Kind::Rejected | Kind::Disputed => HubError::Rejected(failure.message),
            Kind::Malformed => HubError::Malformed(failure.message),
        }
    }
}

/// What an answer other than 2xx says.
pub(super) fn of_status(call: &Call, answer: &Response) -> Failure {
    let status = answer.status();
    let kind = match status.as_u16() {
        408 | 429 => Kind::Busy,
        404 | 410 => Kind::NotFound,
        300..=399 | 401 | 407 => Kind::Misconfigured,
        409 | 422 => Kind::Disputed,
        500.. => Kind::Broken,
        _ => Kind::Rejected,
    };
    let mut message = format!("{call}: {status}");
    if status == StatusCode::UNAUTHORIZED {
        message.push_str(", check the Hub's API key in this host's configuration");
    }
    if status.is_redirection() {
        message
            .push_str(", and redirects are not followed, so that the API key goes nowhere else; correct the Hub's URL");
        if let Some(target) = redirect_target(answer) {
            message.push_str(&format!(" (it points to {target})"));
        }
    }
    Failure {
        kind,
        message,
        retry_after: retry_after(answer.headers()),
    }
}

/// Scheme, host and path of a redirect: enough to find the mistake, nothing that could be secret.
fn redirect_target(answer: &Response) -> Option<String> {
    let location = answer.headers().get(LOCATION)?.to_str().ok()?;
    let target = answer.url().join(location).ok()?;
    Some(format!("{}{}", target.origin().ascii_serialization(), target.path()))
}

/// `Retry-After`, in seconds or as a date. A date is read against the answer's own `Date`, where it has one, so that it
/// does not matter whose clock is wrong.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    let said_at = headers.get(DATE).and_then(|date| date.to_str().ok());
    let now = said_at
        .and_then(|date| httpdate::parse_http_date(date).ok())
        .unwrap_or_else(std::time::SystemTime::now);
    Some(until.duration_since(now).unwrap_or_default())
}

/// The innermost cause: the outer layers of an HTTP client's error only say that there was one.
fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (reqwest::header::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let seconds = |pairs: &[_]| retry_after(&headers(pairs)).map(|wait| wait.as_secs());
        assert_eq!(seconds(&[("retry-after", "7")]), Some(7));
        let date = ("date", "Wed, 21 Oct 2015 07:28:00 GMT");
        assert_eq!(
            seconds(&[date, ("retry-after", "Wed, 21 Oct 2015 07:28:09 GMT")]),
            Some(9)
        );
        assert_eq!(
            seconds(&[date, ("retry-after", "Wed, 21 Oct 2015 07:27:00 GMT")]),
            Some(0)
        );
        assert_eq!(seconds(&[("retry-after", "Wed, 21 Oct 2015 07:28:09 GMT")]), Some(0));
        assert_eq!(seconds(&[("retry-after", "soon")]), None);
        assert_eq!(seconds(&[("retry-after", "-1")]), None);
        assert_eq!(seconds(&[]), None);
    }
}
