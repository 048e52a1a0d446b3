//! Why an activation failed, so that `?` is enough.
//!
//! The host needs to know one thing of a failure: is another try worth it? [`Error`] answers it for every error that can
//! be raised in an agent, and keeps the message for the people who read logs and dead letters.

use std::error::Error as StdError;
use std::fmt;

use crate::bindings::Failure;
use crate::{config, hub, state};

/// Why an activation failed, in the agent's own judgement.
///
/// Every type that implements [`std::error::Error`] converts with `?`. An error of this crate keeps its meaning, also
/// when it is the [source](StdError::source) of another one:
///
/// | error | becomes |
/// | --- | --- |
/// | [`hub::Error::Upstream`] | [`upstream`](Error::upstream) |
/// | [`hub::Error`]: `Denied`, `NotFound`, `Invalid`, `LimitReached` | [`permanent`](Error::permanent) |
/// | [`state::Error::Other`] | [`transient`](Error::transient) |
/// | [`state::Error`]: `Denied`, `NotText` | [`permanent`](Error::permanent) |
/// | [`config::Error::Unavailable`] | [`transient`](Error::transient) |
/// | [`config::Error`]: `Missing`, `Invalid` | [`permanent`](Error::permanent) |
/// | anything else (parsing, formatting, UTF-8, I/O) | [`permanent`](Error::permanent) |
///
/// ```
/// use warren_guest_sdk::{Error, ErrorKind, Result, hub};
///
/// fn parse(text: &str) -> Result<u32> {
///     Ok(text.parse()?)
/// }
/// assert_eq!(parse("many").unwrap_err().kind(), ErrorKind::Permanent);
///
/// let down = Error::from(hub::Error::Upstream("the Hub answered 503".into()));
/// assert_eq!(down.kind(), ErrorKind::Upstream);
/// ```
///
/// It does not implement [`std::error::Error`] itself, which is what makes the conversion of all others possible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// What the host does about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Worth another try: a `direct` item is retried with backoff. Inbox and discovery items always come back with the
    /// next poll.
    Transient,
    /// Never going to work: a `direct` item becomes a dead letter at once.
    Permanent,
    /// Something the agent depends on failed. It does not count against the agent, if the host saw such a failure in
    /// this activation.
    Upstream,
}

impl Error {
    /// A failure that may be gone at the next try.
    pub fn transient(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Transient,
            message: message.into(),
        }
    }

    /// A failure that another try would only repeat.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Permanent,
            message: message.into(),
        }
    }

    /// A failure of something that the agent depends on.
    pub fn upstream(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Upstream,
            message: message.into(),
        }
    }

    /// What the host is told to do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What people are told.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl<E: StdError + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        from_chain(&error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error.kind {
            ErrorKind::Transient => Self::Transient(error.message),
            ErrorKind::Permanent => Self::Permanent(error.message),
            ErrorKind::Upstream => Self::Upstream(error.message),
        }
    }
}

/// The first error of this crate in the chain decides the kind; the message names every link that adds something.
fn from_chain(error: &(dyn StdError + 'static)) -> Error {
    let mut message = error.to_string();
    let mut kind = kind_of(error);
    let mut source = error.source();
    while let Some(cause) = source {
        kind = kind.or_else(|| kind_of(cause));
        let text = cause.to_string();
        if !message.ends_with(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        source = cause.source();
    }
    Error {
        kind: kind.unwrap_or(ErrorKind::Permanent),
        message,
    }
}

fn kind_of(error: &(dyn StdError + 'static)) -> Option<ErrorKind> {
    if let Some(error) = error.downcast_ref() {
        return Some(match error {
            hub::Error::Upstream(_) => ErrorKind::Upstream,
            hub::Error::Denied(_) | hub::Error::NotFound(_) | hub::Error::Invalid(_) | hub::Error::LimitReached(_) => {
                ErrorKind::Permanent
            }
        });
    }
    if let Some(error) = error.downcast_ref() {
        return Some(match error {
            state::Error::Other(_) => ErrorKind::Transient,
            state::Error::Denied(_) | state::Error::NotText(_) => ErrorKind::Permanent,
        });
    }
    error.downcast_ref().map(|error| match error {
        config::Error::Unavailable(_) => ErrorKind::Transient,
        config::Error::Missing(_) | config::Error::Invalid { .. } => ErrorKind::Permanent,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Wrapped(hub::Error);

    impl fmt::Display for Wrapped {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("answering failed")
        }
    }

    impl StdError for Wrapped {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn only_an_upstream_error_of_the_hub_blames_the_hub() {
        let kind = |error: hub::Error| Error::from(error).kind();
        assert_eq!(kind(hub::Error::Upstream("503".into())), ErrorKind::Upstream);
        assert_eq!(kind(hub::Error::Denied("hub:write".into())), ErrorKind::Permanent);
        assert_eq!(kind(hub::Error::NotFound("p1".into())), ErrorKind::Permanent);
        assert_eq!(kind(hub::Error::Invalid("empty".into())), ErrorKind::Permanent);
        assert_eq!(kind(hub::Error::LimitReached("200 calls".into())), ErrorKind::Permanent);
    }

    #[test]
    fn a_store_or_configuration_that_fails_is_worth_another_try() {
        assert_eq!(
            Error::from(config::Error::Unavailable("busy".into())).kind(),
            ErrorKind::Transient
        );
        assert_eq!(
            Error::from(config::Error::Missing("topic".into())).kind(),
            ErrorKind::Permanent
        );
        assert_eq!(
            Error::from(state::Error::Other("busy".into())).kind(),
            ErrorKind::Transient
        );
        assert_eq!(
            Error::from(state::Error::Denied("not granted".into())).kind(),
            ErrorKind::Permanent
        );
    }

    #[test]
    fn a_wrapped_error_keeps_its_kind_and_both_messages() {
        let error = Error::from(Wrapped(hub::Error::Upstream("503".into())));
        assert_eq!(error.kind(), ErrorKind::Upstream);
        assert_eq!(error.message(), "answering failed: the Hub failed: 503");
    }

    #[test]
    fn the_failure_that_the_host_gets_has_the_kind_and_the_message() {
        let same = |error: Error, failure: Failure| assert_eq!(Failure::from(error), failure);
        same(Error::transient("later"), Failure::Transient("later".into()));
        same(Error::permanent("never"), Failure::Permanent("never".into()));
        same(Error::upstream("down"), Failure::Upstream("down".into()));
    }
}
