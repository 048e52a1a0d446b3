//! Keeps what runs like what was saved: a plugin's source, or that of a crate it is made of, is built and reloaded, a
//! plugin's files are reloaded, a definition is read again. What can't be used is told, and what ran goes on.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use tracing::{error, info, warn};

use super::{
    sources::Source,
    watch::{Watch, is_watched},
};
use crate::{app::host::Host, domain::ids::AgentName, ports::definitions::DefinitionFiles, services::plugins::Plugins};

pub struct Reloading {
    plugins: Arc<Plugins>,
    definitions: Arc<dyn DefinitionFiles>,
    sources: Vec<Source>,
    plugin_dir: PathBuf,
    agents_dir: PathBuf,
}

impl Reloading {
    pub fn new(host: &Host, sources: Vec<Source>, plugin_dir: &Path, agents_dir: &Path) -> Reloading {
        // As the watcher will name what is below them.
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        Reloading {
            plugins: Arc::clone(&host.plugins),
            definitions: Arc::clone(&host.definitions),
            sources,
            plugin_dir: real(plugin_dir),
            agents_dir: real(agents_dir),
        }
    }

    /// Until it is dropped.
    pub async fn run(self) -> anyhow::Result<()> {
        let mut watch = Watch::new()?;
        let mut watched = BTreeSet::new();
        self.watch(&mut watch, &mut watched);
        // What was saved while nobody watched yet.
        let all = self.sources.iter().map(|source| source.folder.join("plugin.toml"));
        self.follow(&all.collect()).await;
        loop {
            // A build may have told of more.
            self.watch(&mut watch, &mut watched);
            let changed = watch.next().await;
            self.follow(&changed).await;
        }
    }

    /// Watch what is not watched yet.
    fn watch(&self, watch: &mut Watch, watched: &mut BTreeSet<PathBuf>) {
        let sources = self.sources.iter().flat_map(Source::folders);
        let others = [&self.plugin_dir, &self.agents_dir].map(PathBuf::clone);
        for folder in sources.chain(others) {
            if !watched.insert(folder.clone()) {
                continue;
            }
            match watch.folder(&folder) {
                Ok(()) => info!(folder = %folder.display(), "watching"),
                Err(error) => {
                    warn!(folder = %folder.display(), %error, "not watched: what is saved there needs a reload by hand")
                }
            }
        }
    }

    async fn follow(&self, changed: &BTreeSet<PathBuf>) {
        let below = |folder: &Path| {
            changed
                .iter()
                .filter_map(|path| path.strip_prefix(folder).ok())
                .collect::<Vec<_>>()
        };
        let mut built = false;
        for source in &self.sources {
            if source
                .folders()
                .iter()
                .any(|folder| below(folder).into_iter().any(matters))
            {
                built |= self.build(source).await;
            }
        }
        if built || !below(&self.plugin_dir).is_empty() {
            // What became of each is in the log.
            if let Err(error) = self.plugins.reload(None).await {
                error!(%error, "the plugins were not reloaded");
            }
        }
        let agents: BTreeSet<_> = below(&self.agents_dir)
            .iter()
            .filter_map(|path| path.iter().next())
            .collect();
        for folder in agents {
            if let Ok(name) = AgentName::new(folder.to_string_lossy()) {
                // What became of it is in the log.
                self.definitions.reread(&name).await;
            }
        }
    }

    async fn build(&self, source: &Source) -> bool {
        let plugin = source.name();
        match source.rebuild(&self.plugin_dir).await {
            Ok(()) => true,
            Err(error) => {
                error!(plugin, error = format!("{error:#}"), "not reloaded; what ran goes on");
                false
            }
        }
    }
}

/// Whether a change in a crate is one of its sources.
fn matters(path: &Path) -> bool {
    path != Path::new("Cargo.lock") && path.iter().all(|part| is_watched(Path::new(part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_writes_does_not_start_cargo_again() {
        for (path, expected) in [
            ("src/lib.rs", true),
            ("Cargo.toml", true),
            ("wit/agent.wit", true),
            ("Cargo.lock", false),
            ("target/debug/x", false),
            (".git/index", false),
            ("src/.lib.rs.swp", false),
        ] {
            assert_eq!(matters(Path::new(path)), expected, "{path}");
        }
    }
}
