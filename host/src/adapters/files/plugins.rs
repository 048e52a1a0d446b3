//! Plugins in a folder: one folder each, with `plugin.toml` and the component that it names.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use thiserror::Error;
use tokio::task;

use super::{agents, bounded, manifest, settled};
use crate::{
    domain::plugin::Manifest,
    ports::plugin_source::{Place, PluginSource},
};

/// The manifest's file name.
const MANIFEST: &str = "plugin.toml";

/// The largest manifest in bytes.
const MAX_MANIFEST: u64 = 1024 * 1024;

/// The largest component in bytes. The largest known ones, which carry a language's whole runtime, have some 40 MB.
const MAX_COMPONENT: u64 = 256 * 1024 * 1024;

/// Why a plugin can't be read from its files, with file, line, key, value and what is allowed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct PluginFileError(String);

/// Where a host looks for plugins: a folder of plugins, or one plugin as its folder or its `plugin.toml`.
#[derive(Clone)]
pub struct PluginFolder {
    path: PathBuf,
}

impl PluginFolder {
    /// Looks at nothing yet.
    pub fn new(path: impl Into<PathBuf>) -> PluginFolder {
        PluginFolder { path: path.into() }
    }

    /// The manifests that are there now, sorted by path. Folders without one are no plugins.
    ///
    /// # Errors
    /// If there is no such folder, or it can't be read.
    pub fn manifests(&self) -> Result<Vec<PathBuf>, PluginFileError> {
        let own = manifest_path(&self.path);
        if own.is_file() {
            return Ok(vec![own]);
        }
        let folders = agents::folders(&self.path).map_err(|error| {
            let path = self.path.display();
            PluginFileError(format!("{path}: the folder of plugins can't be read: {error}"))
        })?;
        let paths = folders.into_iter().map(|folder| self.path.join(folder).join(MANIFEST));
        Ok(paths.filter(|path| path.exists()).collect())
    }
}

#[async_trait]
impl PluginSource for PluginFolder {
    async fn places(&self) -> Result<Vec<Place>, String> {
        let folder = self.clone();
        let look = task::spawn_blocking(move || {
            let place = |path: PathBuf| Place {
                origin: path.display().to_string(),
                manifest: read_manifest(&path)
                    .map(|(manifest, _)| manifest)
                    .map_err(|error| error.to_string()),
            };
            let manifests = folder.manifests().map_err(|error| error.to_string())?;
            Ok(manifests.into_iter().map(place).collect())
        });
        look.await
            .map_err(|error| format!("reading the plugins failed: {error}"))?
    }

    async fn read(&self, origin: &str, still: Duration) -> Result<(Manifest, Vec<u8>), String> {
        let path = PathBuf::from(origin);
        let manifest = path.clone();
        let files = move || match read_manifest(&manifest) {
            Ok((_, component)) => vec![manifest.with_file_name(component), manifest.clone()],
            Err(_) => vec![manifest.clone()],
        };
        settled::read(files, still, move || read_plugin(&path))
            .await?
            .map_err(|error| error.to_string())
    }
}

/// Reads one plugin, given as its folder or its `plugin.toml`: the manifest and the component's bytes, which are not checked
/// here.
///
/// # Errors
/// A file that is absent, unreadable or too large, or a manifest that is wrong.
pub fn read_plugin(path: &Path) -> Result<(Manifest, Vec<u8>), PluginFileError> {
    let path = manifest_path(path);
    let (manifest, component) = read_manifest(&path)?;
    let component = path.with_file_name(component);
    let bytes = bounded::bytes(&component, MAX_COMPONENT).map_err(|unreadable| {
        let absent = format!(
            "{} names it as its component: build the plugin, or correct the name",
            path.display()
        );
        PluginFileError(unreadable.words(&component, &absent))
    })?;
    Ok((manifest, bytes))
}

/// Reads a component that no manifest names.
///
/// # Errors
/// A file that is absent, unreadable or too large.
pub fn read_component(path: &Path) -> Result<Vec<u8>, PluginFileError> {
    bounded::bytes(path, MAX_COMPONENT).map_err(|unreadable| {
        PluginFileError(match unreadable {
            bounded::Unreadable::Absent => format!("{} can't be read: there is no such file", path.display()),
            bounded::Unreadable::Failed(why) => why,
        })
    })
}

/// The name that a manifest gives its component's file.
///
/// # Errors
/// A manifest that is absent, unreadable or wrong.
pub fn component_name(manifest: &Path) -> Result<String, PluginFileError> {
    read_manifest(manifest).map(|(_, component)| component)
}

fn read_manifest(path: &Path) -> Result<(Manifest, String), PluginFileError> {
    let text = bounded::text(path, MAX_MANIFEST).map_err(|unreadable| {
        PluginFileError(unreadable.words(path, "a plugin is a folder with plugin.toml and its component"))
    })?;
    manifest::parse(path, &text).map_err(PluginFileError)
}

/// The manifest of what may be a plugin's folder or the manifest itself.
fn manifest_path(path: &Path) -> PathBuf {
    match path.file_name() {
        Some(name) if name == MANIFEST => path.to_owned(),
        _ => path.join(MANIFEST),
    }
}
