//! Values that the agent keeps between activations.
//!
//! Needs `keyvalue`. The values belong to the agent, not to the plugin or the host: every activation of this agent sees
//! them, on whichever host it runs, and no other agent does. Limits of the host are 1 MiB in all, 1,000 keys and 256 KiB
//! a value unless the operator set others; what is over is refused with [`Error::Other`].
//!
//! ```no_run
//! # use warren_guest_sdk::prelude::*;
//! # fn activate() -> Result<()> {
//! let seen: u32 = state::get_text("seen")?.map_or(Ok(0), |text| text.parse())?;
//! state::set("seen", (seen + 1).to_string())?;
//! # Ok(())
//! # }
//! ```

use std::fmt;

use crate::imports::keyvalue as host;

/// The bucket that the host scopes to the agent.
const BUCKET: &str = "default";

/// Why the agent's state could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The agent may not use this.
    Denied(String),
    /// The value of this key is not UTF-8: read it with [`get`].
    NotText(String),
    /// The store failed, or a limit was reached.
    Other(String),
}

/// The value of a key, if there is one.
pub fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    Ok(bucket()?.get(key)?)
}

/// The value of a key as text, if there is one.
///
/// # Errors
/// [`Error::NotText`] if the value is not UTF-8.
pub fn get_text(key: &str) -> Result<Option<String>, Error> {
    get(key)?
        .map(|value| String::from_utf8(value).map_err(|_| Error::NotText(key.into())))
        .transpose()
}

/// Sets the value of a key, whether or not there was one.
pub fn set(key: &str, value: impl AsRef<[u8]>) -> Result<(), Error> {
    Ok(bucket()?.set(key, value.as_ref())?)
}

/// Removes a key; one that is not there is no error.
pub fn delete(key: &str) -> Result<(), Error> {
    Ok(bucket()?.delete(key)?)
}

/// Whether a key has a value.
pub fn exists(key: &str) -> Result<bool, Error> {
    Ok(bucket()?.exists(key)?)
}

/// All keys, in no particular order.
pub fn keys() -> Result<Vec<String>, Error> {
    let bucket = bucket()?;
    let mut keys = Vec::new();
    let mut cursor = None;
    loop {
        let page = bucket.list_keys(cursor)?;
        keys.extend(page.keys);
        cursor = page.cursor;
        if cursor.is_none() {
            return Ok(keys);
        }
    }
}

/// Opened per call: the handle costs one host call without I/O, and an agent has no place to keep it.
fn bucket() -> Result<host::Bucket, Error> {
    Ok(host::open(BUCKET)?)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(why) => write!(f, "the agent's state is not available: {why}"),
            Self::NotText(key) => write!(f, "the state key `{key}` does not hold text; read it as bytes"),
            Self::Other(why) => write!(f, "the agent's state failed: {why}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::NoSuchStore => Self::Denied(format!("the host has no bucket `{BUCKET}`")),
            host::Error::AccessDenied => Self::Denied("`keyvalue` is not granted".into()),
            host::Error::Other(why) => Self::Other(why),
        }
    }
}
