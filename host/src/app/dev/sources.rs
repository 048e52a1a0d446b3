//! Plugins from their sources: which crates there are, building one with cargo, and laying it out where the host reads it.

use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::task;
use tracing::info;

use crate::adapters::files::component_name;

const TARGET: &str = "wasm32-wasip2";

/// The profile that a workspace may have for its components, and the one that there always is.
const PROFILES: [&str; 2] = ["guest", "release"];

/// A plugin's crate: a folder with `Cargo.toml` and `plugin.toml`.
#[derive(Debug)]
pub struct Source {
    pub folder: PathBuf,
    profile: &'static str,
    /// The folders of other crates on this machine that its builds have used: of the SDK, say.
    parts: Mutex<BTreeSet<PathBuf>>,
}

/// What came of a build.
pub struct Built {
    pub took: Duration,
    /// Whether there was anything to do.
    pub fresh: bool,
}

/// The crates in these folders, each of which is one or holds some.
pub fn find(folders: &[PathBuf]) -> anyhow::Result<Vec<Source>> {
    let mut found = Vec::new();
    for folder in folders {
        // As the watcher will name what is below it.
        let folder = folder
            .canonicalize()
            .with_context(|| format!("the folder of sources {} (--sources)", folder.display()))?;
        let before = found.len();
        if is_source(&folder) {
            found.push(Source::new(folder.clone())?);
        } else {
            for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
                let below = entry?.path();
                if is_source(&below) {
                    found.push(Source::new(below)?);
                }
            }
        }
        if found.len() == before {
            bail!(
                "--sources: {} is no plugin's crate and holds none: one has a Cargo.toml and a plugin.toml",
                folder.display()
            );
        }
    }
    found.sort_by(|one, other| one.folder.cmp(&other.folder));
    found.dedup_by(|one, other| one.folder == other.folder);
    Ok(found)
}

fn is_source(folder: &Path) -> bool {
    ["Cargo.toml", "plugin.toml"]
        .iter()
        .all(|file| folder.join(file).is_file())
}

fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")))
}

impl Source {
    fn new(folder: PathBuf) -> anyhow::Result<Source> {
        Ok(Source {
            profile: profile(&folder)?,
            folder,
            parts: Mutex::default(),
        })
    }

    /// The folder itself, and those of other crates on this machine that it was built of so far.
    pub fn folders(&self) -> Vec<PathBuf> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        [&self.folder].into_iter().chain(&*parts).cloned().collect()
    }

    pub fn name(&self) -> String {
        let name = self.folder.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Build it, and lay it out below `plugins`. What the compiler has to say goes to standard error. Dropping the future
    /// ends cargo.
    pub async fn build(&self, plugins: &Path) -> anyhow::Result<Built> {
        let began = Instant::now();
        let mut child = cargo()
            .args(["build", "--quiet", "--message-format=json-render-diagnostics"])
            .args(["--profile", self.profile, "--target", TARGET, "--manifest-path"])
            .arg(self.folder.join("Cargo.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cargo can't be started: is there a Rust toolchain on the PATH?")?;
        let mut ends = EndsOnDrop(i32::try_from(child.id()).ok().and_then(Pid::from_raw));
        let done = task::spawn_blocking(move || {
            let read = child.stdout.take().map(std::io::read_to_string).transpose();
            (read, child.wait())
        });
        let (read, ended) = done.await.context("waiting for cargo")?;
        ends.0 = None;
        // Also of a build that failed: it may be one of them that does not compile.
        let messages = read.context("reading what cargo says")?.unwrap_or_default();
        let parts = parts(&messages, &self.folder);
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).extend(parts);
        if !ended.context("waiting for cargo")?.success() {
            bail!("{} can't be built", self.name());
        }
        let artifact = artifact(&messages, &self.folder)
            .ok_or_else(|| anyhow!("{} builds no component: is it a `cdylib`?", self.name()))?;
        lay_out(&self.folder, &artifact.file, &plugins.join(self.name()))?;
        Ok(Built {
            took: began.elapsed(),
            fresh: artifact.fresh,
        })
    }

    /// The same, with a line about it where there was anything to do.
    pub async fn rebuild(&self, plugins: &Path) -> anyhow::Result<()> {
        let built = self.build(plugins).await?;
        if !built.fresh {
            info!(plugin = self.name(), took = ?built.took, "built");
        }
        Ok(())
    }
}

/// Ends a process that nobody waits for any more.
struct EndsOnDrop(Option<Pid>);

impl Drop for EndsOnDrop {
    fn drop(&mut self) {
        if let Some(process) = self.0 {
            // It may have ended by itself.
            let _ = kill_process(process, Signal::TERM);
        }
    }
}

