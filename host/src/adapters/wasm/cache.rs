//! Compiled components on disk, so that a start takes milliseconds instead of seconds.
//!
//! An artifact is machine code that runs unchecked. So its folder must be this user's alone, its file as well, its name
//! holds the digest of the component and what the engine was built and set to, and the SHA-256 beside it must match.
//! Whatever is wrong with it, it is compiled anew: a cache is never a reason to fail.

use std::{
    fs::{self, DirBuilder, File, Metadata, OpenOptions},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rustix::{fs::OFlags, process::geteuid};
use sha2::{Digest as _, Sha256};
use tracing::warn;
use wasmtime::{Engine, component::Component};

use crate::domain::plugin::Digest;

/// How many artifacts are kept; the ones not used for longest go.
const KEPT: usize = 64;
/// How old an unfinished file is that nobody is writing any more.
const UNFINISHED: Duration = Duration::from_secs(3600);
const ARTIFACT: &str = "cwasm";
const CHECKSUM: &str = "sha256";

/// A folder of compiled components for one engine.
pub struct Cache {
    folder: PathBuf,
    /// Of the engine: its version, its settings, this CPU's features.
    engine: u64,
}

impl Cache {
    /// The cache in `folder`, which is made if need be; `None`, with a warning, if it can't be used safely.
    pub fn open(folder: PathBuf, engine: &Engine) -> Option<Cache> {
        if let Err(error) = private_folder(&folder) {
            warn!(folder = %folder.display(), %error, "compiled components are not cached");
            return None;
        }
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Some(Cache {
            folder,
            engine: hasher.finish(),
        })
    }

    /// What is kept for a component, if it is there and sound.
    pub fn load(&self, engine: &Engine, digest: Digest) -> Option<Component> {
        let path = self.path(digest, ARTIFACT);
        match self.try_load(engine, digest, &path) {
            Ok(component) => {
                self.touch(&path);
                Some(component)
            }
            Err(Unusable::Absent) => None,
            Err(Unusable::Broken(why)) => {
                warn!(file = %path.display(), %why, "a cached component is unusable and is compiled anew");
                None
            }
        }
    }

    fn try_load(&self, engine: &Engine, digest: Digest, path: &Path) -> Result<Component, Unusable> {
        let artifact = read_private(path)?;
        let expected = read_private(&self.path(digest, CHECKSUM))?;
        let found = Digest(Sha256::digest(&artifact).into()).to_string();
        if expected != found.as_bytes() {
            return Err(Unusable::Broken(format!(
                "its SHA-256 is {found}, which is not what was written"
            )));
        }
        // SAFETY: these bytes are what `store` wrote: their checksum holds, and their folder and file are, and were when
        // they were written, writable for this user alone. The checked file is what gets mapped, unless that same user
        // replaces it in between, who could replace this program as well. wasmtime itself checks engine and settings.
        #[allow(unsafe_code)]
        let component = unsafe { Component::deserialize_file(engine, path) };
        component.map_err(|error| Unusable::Broken(format!("{error:#}")))
    }

    /// Keep an artifact. Failure is only worth a warning.
    pub fn store(&self, digest: Digest, artifact: &[u8]) {
        let checksum = Digest(Sha256::digest(artifact).into()).to_string();
        let written = self
            .write(&self.path(digest, ARTIFACT), artifact)
            .and_then(|()| self.write(&self.path(digest, CHECKSUM), checksum.as_bytes()))
            .and_then(|()| self.forget_oldest());
        if let Err(error) = written {
            warn!(folder = %self.folder.display(), %error, "a compiled component could not be cached");
        }
    }

    /// All of it or nothing, under a name of its own until it is whole.
    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let unfinished = self.folder.join(format!(".{}", uuid::Uuid::new_v4()));
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)
            .and_then(|mut file| file.write_all(content))
            .and_then(|()| fs::rename(&unfinished, path));
        if written.is_err() {
            // It may not have been made at all.
            let _ = fs::remove_file(&unfinished);
        }
        written
    }

    /// Mark an artifact as used now; that it can't be is no harm.
    fn touch(&self, path: &Path) {
        let _ = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
    }

    /// Keep the artifacts that were used last, and nothing that a killed process left unfinished.
    fn forget_oldest(&self) -> io::Result<()> {
        let mut artifacts = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let used = entry.metadata()?.modified()?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                if used.elapsed().is_ok_and(|age| age > UNFINISHED) {
                    forget(&entry.path())?;
                }
            } else if entry.path().extension().is_some_and(|extension| extension == ARTIFACT) {
                artifacts.push((used, entry.path()));
            }
        }
        artifacts.sort();
        for (_, path) in artifacts.iter().rev().skip(KEPT) {
            forget(path)?;
            forget(&path.with_extension(CHECKSUM))?;
        }
        Ok(())
    }

    fn path(&self, digest: Digest, extension: &str) -> PathBuf {
        self.folder.join(format!("{digest}-{:016x}.{extension}", self.engine))
    }
}

/// Delete a file; another host may have done so already.
fn forget(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

enum Unusable {
    Absent,
    Broken(String),
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Unusable {
        match error.kind() {
            io::ErrorKind::NotFound => Unusable::Absent,
            _ => Unusable::Broken(error.to_string()),
        }
    }
}

fn read_private(path: &Path) -> Result<Vec<u8>, Unusable> {
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NOFOLLOW.bits() as i32)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || !own(&metadata) || metadata.permissions().mode() & 0o022 != 0 {
        return Err(Unusable::Broken(
            "it is not a file that this user owns and nobody else may write".to_owned(),
        ));
    }
    let mut content = Vec::with_capacity(metadata.len() as usize);
    file.read_to_end(&mut content)?;
    Ok(content)
}

/// Make the folder, or see that it is this user's alone.
fn private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let metadata = fs::metadata(folder)?;
    let mode = metadata.permissions().mode() & 0o777;
    if !own(&metadata) {
        return Err(io::Error::other("the folder belongs to another user"));
    }
    if mode & 0o077 != 0 {
        return Err(io::Error::other(format!(
            "the folder is open to other users (mode {mode:o}): `chmod 700` it"
        )));
    }
    Ok(())
}

fn own(metadata: &Metadata) -> bool {
    metadata.uid() == geteuid().as_raw()
}
