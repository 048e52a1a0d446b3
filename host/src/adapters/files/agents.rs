//! The definitions in a folder: `<dir>/<name>/config.yaml`, with `system-prompt.md` beside it.
//!
//! Each is read when it is asked for and kept for its own `cache_ttl`. A file that has become wrong does not stop an agent
//! that runs: the last good definition stays in use, and the mistake is told once. A definition that was taken away is
//! gone a second after its next reading, or at once at an operator's word.
//!
//! Whoever reads a change first tells of it, so that none is missed or told twice: an operator's word may come just after
//! the reading that found it.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use tokio::task;

use super::{
    bounded::{self, Unreadable},
    definition, settled,
};
use crate::{
    domain::{agent::AgentDefinition, ids::AgentName, time::BootTime},
    ports::{
        clock::Clock,
        definitions::{DefinitionError, DefinitionFiles, Definitions, Reread},
    },
};

/// The largest `config.yaml` and `system-prompt.md`, in bytes: both go into memory, and the prompt into a guest's.
const MAX_FILE: u64 = 1024 * 1024;

/// For so long both files of a definition have to be left alone before it is read again at an operator's word: half a
/// definition may look like a whole one.
const STILL: Duration = Duration::from_millis(100);

/// How long a definition is kept that may have been read while it was written.
const DOUBTFUL: Duration = Duration::from_secs(1);

/// Definitions that are read again at once, each of which may have to be waited for.
const AT_ONCE: usize = 16;

/// Hears what became of a definition, by the name of its folder.
type Heard = Box<dyn Fn(&str, &Reread) + Send + Sync>;

/// The agents' definitions in one folder.
pub struct AgentFiles {
    dir: PathBuf,
    clock: Arc<dyn Clock>,
    kept: Mutex<HashMap<AgentName, Kept>>,
    heard: Heard,
}

/// What is known of an agent whose definition has been good.
struct Kept {
    /// The last good one; none once it was told that its files are gone.
    definition: Option<Arc<AgentDefinition>>,
    /// When its files were looked at last, whatever was found.
    read_at: BootTime,
    /// When they are to be looked at again, from then on: its own `cache_ttl`, or sooner.
    for_long: Duration,
    /// Why they make no good one any more.
    trouble: Option<Trouble>,
}

struct Trouble {
    error: DefinitionError,
    /// When it was seen first.
    since: BootTime,
    told: bool,
}

/// What a reading found.
struct Finding {
    /// The definition to use: a bad file leaves the last good one in use.
    used: Result<Arc<AgentDefinition>, DefinitionError>,
    reread: Reread,
    /// Whether it differs from what was told last.
    news: bool,
}

impl AgentFiles {
    /// The definitions below `dir`, which is not looked at yet. `clock` decides when a definition is read again.
    pub fn new(dir: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> AgentFiles {
        AgentFiles {
            dir: dir.into(),
            clock,
            kept: Mutex::default(),
            heard: Box::new(|_, _| {}),
        }
    }

    /// `heard` is told of every reading again that somebody asked for, and of every change that was found without: a first
    /// reading is none. It is called between other work and must not block.
    #[must_use]
    pub fn heard_by(self, heard: impl Fn(&str, &Reread) + Send + Sync + 'static) -> AgentFiles {
        AgentFiles {
            heard: Box::new(heard),
            ..self
        }
    }

    /// Not held while a file is read: two readers of one file do the same.
    fn kept(&self) -> MutexGuard<'_, HashMap<AgentName, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, name: &AgentName) -> Result<Arc<AgentDefinition>, DefinitionError> {
        read(&self.dir, name)
    }

