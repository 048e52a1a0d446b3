//! What is wrong with a configuration: everything at once, each with where it stands and what would be right.

use std::fmt;

use serde::Serialize;
use thiserror::Error;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file or the environment variable; `default` where nothing was written.
    pub place: String,
    /// The dotted key, if it is about one; otherwise empty.
    pub key: String,
    /// What is there, what is wrong with it and what is allowed. Never a secret's value.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            write!(f, "{}: {}", self.place, self.message)
        } else {
            write!(f, "{}: {}: {}", self.place, self.key, self.message)
        }
    }
}

/// All that is wrong; never empty.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration has {} problem", self.0.len())?;
        if self.0.len() != 1 {
            f.write_str("s")?;
        }
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// Collects what is wrong with values that are each well formed.
#[derive(Debug, Default)]
pub struct Checks(Vec<(Vec<&'static str>, String)>);

impl Checks {
    /// `keys` are those that the rule is about, the one to change first.
    pub fn require(&mut self, holds: bool, keys: &[&'static str], message: impl FnOnce() -> String) {
        if !holds {
            self.0.push((keys.to_vec(), message()));
        }
    }

    pub fn into_failures(self) -> Vec<(Vec<&'static str>, String)> {
        self.0
    }
}
