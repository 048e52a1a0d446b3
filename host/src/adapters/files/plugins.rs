//! Plugins in a folder: one folder each, with `plugin.toml` and the component that it names.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::{agents, bounded, manifest};
use crate::{
    domain::{ids::PluginName, plugin::Manifest},
    ports::plugin_source::{FoundPlugin, PluginSource},
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

/// A manifest's path with what it says or what is wrong with it.
pub type Listed = (PathBuf, Result<Manifest, PluginFileError>);

/// Where a host looks for plugins: a folder of plugins, or one plugin as its folder or its `plugin.toml`.
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

    /// Every manifest that is there now, the wrong ones with their errors; of two plugins of one name the second is wrong.
    /// Components are not read: [`read_plugin`] does that for one plugin at a time.
    ///
    /// # Errors
    /// As [`PluginFolder::manifests`].
    pub fn list(&self) -> Result<Vec<Listed>, PluginFileError> {
        let mut seen: HashMap<PluginName, PathBuf> = HashMap::new();
        let mut list = Vec::new();
        for path in self.manifests()? {
            let manifest = read_manifest(&path).and_then(|(manifest, _)| match seen.get(&manifest.name) {
                Some(first) => Err(PluginFileError(format!(
                    "{}: name: {} also names a plugin of this name; rename one of the two",
                    path.display(),
                    first.display()
                ))),
                None => {
                    seen.insert(manifest.name.clone(), path.clone());
                    Ok(manifest)
                }
            });
            list.push((path, manifest));
        }
        Ok(list)
    }
}

impl PluginSource for PluginFolder {
    fn scan(&self) -> Result<Vec<FoundPlugin>, String> {
        let found = self
            .list()
            .map_err(|error| error.to_string())?
            .into_iter()
            .map(|(path, manifest)| FoundPlugin {
                content: manifest
                    .and_then(|_| read_plugin(&path))
                    .map_err(|error| error.to_string()),
                origin: path.display().to_string(),
            });
        Ok(found.collect())
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
