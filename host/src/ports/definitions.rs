//! The definitions of agents, as operators keep them.

use std::{collections::HashSet, sync::Arc};

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
