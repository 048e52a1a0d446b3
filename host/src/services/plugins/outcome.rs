//! What becomes of a plugin that is read: in what step, why not, how long it took.

use std::{fmt, sync::Arc, time::Duration};

use thiserror::Error;
use tracing::{debug, error, info};

use super::LoadedPlugin;
use crate::ports::{sandbox::Making, store::StoreError};

/// Why nothing was reloaded at all.
#[derive(Debug, Error)]
pub enum ReloadError {
    #[error("this host is stopping and replaces no plugins any more; what runs goes on with what it has")]
    Stopping,
    #[error("{0}")]
    Unknown(String),
    /// The source as a whole.
    #[error("{0}")]
    Source(String),
}

/// What became of one plugin.
pub struct Reloaded {
    pub name: String,
    pub origin: String,
    pub change: Result<Change, Refusal>,
    /// What runs now.
    pub running: Option<Arc<LoadedPlugin>>,
    pub took: Took,
}

impl Reloaded {
    /// In the API and in metrics.
    pub fn word(&self) -> &'static str {
        match &self.change {
            Ok(Change::New) => "new",
            Ok(Change::From(_)) => "replaced",
            Ok(Change::Manifest) => "manifest",
            Ok(Change::Unchanged) => "unchanged",
            Ok(Change::Gone) => "gone",
            Err(_) => "refused",
        }
    }

    /// Tell whoever reads the log.
    pub(super) fn log(&self) {
        let Reloaded {
            name: plugin,
            change,
            running,
            took,
            ..
        } = self;
        let generation = running.as_ref().map(|running| running.generation.number);
        let digest = running.as_ref().map(|running| running.generation.digest.short());
        match change {
            // Whoever asked is told, or asks again.
            Err(why @ Refusal::Store(_)) => debug!(plugin, %why, "can't number a plugin"),
            Err(why) => error!(plugin, %why, still_runs = generation, "can't load a plugin"),
            Ok(Change::Unchanged | Change::Gone) => {}
            Ok(Change::New) => info!(plugin, generation, digest, took = ?took.total, "plugin ready"),
            Ok(Change::Manifest) => info!(plugin, generation, digest, "plugin reloaded: its manifest has changed"),
            Ok(Change::From(was)) => {
                info!(plugin, generation, was, digest, cached = took.making.cached, took = ?took.total, reading = ?took.read,
                  compiling = ?took.making.compiled, "plugin reloaded")
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It did not run before.
    New,
    /// It runs instead of this generation.
    From(u32),
    /// The component is the same, what its manifest says is not.
    Manifest,
    Unchanged,
    /// Its files are gone, and so is it.
    Gone,
}

/// Why something was not taken. What ran before goes on.
#[derive(Debug)]
pub enum Refusal {
    /// The plugin is at fault.
    Plugin(String),
    /// The store did not number it.
    Store(StoreError),
    /// It could have been taken, but the host stops.
    Stopping,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Plugin(why) => f.write_str(why),
            Refusal::Store(error) => write!(f, "the store did not tell the generation's number: {error}"),
            Refusal::Stopping => write!(f, "{}", ReloadError::Stopping),
        }
    }
}

/// How long each step took; zero for what was not done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Took {
    /// Other reloads of the plugin.
    pub turn: Duration,
    /// Waiting for the files to be whole, and reading them.
    pub read: Duration,
    /// What the component is: its digest, its imports.
    pub inspect: Duration,
    pub making: Making,
    /// The store's number.
    pub number: Duration,
    pub total: Duration,
}
