//! Workspaces, from inside a component that does whatever it likes, and looked at from outside.

mod archivist;
mod escapes;
mod life;
mod operators;
mod quota;
mod strange;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use tempfile::TempDir;
use tokio::sync::OnceCell;
use warren::{
    adapters::wasm::SandboxConfig,
    domain::{capability::Capability, ids::AgentId, limits::Limits},
    ports::{
        sandbox::{Activated, Activation, Prepared},
        workspaces::Workspaces,
    },
};
use warren_tests::guests;

use super::harness::{FakeHost, Hub, activation, prepare, sandbox, small, summary};

/// A sandbox with workspaces of its own, and the guest that runs scripts. Beside the workspaces there is something to be
/// after, which nobody may touch.
struct Rig {
    dir: TempDir,
    prepared: Arc<dyn Prepared>,
    workspaces: Arc<dyn Workspaces>,
}

/// What an activation gets.
#[derive(Clone)]
struct Given {
    agent: &'static str,
    capabilities: Vec<Capability>,
    limits: Limits,
    wipe: bool,
}

impl Default for Given {
    fn default() -> Given {
        Given {
            agent: "agent",
            capabilities: vec![Capability::WorkspaceWrite],
            limits: Limits::default(),
            wipe: false,
        }
    }
}

impl Rig {
    async fn new() -> Rig {
        // Compiled once; every other sandbox takes it from the cache.
        static COMPILED: OnceCell<()> = OnceCell::const_new();
        let dir = TempDir::new().unwrap();
        let config = SandboxConfig {
            cache_dir: Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("workspace-guest")),
            workspace_dir: Some(dir.path().join("workspaces")),
            ..small()
        };
        let sandbox = sandbox(config);
        COMPILED
            .get_or_init(|| async {
                prepare(&sandbox, guests::component("guest-files")).await;
            })
            .await;
        let prepared = prepare(&sandbox, guests::component("guest-files")).await;
        let workspaces = sandbox.workspaces();
        let rig = Rig {
            dir,
            prepared,
            workspaces,
        };
        fs::create_dir_all(rig.folder("victim")).unwrap();
        fs::write(rig.folder("victim").join("file"), "another agent's").unwrap();
        fs::create_dir(rig.outside()).unwrap();
        fs::write(rig.outside().join("secret"), "the host's").unwrap();
        rig
    }

    /// The workspace of an agent whose id needs no encoding.
    fn folder(&self, agent: &str) -> PathBuf {
        self.dir.path().join("workspaces").join(agent)
    }

    fn outside(&self) -> PathBuf {
        self.dir.path().join("outside")
    }

    async fn activate(&self, host: &Arc<FakeHost>, given: Given, script: &str) -> Activated {
        let mut activation = activation(host, script);
        activation.item.agent_id = AgentId::new(given.agent).unwrap();
        self.prepared
            .activate(Activation {
                capabilities: given.capabilities.into_iter().collect(),
                limits: given.limits,
                wipe_workspace: given.wipe,
                ..activation
            })
            .await
    }

    /// What came of each line of a script.
    async fn run_as(&self, given: Given, script: &str) -> Vec<String> {
        let activated = self.activate(&FakeHost::new(Hub::Answers), given, script).await;
        summary(&activated).lines().map(str::to_owned).collect()
    }

    async fn run(&self, script: &str) -> Vec<String> {
        self.run_as(Given::default(), script).await
    }

    /// Everything outside the agent's own workspace.
    fn surroundings(&self) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        look(self.dir.path(), &self.folder("agent"), &mut found);
        found
    }

    /// Bytes and entries of the agent's workspace, as the disk has them.
    fn on_disk(&self) -> (u64, u64) {
        let mut found = BTreeMap::new();
        look(&self.folder("agent"), Path::new("/none"), &mut found);
        let bytes = found.keys().map(|path| path.symlink_metadata().unwrap());
        let bytes = bytes
            .filter(|metadata| metadata.is_file())
            .map(|metadata| metadata.len());
        (bytes.sum(), found.len() as u64)
    }
}

/// Every entry below a folder with what is to be known of it, but for one folder.
fn look(folder: &Path, but: &Path, found: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path == but {
            continue;
        }
        let metadata = path.symlink_metadata().unwrap();
        let what = if metadata.is_file() {
            let content = fs::read(&path).unwrap();
            format!(
                "{} names, modified {}: {content:?}",
                metadata.nlink(),
                metadata.mtime_nsec()
            )
        } else {
            format!("{:?}", metadata.file_type())
        };
        found.insert(path.clone(), what);
        if metadata.is_dir() {
            look(&path, but, found);
        }
    }
}

/// The results of a script beside its lines, each line as `COMMAND => RESULT`.
fn expect(script: &str, results: &[String]) {
    let lines: Vec<_> = script.lines().filter(|line| !line.trim().is_empty()).collect();
    assert_eq!(lines.len(), results.len(), "{results:#?}");
    for (line, result) in lines.iter().zip(results) {
        let (command, expected) = line.split_once("=>").unwrap();
        assert_eq!(result, expected.trim(), "of `{}`, in {results:#?}", command.trim());
    }
}

/// The commands of a script whose lines are `COMMAND => RESULT`.
fn commands(script: &str) -> String {
    let lines = script.lines().filter_map(|line| line.split_once("=>"));
    lines.map(|(command, _)| format!("{}\n", command.trim())).collect()
}

impl Rig {
    /// Run a script whose lines are `COMMAND => RESULT`, and compare.
    async fn check_as(&self, given: Given, script: &str) {
        expect(script, &self.run_as(given, &commands(script)).await);
    }

    async fn check(&self, script: &str) {
        self.check_as(Given::default(), script).await;
    }
}
