//! How a command ends.

use std::process::ExitCode;

use crate::app::config::Problems;

/// The last lines of `warren --help`.
pub const CODES: &str = "\
Exit codes:
  0  done
  1  failed
  2  wrong usage or configuration
  3  not found
  4  no host answers
  5  timed out
  6  the host is not ready, or nobody leads (status)";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Ok = 0,
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    Unreachable = 4,
    TimedOut = 5,
    Unhealthy = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Why a command did not do what it was asked, for a person.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub message: String,
    /// It may be over the next time: the host or its store is away, or busy.
    pub passing: bool,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure {
            exit,
            message: message.into(),
            passing: false,
        }
    }

    pub fn passing(self, passing: bool) -> Failure {
        Failure { passing, ..self }
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Failure {
        Failure::new(Exit::Usage, problems.to_string())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::new(Exit::Failed, format!("{error:#}"))
    }
}
