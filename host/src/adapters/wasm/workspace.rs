//! The workspaces of agents: a directory each, below one folder of this host, reached by guests through `wasi:filesystem`.
//!
//! Scratch space: what must last belongs into the agent's state. wasmtime's own files know no quota, so this is an
//! implementation of the interface on top of cap-std. A call comes in at `descriptor`; `session` says what the activation
//! may do and lends it a thread that may wait for the disk; `path` walks to the place; `changes` and `content` do it, with
//! the accounts (`usage`) held, so that no two handles, streams or activations can pass the quota side by side.
//! `streams` and `listing` are what a guest reads and writes piece by piece, `tree` measures and empties; `operators` is for
//! those who run the host.
//!
//! An agent without a grant has no directory, and a guest that asks for none costs nothing.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use cap_std::{
    ambient_authority,
    fs::{Dir, DirBuilder, DirBuilderExt},
};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tracing::warn;

use self::{
    failure::Failure,
    session::{Session, Terms},
    usage::Usage,
};
use super::guest::Account;
use crate::domain::ids::AgentId;

mod bindings;
mod changes;
mod content;
mod descriptor;
mod facts;
mod failure;
mod handles;
mod listing;
mod operators;
mod path;
pub mod session;
mod streams;
mod tree;
mod usage;

pub use self::{descriptor::add_to_linker, operators::OperatedWorkspaces};

/// For nobody but the host's own user.
const MODE: u32 = 0o700;

/// The longest name of a directory that still shows the whole agent id; file systems take 255.
const LONGEST_NAME: usize = 128;

/// All workspaces of a host.
pub struct Workspaces {
    folder: PathBuf,
    /// One for each agent that ever opened its workspace here.
    slots: Mutex<HashMap<AgentId, Arc<Slot>>>,
}

/// Where the activations of one agent meet. There is more than one at a time only after a lost lease.
#[derive(Default)]
struct Slot {
    agent: String,
    state: Mutex<SlotState>,
}

#[derive(Default)]
struct SlotState {
    /// Alive while anything in it is open: whoever opens it then shares its accounts.
    workspace: Weak<Workspace>,
    sessions: usize,
    /// Whether the last one is to leave nothing behind.
    wipe: bool,
    /// Emptying it failed, which was logged.
    wipe_failed: bool,
}

/// One agent's directory while it is in use.
pub struct Workspace {
    root: Arc<handles::OpenDirectory>,
    /// Device and inode of the root.
    place: (u64, u64),
    /// Held by every call that changes something, from its check to its end.
    usage: Mutex<Usage>,
}

impl Workspaces {
    /// The workspaces below `folder`, which is made when it is first needed.
    pub fn new(folder: PathBuf) -> Workspaces {
        Workspaces {
            folder,
            slots: Mutex::default(),
        }
    }

    /// Open an agent's workspace for an activation; waits for the disk. Measures it, unless another activation has it open.
    ///
    /// # Errors
    /// In words, with the path.
    pub fn open(&self, agent: &AgentId, terms: Terms, io: Handle, account: Arc<Account>) -> Result<Session, String> {
        let slot = self.slot(agent);
        let mut state = slot.state();
        let workspace = match state.workspace.upgrade() {
            Some(workspace) => workspace,
            None => {
                let name = directory_name(agent);
                let path = self.folder.join(&name);
                let opened = self.open_directory(&name).map_err(Failure::from);
                let measured = opened.and_then(Workspace::measure);
                let (workspace, refused) =
                    measured.map_err(|failure| format!("the workspace {}: {failure}", path.display()))?;
                for refused in refused {
                    warn!(%agent, "{refused}");
                }
                Arc::new(workspace)
            }
        };
        // Also at the beginning: the host may have been killed before it came to that at the end.
        if terms.wipe && state.sessions == 0 {
            workspace
                .wipe()
                .map_err(|failure| format!("the workspace of agent {agent} can't be emptied: {failure}"))?;
        }
        state.workspace = Arc::downgrade(&workspace);
        state.sessions += 1;
        state.wipe |= terms.wipe;
        drop(state);
        Ok(Session::new(workspace, slot, terms, io, account))
    }

    fn slot(&self, agent: &AgentId) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.entry(agent.clone()).or_insert_with(|| {
            Arc::new(Slot {
                agent: agent.to_string(),
                state: Mutex::default(),
            })
        });
        Arc::clone(slot)
    }

    /// An agent's directory, made if need be. Links are followed up to the folder of all workspaces and not below.
    fn open_directory(&self, name: &str) -> io::Result<Dir> {
        fs::DirBuilder::new().recursive(true).mode(MODE).create(&self.folder)?;
        let folder = Dir::open_ambient_dir(&self.folder, ambient_authority())?;
        match folder.create_dir_with(name, DirBuilder::new().mode(MODE)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        path::open_directory(&folder, name)
    }
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, SlotState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session has ended; the last one empties the workspace if one of them was to.
    fn leave(&self, workspace: &Workspace, wipe: bool) {
        let mut state = self.state();
        state.sessions -= 1;
        state.wipe |= wipe;
        if state.sessions > 0 || !state.wipe {
            return;
        }
        state.wipe = false;
        match workspace.wipe() {
            Ok(()) => state.wipe_failed = false,
            Err(error) => {
                if !state.wipe_failed {
                    warn!(agent = self.agent, %error, "a workspace can't be emptied; tried again before the agent's next use of it");
                }
                state.wipe_failed = true;
            }
        }
    }
}

impl Workspace {
    /// With what agents can't use of it, in words.
    fn measure(dir: Dir) -> Result<(Workspace, Vec<String>), Failure> {
        let found = facts::of_open(&dir)?;
        let measured = tree::measure(&dir, found.device)?;
        let workspace = Workspace {
            root: Arc::new(handles::OpenDirectory { dir, _permit: None }),
            place: (found.device, found.id),
            usage: Mutex::new(Usage::measured(measured.bytes, measured.entries)),
        };
        Ok((workspace, measured.refused))
    }

    fn root(&self) -> Arc<handles::OpenDirectory> {
        Arc::clone(&self.root)
    }

    fn device(&self) -> u64 {
        self.place.0
    }

    /// The accounts. Never waited for on a guest's thread: who holds them may wait for the disk.
    fn usage(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wipe(&self) -> Result<(), Failure> {
        tree::wipe(&self.root.dir, self.device(), &mut self.usage())
    }
}

/// The name of an agent's directory: the id itself as far as it is lower-case letters, digits, `-` and `_`, the other bytes
/// as `%` and two digits. Of an id too long for that the beginning and its digest, with a `~` between that the others
/// can't have.
fn directory_name(agent: &AgentId) -> String {
    let mut name = String::new();
    for byte in agent.as_str().bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            other => name.push_str(&format!("%{other:02x}")),
        }
    }
    if name.len() > LONGEST_NAME {
        let digest = crate::domain::plugin::Digest(Sha256::digest(agent.as_str()).into());
        name.truncate(LONGEST_NAME / 2);
        name.push_str(&format!("~{digest}"));
    }
    name
}

#[cfg(test)]
mod tests;