    /// Take what was read at `read_at`, and compare it with what was there before. What is `fresh` may have been read while
    /// it was written.
    fn keep(
        &self,
        name: &AgentName,
        read_at: BootTime,
        read: Result<Arc<AgentDefinition>, DefinitionError>,
        fresh: bool,
    ) -> Finding {
        let mut all = self.kept();
        if let Some(newer) = all.get(name).filter(|kept| kept.read_at > read_at) {
            let gone = || unknown(name, &files(&self.dir, name)[0]);
            return Finding {
                used: newer.definition.clone().ok_or_else(gone),
                reread: Reread::Unchanged,
                news: false,
            };
        }
        match read {
            Ok(definition) => {
                let for_long = if fresh {
                    definition.cache_ttl.min(DOUBTFUL)
                } else {
                    definition.cache_ttl
                };
                let entry = Kept {
                    for_long,
                    definition: Some(definition.clone()),
                    read_at,
                    trouble: None,
                };
                let (reread, news) = match all.insert(name.clone(), entry).map(|before| before.definition) {
                    None => (Reread::New, false),
                    // It was told that it is gone.
                    Some(None) => (Reread::New, true),
                    Some(Some(before)) if before == definition => (Reread::Unchanged, false),
                    Some(Some(_)) => (Reread::Changed, true),
                };
                Finding {
                    used: Ok(definition),
                    reread,
                    news,
                }
            }
            Err(error) => match all.get_mut(name).filter(|kept| kept.definition.is_some()) {
                Some(kept) => kept.is_in_trouble(error, read_at, fresh),
                None => Finding {
                    reread: match error.clone() {
                        DefinitionError::Invalid(why) => Reread::Refused { why, kept: false },
                        DefinitionError::Unknown { path, .. } => Reread::Unknown { path },
                    },
                    used: Err(error),
                    news: false,
                },
            },
        }
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

impl Kept {
    /// What may have been read while it was written is no news until it is the same at a look some time later. The last good
    /// definition stays in use, unless the files are gone for sure.
    fn is_in_trouble(&mut self, error: DefinitionError, read_at: BootTime, fresh: bool) -> Finding {
        let before = self.trouble.take().filter(|before| before.error == error);
        let (since, told_before) = before.map_or((read_at, false), |before| (before.since, before.told));
        // Two may look at the same moment.
        let news = !told_before && (!fresh || read_at.since(since) >= DOUBTFUL);
        (self.read_at, self.for_long) = (read_at, DOUBTFUL);
        self.trouble = Some(Trouble {
            error: error.clone(),
            since,
            told: told_before || news,
        });
        if news && matches!(error, DefinitionError::Unknown { .. }) {
            self.definition = None;
        }
        let used = self.definition.clone().ok_or_else(|| error.clone());
        let reread = match error {
            DefinitionError::Invalid(why) => Reread::Refused { why, kept: true },
            DefinitionError::Unknown { .. } => Reread::Gone,
        };
        Finding { used, reread, news }
    }
}

impl Definitions for AgentFiles {
    fn agent(&self, name: &AgentName) -> Result<Arc<AgentDefinition>, DefinitionError> {
        let now = self.clock.now();
        if let Some(kept) = self.kept().get(name)
            && now.since(kept.read_at) < kept.for_long
            && let Some(definition) = &kept.definition
        {
            return Ok(definition.clone());
        }
        let read = self.read(name);
        // Between the two steps of replacing a file there is none.
        let fresh = matches!(read, Err(DefinitionError::Unknown { .. }))
            || files(&self.dir, name).iter().any(|file| settled::age(file) < STILL);
        let found = self.keep(name, now, read, fresh);
        if found.news {
            (self.heard)(name.as_str(), &found.reread);
        }
        found.used
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

#[async_trait]
impl DefinitionFiles for AgentFiles {
    async fn reread(&self, name: &AgentName) -> Reread {
        let (dir, owned) = (self.dir.clone(), name.clone());
        let read = {
            let (dir, name, clock) = (dir.clone(), owned.clone(), Arc::clone(&self.clock));
            // As of the moment before: whoever reads meanwhile may know better.
            move || (clock.now(), read(&dir, &name))
        };
        let read = settled::read(move || files(&dir, &owned).to_vec(), STILL, read).await;
        let (read_at, read) = read.unwrap_or_else(|why| (self.clock.now(), Err(DefinitionError::Invalid(why))));
        let reread = self.keep(name, read_at, read, false).reread;
        (self.heard)(name.as_str(), &reread);
        reread
    }

    async fn reread_all(&self) -> Result<Vec<(String, Reread)>, String> {
        let dir = self.dir.clone();
        let look = task::spawn_blocking(move || {
            folders(&dir).map_err(|error| {
                let dir = dir.display();
                format!("{dir}: the folder of agent definitions can't be read: {error}")
            })
        });
        let folders = look
            .await
            .map_err(|error| format!("reading the definitions failed: {error}"))??;
        let mut names: BTreeSet<String> = folders.into_iter().collect();
        let kept = |(name, kept): (&AgentName, &Kept)| kept.definition.is_some().then(|| name.to_string());
        names.extend(self.kept().iter().filter_map(kept));
        let rereads = stream::iter(names).map(|name| async {
            let reread = match AgentName::new(name.as_str()) {
                Ok(name) => self.reread(&name).await,
                Err(error) => {
                    let why = format!("{}: the folder's name: {error}", self.dir.join(&name).display());
                    let refused = Reread::Refused { why, kept: false };
                    (self.heard)(&name, &refused);
                    refused
                }
            };
            (name, reread)
        });
        Ok(rereads.buffered(AT_ONCE).collect().await)
    }
}

/// The two files of a definition.
fn files(dir: &Path, name: &AgentName) -> [PathBuf; 2] {
    let folder = dir.join(name.as_str());
    [folder.join("config.yaml"), folder.join("system-prompt.md")]
}

fn read(dir: &Path, name: &AgentName) -> Result<Arc<AgentDefinition>, DefinitionError> {
    let [file, prompt] = files(dir, name);
    let text = match bounded::text(&file, MAX_FILE) {
        Ok(text) => text,
        Err(Unreadable::Absent) => return Err(unknown(name, &file)),
        Err(Unreadable::Failed(why)) => return Err(DefinitionError::Invalid(why)),
    };
    let prompt = match bounded::text(&prompt, MAX_FILE) {
        Ok(prompt) => Some(prompt),
        Err(Unreadable::Absent) => None,
        Err(Unreadable::Failed(why)) => return Err(DefinitionError::Invalid(why)),
    };
    let definition = definition::parse(&file, name, &text, prompt).map_err(DefinitionError::Invalid)?;
    Ok(Arc::new(definition))
}

fn unknown(name: &AgentName, file: &Path) -> DefinitionError {
    DefinitionError::Unknown {
        name: name.clone(),
        path: file.display().to_string(),
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
