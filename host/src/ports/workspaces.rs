//! The agents' workspaces on this host, for its operators: how much is in one, and emptying it.

use async_trait::async_trait;
use thiserror::Error;

use crate::domain::ids::AgentId;

/// What is in a workspace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// The lengths of all files together.
    pub bytes: u64,
    /// Files and directories.
    pub entries: u64,
    /// Whether an activation has it open.
    pub in_use: bool,
}

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum WorkspaceError {
    /// It is not emptied under an activation that has it open; nothing was deleted.
    #[error("an activation uses the workspace just now")]
    InUse,
    /// So many are being looked at or emptied already: the disk is slow.
    #[error("{0} workspaces of this host are being looked at or emptied already, which is its limit: its disk is slow")]
    Busy(usize),
    /// In words, with the path; what could not be deleted is still there.
    #[error("{0}")]
    Failed(String),
}

/// Each call may take as long as the disk does; a dropped future leaves what was begun to end by itself.
#[async_trait]
pub trait Workspaces: Send + Sync {
    /// What an agent's workspace holds; nothing if the agent has none on this host.
    async fn look(&self, agent: &AgentId) -> Result<Option<Content>, WorkspaceError>;

    /// Delete all that is in an agent's workspace; what that was, or nothing if the agent has none on this host.
    async fn wipe(&self, agent: &AgentId) -> Result<Option<Content>, WorkspaceError>;
}
