//! A folder of this machine in place of the agent's workspace.

use std::{path::PathBuf, sync::OnceLock};

use tempfile::TempDir;

/// Made when it is first asked for.
#[derive(Default)]
pub(super) struct Workspace(OnceLock<TempDir>);

impl Workspace {
    /// # Panics
    /// If it can't be made.
    pub(super) fn root(&self) -> PathBuf {
        let made = self.0.get_or_init(|| match TempDir::with_prefix("warren-workspace-") {
            Ok(folder) => folder,
            Err(error) => panic!("no folder for the agent's workspace can be made: {error}"),
        });
        made.path().to_path_buf()
    }
}
