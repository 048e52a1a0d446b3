//! The whole of a workspace: measured, emptied, and kept from growing deep.
//!
//! Going down takes a handle for each level, so levels are bounded: guests can make no deeper ones, and what somebody else
//! has made is refused with words rather than followed.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStringExt,
};

use cap_std::{ambient_authority, fs::Dir};

use super::{
    bindings::wasi::filesystem::types::ErrorCode,
    facts::{self, Facts, Kind},
    failure::Failure,
    path,
    usage::Usage,
};

/// How deep directories may lie in one another.
pub const DEEPEST: usize = 32;

/// How many entries are looked at before a workspace counts as something else: ten times what an operator could allow.
const MOST: u64 = 1_000_000;

/// What a workspace holds.
#[derive(Default)]
pub struct Measured {
    pub bytes: u64,
    pub entries: u64,
    /// Why agents can't use some of it, for the log; the first few.
    pub refused: Vec<String>,
}

/// How many refused entries are named.
const NAMED: usize = 5;

pub fn measure(root: &Dir, device: u64) -> Result<Measured, Failure> {
    let mut measured = Measured::default();
    measure_below(root, device, 0, &mut measured)?;
    Ok(measured)
}

fn measure_below(dir: &Dir, device: u64, depth: usize, measured: &mut Measured) -> Result<(), Failure> {
    for entry in entries(dir)? {
        let Entry { name, found } = entry?;
        measured.entries += 1;
        if measured.entries > MOST {
            let words = format!("the workspace holds more than {MOST} entries: empty it by hand");
            return Err(Failure::new(ErrorCode::Quota, words));
        }
        match found.kind {
            Kind::Directory if found.device == device => {
                let below = path::enter(dir, device, &name)?;
                measure_below(&below, device, deeper(depth, &name)?, measured)?;
            }
            Kind::File => measured.bytes = measured.bytes.saturating_add(found.length),
            Kind::Directory | Kind::Link | Kind::Special(_) => {}
        }
        let refused = found.refusal(&name).and_then(|failure| failure.words);
        measured
            .refused
            .extend(refused.filter(|_| measured.refused.len() < NAMED));
    }
    Ok(())
}

/// Remove everything, open files included: those go on as files without a name. Goes on where something can't be removed
/// and returns the first such failure.
pub fn wipe(dir: &Dir, device: u64, usage: &mut Usage) -> Result<(), Failure> {
    wipe_below(dir, device, 0, usage)
}

fn wipe_below(dir: &Dir, device: u64, depth: usize, usage: &mut Usage) -> Result<(), Failure> {
    let mut first = Ok(());
    // All names before the first removal: what a listing shows of a directory that changes is not certain.
    for entry in entries(dir)?.collect::<Vec<_>>() {
        if let Err(failure) = entry.and_then(|entry| remove(dir, device, depth, &entry, usage))
            && first.is_ok()
        {
            first = Err(failure);
        }
    }
    first
}

fn remove(dir: &Dir, device: u64, depth: usize, entry: &Entry, usage: &mut Usage) -> Result<(), Failure> {
    let Entry { name, found } = entry;
    if found.kind == Kind::Directory {
        let below = path::enter(dir, device, name)?;
        wipe_below(&below, device, deeper(depth, name)?, usage)?;
        dir.remove_dir(name)?;
        usage.removed_directory();
    } else {
        dir.remove_file(name)?;
        usage.removed_file(found.id, counted(found));
    }
    Ok(())
}

/// What an entry adds to the bytes of a workspace.
pub fn counted(found: &Facts) -> u64 {
    if found.kind == Kind::File { found.length } else { 0 }
}

/// How many levels of directories lie in `dir`.
pub fn height(dir: &Dir, device: u64, depth: usize) -> Result<usize, Failure> {
    let mut highest = 0;
    for entry in entries(dir)? {
        let Entry { name, found } = entry?;
        if found.kind == Kind::Directory {
            let below = path::enter(dir, device, &name)?;
            highest = highest.max(1 + height(&below, device, deeper(depth, &name)?)?);
        }
    }
    Ok(highest)
}

/// How deep `dir` lies below the root, which is known by its device and inode. Found by going up: the directory may have
/// been moved since it was opened.
pub fn depth(dir: &Dir, (device, root): (u64, u64)) -> Result<usize, Failure> {
    let is_root =
        |dir: &Dir| Ok::<_, Failure>(facts::of_open(dir).map(|found| (found.device, found.id) == (device, root))?);
    if is_root(dir)? {
        return Ok(0);
    }
    let mut here = dir.open_parent_dir(ambient_authority())?;
    for depth in 1..=DEEPEST {
        if is_root(&here)? {
            return Ok(depth);
        }
        here = here.open_parent_dir(ambient_authority())?;
    }
    let words = "the directory is no longer in the workspace";
    Err(Failure::new(ErrorCode::NotPermitted, words))
}

fn deeper(depth: usize, name: &OsStr) -> Result<usize, Failure> {
    if depth < DEEPEST {
        return Ok(depth + 1);
    }
    Err(too_deep(name))
}

pub fn too_deep(name: &OsStr) -> Failure {
    let words =
        format!("{name:?} would lie deeper than the {DEEPEST} directories that a workspace may have in one another");
    Failure::new(ErrorCode::Quota, words)
}

struct Entry {
    name: OsString,
    found: Facts,
}

/// What is in a directory.
fn entries(dir: &Dir) -> Result<impl Iterator<Item = Result<Entry, Failure>>, Failure> {
    let names = rustix::fs::Dir::read_from(dir)?.filter_map(|entry| match entry {
        Ok(entry) => {
            let name = entry.file_name().to_bytes();
            (!matches!(name, b"." | b"..")).then(|| Ok(OsString::from_vec(name.to_owned())))
        }
        Err(error) => Some(Err(Failure::from(error))),
    });
    Ok(names.map(move |name| {
        let name = name?;
        let found = facts::of(dir, &name)?;
        Ok(Entry { name, found })
    }))
}
