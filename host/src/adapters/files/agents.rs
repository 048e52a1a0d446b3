//! The definitions in a folder: `<dir>/<name>/config.yaml`, with `system-prompt.md` beside it.
//!
//! Each is read when it is asked for and kept for its own `cache_ttl`. A file that has become wrong does not stop an agent
//! that runs: the last good definition stays in use, and the mistake is logged once. A definition that was taken away is
//! gone at its next reading.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    bounded::{self, Unreadable},
    definition,
};
use crate::{
    domain::{agent::AgentDefinition, ids::AgentName, time::BootTime},
    ports::{
        clock::Clock,
        definitions::{DefinitionError, Definitions},
    },
};

/// The largest `config.yaml` and `system-prompt.md`, in bytes: both go into memory, and the prompt into a guest's.
const MAX_FILE: u64 = 1024 * 1024;

/// The agents' definitions in one folder.
pub struct AgentFiles {
    dir: PathBuf,
    clock: Arc<dyn Clock>,
    kept: Mutex<HashMap<AgentName, Kept>>,
}

/// A definition that was good when it was read.
struct Kept {
    definition: Arc<AgentDefinition>,
    /// When its file was looked at last, whether that was good or not.
    read_at: BootTime,
    /// What is wrong with the file now, once it was logged.
    reported: Option<String>,
}

impl AgentFiles {
    /// The definitions below `dir`, which is not looked at yet. `clock` decides when a definition is read again.
    pub fn new(dir: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> AgentFiles {
        AgentFiles {
            dir: dir.into(),
            clock,
            kept: Mutex::default(),
        }
    }

    /// Not held while a file is read: two readers of one file do the same.
    fn kept(&self) -> MutexGuard<'_, HashMap<AgentName, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, name: &AgentName) -> Result<Arc<AgentDefinition>, DefinitionError> {
        let folder = self.dir.join(name.as_str());
        let file = folder.join("config.yaml");
        let text = match bounded::text(&file, MAX_FILE) {
            Ok(text) => text,
            Err(Unreadable::Absent) => {
                let path = file.display().to_string();
                return Err(DefinitionError::Unknown {
                    name: name.clone(),
                    path,
                });
            }
            Err(Unreadable::Failed(why)) => return Err(DefinitionError::Invalid(why)),
        };
        let prompt = match bounded::text(&folder.join("system-prompt.md"), MAX_FILE) {
            Ok(prompt) => Some(prompt),
            Err(Unreadable::Absent) => None,
            Err(Unreadable::Failed(why)) => return Err(DefinitionError::Invalid(why)),
        };
        let definition = definition::parse(&file, name, &text, prompt).map_err(DefinitionError::Invalid)?;
        Ok(Arc::new(definition))
    }

    /// The definition to use after a reading: a bad file leaves the last good one in use.
    fn keep(
        &self,
        name: &AgentName,
        read_at: BootTime,
        read: Result<Arc<AgentDefinition>, DefinitionError>,
    ) -> Result<Arc<AgentDefinition>, DefinitionError> {
        let mut all = self.kept();
        let why = match read {
            Ok(definition) => {
                let entry = Kept {
                    definition: definition.clone(),
                    read_at,
                    reported: None,
                };
                all.insert(name.clone(), entry);
                return Ok(definition);
            }
            Err(DefinitionError::Invalid(why)) => why,
            Err(gone) => {
                all.remove(name);
                return Err(gone);
            }
        };
        let Some(kept) = all.get_mut(name) else {
            return Err(DefinitionError::Invalid(why));
        };
        kept.read_at = read_at;
        if kept.reported.as_ref() != Some(&why) {
            tracing::warn!(agent = %name, %why, "a definition has become invalid; the last good one stays in use");
            kept.reported = Some(why);
        }
        Ok(kept.definition.clone())
    }

    /// The definition of one folder, as it stands there now.
    fn entry(&self, folder: &str) -> Result<Arc<AgentDefinition>, DefinitionError> {
        let name = AgentName::new(folder).map_err(|error| {
            let path = self.dir.join(folder);
            DefinitionError::Invalid(format!("{}: the folder's name: {error}", path.display()))
        })?;
        self.read(&name)
    }
}

impl Definitions for AgentFiles {
    fn agent(&self, name: &AgentName) -> Result<Arc<AgentDefinition>, DefinitionError> {
        let now = self.clock.now();
        if let Some(kept) = self.kept().get(name)
            && now.since(kept.read_at) < kept.definition.cache_ttl
        {
            return Ok(kept.definition.clone());
        }
        self.keep(name, now, self.read(name))
    }

    fn names(&self) -> Option<HashSet<String>> {
        folders(&self.dir).ok().map(HashSet::from_iter)
    }

    /// As the files stand now, whatever is kept. Plain files and hidden folders are no definitions.
    fn all(&self) -> Vec<(String, Result<Arc<AgentDefinition>, DefinitionError>)> {
        match folders(&self.dir) {
            Ok(folders) => folders
                .into_iter()
                .map(|folder| {
                    let entry = self.entry(&folder);
                    (folder, entry)
                })
                .collect(),
            Err(error) => {
                let dir = self.dir.display().to_string();
                let why = format!("{dir}: the folder of agent definitions can't be read: {error}");
                vec![(dir, Err(DefinitionError::Invalid(why)))]
            }
        }
    }
}

/// The names of the folders in `dir`, sorted. Hidden ones are not ours: `.git`, or the `..data` of mounted configuration.
pub(super) fn folders(dir: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // A link that leads nowhere counts as well, so that somebody hears of it.
        let folder = entry.path().metadata().map_or(true, |metadata| metadata.is_dir());
        if folder && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
