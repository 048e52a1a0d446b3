//! The definitions of agents, as operators keep them.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use thiserror::Error;

use crate::domain::{agent::AgentDefinition, ids::AgentName};

/// Why there is no usable definition.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DefinitionError {
    #[error("agent {name} has no definition: there is no {path}")]
    Unknown { name: AgentName, path: String },
    /// With file, field, value and what is allowed.
    #[error("{0}")]
    Invalid(String),
}

pub trait Definitions: Send + Sync {
    /// The definition as of at most its own `cache_ttl` ago. Reads a small file where it has to look again.
    fn agent(&self, name: &AgentName) -> Result<Arc<AgentDefinition>, DefinitionError>;

    /// The names that have a definition, right or wrong; nothing if that can't be told at once. Cheap beside asking for each
    /// of a million names that have none.
    fn names(&self) -> Option<HashSet<String>>;

    /// Every definition there is, by folder name, the invalid ones with their errors.
    fn all(&self) -> Vec<(String, Result<Arc<AgentDefinition>, DefinitionError>)>;
}

/// What became of a definition when its files were read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reread {
    /// It is another one from now on.
    Changed,
    /// It had not been read before.
    New,
    Unchanged,
    /// Its files are gone, and with them the agent.
    Gone,
    /// It is wrong, with file, line, field and value; the last good one stays in use, if there is one.
    Refused {
        why: String,
        kept: bool,
    },
    /// There is nothing of this name, and there was nothing.
    Unknown {
        path: String,
    },
}

impl Reread {
    /// In the API and in metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Reread::Changed => "changed",
            Reread::New => "new",
            Reread::Unchanged => "unchanged",
            Reread::Gone | Reread::Unknown { .. } => "gone",
            Reread::Refused { .. } => "refused",
        }
    }
}

/// Where definitions can be read again before their time.
#[async_trait]
pub trait DefinitionFiles: Send + Sync {
    /// Read an agent's definition again, and use it in one step: an activation has the old one or the new one. What is being
    /// written is waited for. Safe to cancel.
    async fn reread(&self, name: &AgentName) -> Reread;

    /// The same for every agent that is in use or has a folder, by name. The error is for the place as a whole.
    async fn reread_all(&self) -> Result<Vec<(String, Reread)>, String>;
}
