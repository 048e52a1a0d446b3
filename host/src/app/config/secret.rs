//! Secrets: they come in from the configuration and go out in `Authorization` headers, and are printed nowhere.

use std::{fmt, fs, path::Path};

/// What stands for a secret wherever values are shown.
pub const REDACTED: &str = "(set)";

/// A value that no formatting prints; [`Secret::expose`] is the one way to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The content of a file without the white space around it.
    pub fn read(path: &Path) -> Result<Secret, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{} can't be read: {error}", path.display()))?;
        match text.trim() {
            "" => Err(format!("{} is empty", path.display())),
            text => Ok(Secret(text.to_owned())),
        }
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(text)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}
