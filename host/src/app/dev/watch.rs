//! Says which files below some folders have changed, once a burst of changes is over.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::{sync::mpsc, time};
use tracing::warn;

/// A burst is over when nothing has changed for so long: editors write a file in several steps.
const QUIET: Duration = Duration::from_millis(50);

/// Changes that wait to be looked at; the watcher waits when there are more.
const WAITING: usize = 1024;

/// Folders that are full of what nobody wrote by hand.
const NOT_WATCHED: [&str; 2] = ["target", "node_modules"];

pub struct Watch {
    changes: mpsc::Receiver<PathBuf>,
    watcher: RecommendedWatcher,
}

impl Watch {
    pub fn new() -> anyhow::Result<Watch> {
        let (sender, changes) = mpsc::channel(WAITING);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| match event {
            Ok(event) if event.kind.is_access() => {}
            Ok(event) => {
                for path in event.paths {
                    // Nobody listens any more at the end.
                    let _ = sender.blocking_send(path);
                }
            }
            Err(error) => warn!(%error, "a change of a file may have been missed"),
        })?;
        Ok(Watch { changes, watcher })
    }

    /// Everything below a folder, but what is built or hidden there.
    pub fn folder(&mut self, folder: &Path) -> anyhow::Result<()> {
        self.watcher.watch(folder, RecursiveMode::NonRecursive)?;
        for below in folders(folder)? {
            self.watcher.watch(&below, RecursiveMode::Recursive)?;
        }
        Ok(())
    }

    /// What has changed, at the end of the next burst. Safe to cancel before the burst.
    pub async fn next(&mut self) -> BTreeSet<PathBuf> {
        let mut changed = BTreeSet::new();
        match self.changes.recv().await {
            Some(path) => changed.insert(path),
            None => std::future::pending().await,
        };
        while let Ok(Some(path)) = time::timeout(QUIET, self.changes.recv()).await {
            changed.insert(path);
        }
        // What was made just now is not watched yet.
        for path in changed.iter().filter(|path| path.is_dir() && is_watched(path)) {
            if let Err(error) = self.watcher.watch(path, RecursiveMode::Recursive) {
                warn!(folder = %path.display(), %error, "a new folder is not watched");
            }
        }
        changed
    }
}

fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && is_watched(&path) {
            folders.push(path);
        }
    }
    Ok(folders)
}

/// Whether somebody may have written this by hand, as far as its name tells.
pub fn is_watched(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    !NOT_WATCHED.iter().any(|other| name == *other) && !name.as_encoded_bytes().starts_with(b".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_saved_is_told_and_what_is_read_or_built_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for below in ["src/deep", "target"] {
            fs::create_dir_all(root.join(below)).unwrap();
        }
        fs::write(root.join("src/lib.rs"), "1").unwrap();
        let mut watch = Watch::new().unwrap();
        watch.folder(&root).unwrap();

        fs::read(root.join("src/lib.rs")).unwrap();
        fs::write(root.join("target/x"), "built").unwrap();
        fs::write(root.join("src/deep/mod.rs"), "2").unwrap();
        let changed = watch.next().await;
        assert_eq!(changed.into_iter().collect::<Vec<_>>(), [root.join("src/deep/mod.rs")]);

        fs::create_dir(root.join("more")).unwrap();
        assert!(watch.next().await.contains(&root.join("more")));
        fs::write(root.join("more/new.rs"), "3").unwrap();
        assert!(watch.next().await.contains(&root.join("more/new.rs")));
    }
}