/// The profile for components that the crate's workspace has.
fn profile(folder: &Path) -> anyhow::Result<&'static str> {
    let located = cargo()
        .args([
            "locate-project",
            "--workspace",
            "--message-format",
            "plain",
            "--manifest-path",
        ])
        .arg(folder.join("Cargo.toml"))
        .stderr(Stdio::inherit())
        .output()
        .context("cargo can't be started: is there a Rust toolchain on the PATH?")?;
    if !located.status.success() {
        bail!("{} is no crate that cargo can build", folder.display());
    }
    let root = String::from_utf8_lossy(&located.stdout).trim().to_owned();
    let text = fs::read_to_string(&root).with_context(|| format!("reading {root}"))?;
    let manifest: toml::Table = text.parse().with_context(|| format!("reading {root}"))?;
    let [own, always] = PROFILES;
    let has = manifest
        .get("profile")
        .is_some_and(|profiles| profiles.get(own).is_some());
    Ok(if has { own } else { always })
}

struct Artifact {
    file: PathBuf,
    fresh: bool,
}

/// One of cargo's messages, as far as it matters here.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    package_id: String,
    manifest_path: Option<PathBuf>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    #[serde(default)]
    fresh: bool,
}

fn artifacts(messages: &str) -> impl Iterator<Item = Message> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str(line).ok());
    messages.filter(|message: &Message| message.reason == "compiler-artifact")
}

/// The folders of the other crates that cargo built this one of and whose sources are on this machine: what somebody may
/// edit. Those of a registry are not.
fn parts(messages: &str, folder: &Path) -> BTreeSet<PathBuf> {
    let local = artifacts(messages).filter(|message| message.package_id.starts_with("path+"));
    let folders = local.filter_map(|message| message.manifest_path?.parent()?.canonicalize().ok());
    folders.filter(|part| part != folder).collect()
}

/// The component among what cargo says that it made of this crate.
fn artifact(messages: &str, folder: &Path) -> Option<Artifact> {
    let own = folder.join("Cargo.toml");
    artifacts(messages)
        .filter(|message| message.manifest_path.as_ref() == Some(&own))
        .find_map(|message| {
            let is_component = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "wasm");
            Some(Artifact {
                file: message.filenames.into_iter().find(is_component)?,
                fresh: message.fresh,
            })
        })
}

/// The component first: a manifest without it would be a mistake.
fn lay_out(source: &Path, component: &Path, into: &Path) -> anyhow::Result<()> {
    let manifest = source.join("plugin.toml");
    let name = component_name(&manifest)?;
    copy(component, &into.join(name))?;
    copy(&manifest, &into.join("plugin.toml"))
}

/// Copy by way of another file, unless it is the same already: whoever reads sees the old one or the new one.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let content = fs::read(from).with_context(|| format!("reading {}", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == content) {
        return Ok(());
    }
    let partial = to.with_extension("partial");
    let folder = to.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&partial, &content))
        .and_then(|()| fs::rename(&partial, to))
        .with_context(|| format!("can't copy {} to {}", from.display(), to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_component_is_found_among_cargos_messages() {
        let messages = r#"
{"reason":"compiler-artifact","manifest_path":"/w/sdk/Cargo.toml","filenames":["/t/libsdk.rlib"],"fresh":true}
{"reason":"compiler-artifact","manifest_path":"/w/echo/Cargo.toml","filenames":["/t/echo.wasm"],"fresh":false}
not json
{"reason":"build-finished","success":true}"#;
        let found = artifact(messages, Path::new("/w/echo")).unwrap();
        assert_eq!((found.file, found.fresh), (PathBuf::from("/t/echo.wasm"), false));
        assert!(artifact(messages, Path::new("/w/sdk")).is_none());
    }

    #[test]
    fn a_plugin_is_made_of_the_crates_on_this_machine_alone() {
        let here = tempfile::tempdir().unwrap();
        let (sdk, own) = (here.path().canonicalize().unwrap(), Path::new("/w/echo"));
        let message = |id: &str, folder: &Path| {
            let (id, manifest) = (format!("{id}#1.0.0"), folder.join("Cargo.toml"));
            serde_json::json!({ "reason": "compiler-artifact", "package_id": id, "manifest_path": manifest })
                .to_string()
        };
        let messages = [
            message("registry+https://example.org/index", &sdk.join("registry")),
            message("path+file:///w/sdk", &sdk),
            message("path+file:///w/echo", own),
        ];
        assert_eq!(parts(&messages.join("\n"), own), BTreeSet::from([sdk]));
    }

    #[test]
    fn what_is_the_same_is_not_written_again() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("into/to"));
        let inode = || fs::metadata(&to).unwrap().ino();
        fs::write(&from, "1").unwrap();
        copy(&from, &to).unwrap();
        let first = inode();
        copy(&from, &to).unwrap();
        assert_eq!(inode(), first);
        fs::write(&from, "2").unwrap();
        copy(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "2");
    }

    #[test]
    fn a_folder_without_a_plugins_crate_is_told_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let error = find(&[folder.path().to_owned()]).unwrap_err().to_string();
        assert!(
            error.contains(&folder.path().display().to_string()) && error.contains("plugin.toml"),
            "{error}"
        );
        let error = format!("{:#}", find(&["/nonexistent/sources".into()]).unwrap_err());
        assert!(error.contains("/nonexistent/sources"), "{error}");
    }
}
