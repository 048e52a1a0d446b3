//! What operators ask of workspaces. It goes by the same slot and accounts as the activations' own use: nothing is emptied
//! under an activation, and none opens its workspace while that is being emptied.

use std::{io, sync::Arc};

use async_trait::async_trait;
use cap_std::{ambient_authority, fs::Dir};
use tokio::{sync::Semaphore, task};

use super::{SlotState, Workspace, Workspaces, directory_name, failure::Failure, path};
use crate::{
    domain::ids::AgentId,
    ports::workspaces::{self, Content, WorkspaceError},
};

/// Workspaces that may be looked at or emptied at a time: each takes a thread for as long as the disk takes.
const AT_ONCE: usize = 4;

/// The workspaces of a host, as its operators see them.
pub struct OperatedWorkspaces {
    /// None where this host gives agents none.
    workspaces: Option<Arc<Workspaces>>,
    turns: Arc<Semaphore>,
}

impl OperatedWorkspaces {
    pub fn new(workspaces: Option<Arc<Workspaces>>) -> OperatedWorkspaces {
        OperatedWorkspaces {
            workspaces,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    async fn run(
        &self,
        agent: &AgentId,
        call: fn(&Workspaces, &AgentId) -> Result<Option<Content>, WorkspaceError>,
    ) -> Result<Option<Content>, WorkspaceError> {
        let Some(workspaces) = self.workspaces.clone() else {
            return Ok(None);
        };
        let turn = Arc::clone(&self.turns).try_acquire_owned();
        let turn = turn.map_err(|_| WorkspaceError::Busy(AT_ONCE))?;
        let agent = agent.clone();
        let done = task::spawn_blocking(move || {
            let _turn = turn;
            call(&workspaces, &agent)
        });
        done.await
            .unwrap_or_else(|error| Err(WorkspaceError::Failed(format!("the host failed: {error}"))))
    }
}

#[async_trait]
impl workspaces::Workspaces for OperatedWorkspaces {
    async fn look(&self, agent: &AgentId) -> Result<Option<Content>, WorkspaceError> {
        self.run(agent, Workspaces::look).await
    }

    async fn wipe(&self, agent: &AgentId) -> Result<Option<Content>, WorkspaceError> {
        self.run(agent, Workspaces::wipe).await
    }
}

impl Workspaces {
    fn look(&self, agent: &AgentId) -> Result<Option<Content>, WorkspaceError> {
        self.with_existing(agent, |workspace, state| Ok(content(workspace, state)))
    }

    fn wipe(&self, agent: &AgentId) -> Result<Option<Content>, WorkspaceError> {
        self.with_existing(agent, |workspace, state| {
            if state.sessions > 0 {
                return Err(WorkspaceError::InUse);
            }
            let before = content(workspace, state);
            workspace.wipe().map_err(|failure| {
                let left = content(workspace, state);
                WorkspaceError::Failed(format!(
                    "not everything could be deleted, {} of {} files and directories are left: {failure}",
                    left.entries, before.entries
                ))
            })?;
            (state.wipe, state.wipe_failed) = (false, false);
            Ok(before)
        })
    }

    /// Do something with an agent's workspace if it has one. Until that is done, no activation opens it.
    fn with_existing(
        &self,
        agent: &AgentId,
        call: impl FnOnce(&Workspace, &mut SlotState) -> Result<Content, WorkspaceError>,
    ) -> Result<Option<Content>, WorkspaceError> {
        let name = directory_name(agent);
        let failed = |failure: Failure| {
            let shown = self.folder.join(&name);
            WorkspaceError::Failed(format!("the workspace {}: {failure}", shown.display()))
        };
        let Some(dir) = self.existing(&name).map_err(|error| failed(error.into()))? else {
            return Ok(None);
        };
        let slot = self.slot(agent);
        let mut state = slot.state();
        let workspace = match state.workspace.upgrade() {
            Some(workspace) => workspace,
            None => Arc::new(Workspace::measure(dir).map_err(failed)?.0),
        };
        call(&workspace, &mut state).map(Some)
    }

    fn existing(&self, name: &str) -> io::Result<Option<Dir>> {
        let folder = Dir::open_ambient_dir(&self.folder, ambient_authority());
        match folder.and_then(|folder| path::open_directory(&folder, name)) {
            Ok(dir) => Ok(Some(dir)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn content(workspace: &Workspace, state: &SlotState) -> Content {
    let usage = workspace.usage();
    Content {
        bytes: usage.bytes(),
        entries: usage.entries(),
        in_use: state.sessions > 0,
    }
}
