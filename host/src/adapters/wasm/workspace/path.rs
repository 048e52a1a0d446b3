//! Paths of guests: walked one directory at a time, none of them through a link, so that no path can leave the directory
//! that it starts from.

use std::{ffi::OsStr, io, path::Path};

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;

use super::{
    bindings::wasi::filesystem::types::ErrorCode,
    facts::{self, Facts, Kind},
    failure::Failure,
};

/// As long as Linux takes them.
const LONGEST: usize = 4096;

/// Where a path leads.
pub struct Place<'a> {
    /// The directories gone into on the way.
    walked: Vec<Dir>,
    base: &'a Dir,
    /// The last name, of which nothing is known yet. None: the directory itself.
    pub name: Option<&'a OsStr>,
    /// The path ends like that of a directory.
    pub directory: bool,
}

impl<'a> Place<'a> {
    /// Walk `path` from `base`. Everything must lie on the file system `device`.
    pub fn find(base: &'a Dir, device: u64, path: &'a str) -> Result<Place<'a>, Failure> {
        check(path)?;
        let mut place = Place {
            walked: Vec::new(),
            base,
            name: None,
            directory: path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..") || path == "..",
        };
        for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
            if let Some(name) = place.name.take() {
                let next = enter(place.dir(), device, name)?;
                place.walked.push(next);
            }
            if part != ".." {
                place.name = Some(OsStr::new(part));
            } else if place.walked.pop().is_none() {
                return Err(Failure::new(
                    ErrorCode::NotPermitted,
                    format!("the path {path:?} leads out of the directory that it starts from"),
                ));
            }
        }
        Ok(place)
    }

    pub fn dir(&self) -> &Dir {
        self.walked.last().unwrap_or(self.base)
    }

    /// The last name, for what can't be done to a directory itself.
    pub fn named(&self) -> Result<&'a OsStr, Failure> {
        self.name.ok_or_else(|| ErrorCode::Invalid.into())
    }

    /// What there is; a link is not followed.
    pub fn facts(&self) -> Result<Facts, Failure> {
        let found = match self.name {
            Some(name) => facts::of(self.dir(), name)?,
            None => facts::of_open(self.dir())?,
        };
        if self.directory && found.kind != Kind::Directory {
            return Err(ErrorCode::NotDirectory.into());
        }
        Ok(found)
    }

    /// What there is, if there is anything.
    pub fn facts_if_any(&self) -> Result<Option<Facts>, Failure> {
        match self.facts() {
            Err(failure) if failure.code == ErrorCode::NoEntry => Ok(None),
            found => found.map(Some),
        }
    }
}

fn check(path: &str) -> Result<(), Failure> {
    if path.is_empty() {
        Err(ErrorCode::NoEntry.into())
    } else if path.starts_with('/') {
        let words = format!("the path {path:?} is absolute: paths start from an open directory");
        Err(Failure::new(ErrorCode::NotPermitted, words))
    } else if path.contains('\0') {
        Err(ErrorCode::Invalid.into())
    } else if path.len() > LONGEST {
        Err(ErrorCode::NameTooLong.into())
    } else {
        Ok(())
    }
}

/// Open a directory for everything that is done in one, not through a link. (What cap-std calls opening a directory gives
/// a handle that can't be listed.)
pub fn open_directory(parent: &Dir, name: impl AsRef<Path>) -> io::Result<Dir> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .follow(FollowSymlinks::No)
        .custom_flags(OFlags::DIRECTORY.bits().cast_signed());
    Ok(Dir::from_std_file(parent.open_with(name, &options)?.into_std()))
}

/// Go into a directory, not through a link and not into another file system.
pub fn enter(parent: &Dir, device: u64, name: &OsStr) -> Result<Dir, Failure> {
    let opened = open_directory(parent, name).map_err(|error| refused(parent, name, error))?;
    if facts::of_open(&opened)?.device != device {
        let words = format!("{name:?} in the workspace is the root of another file system: agents can't use it");
        return Err(Failure::new(ErrorCode::NotPermitted, words));
    }
    Ok(opened)
}

/// Why there was no entering: of a link the system says "not a directory", which helps nobody.
fn refused(parent: &Dir, name: &OsStr, error: io::Error) -> Failure {
    match facts::of(parent, name) {
        Ok(found) if found.kind == Kind::Link => found.refusal(name).unwrap_or_else(|| error.into()),
        _ => error.into(),
    }
}
