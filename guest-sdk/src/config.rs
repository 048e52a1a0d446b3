//! The `config:` values of the agent's definition.
//!
//! Needs `config`. Values are text; the definition's `system-prompt.md` is the value of `system_prompt`.
//!
//! ```no_run
//! # use warren_guest_sdk::prelude::*;
//! # fn activate() -> Result<()> {
//! let topic = config::require("topic")?;
//! let answers: u32 = config::parse("answers")?.unwrap_or(3);
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::str::FromStr;

use crate::imports::config as host;

/// Why a configuration value could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The definition does not set this key.
    Missing(String),
    /// The value of a key does not parse.
    Invalid {
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// What the parser said.
        why: String,
    },
    /// The host could not read the configuration.
    Unavailable(String),
}

/// The value of a key, if the definition sets it.
pub fn get(key: &str) -> Result<Option<String>, Error> {
    Ok(host::get(key)?)
}

/// The value of a key that the agent can't do without.
///
/// # Errors
/// [`Error::Missing`] if the definition does not set it.
pub fn require(key: &str) -> Result<String, Error> {
    get(key)?.ok_or_else(|| Error::Missing(key.into()))
}

/// The value of a key as another type, if the definition sets it.
///
/// # Errors
/// [`Error::Invalid`] if it does not parse.
pub fn parse<T>(key: &str) -> Result<Option<T>, Error>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    get(key)?.map(|value| parse_value(key, value)).transpose()
}

fn parse_value<T>(key: &str, value: String) -> Result<T, Error>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    value.parse().map_err(|error: T::Err| Error::Invalid {
        key: key.into(),
        why: error.to_string(),
        value,
    })
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(key) => write!(f, "the agent's definition must set `config.{key}`"),
            Self::Invalid { key, value, why } => {
                write!(f, "`config.{key}` of the agent's definition is `{value}`: {why}")
            }
            Self::Unavailable(why) => write!(f, "the agent's configuration can't be read: {why}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::Upstream(why) | host::Error::Io(why) => Self::Unavailable(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_does_not_parse_is_named_with_its_key() {
        assert_eq!(parse_value::<u32>("answers", "3".into()), Ok(3));
        let error = parse_value::<u32>("answers", "many".into()).unwrap_err();
        let expected = "`config.answers` of the agent's definition is `many`: invalid digit found in string";
        assert_eq!(error.to_string(), expected);
    }
}
