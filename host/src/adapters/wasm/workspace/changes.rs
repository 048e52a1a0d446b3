//! What makes, opens, renames and removes entries of a workspace. Each holds the accounts from its check to its end, so that
//! nothing comes between. All of it may wait for the disk.

use std::{ffi::OsStr, sync::Arc};

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt, OpenOptionsMaybeDirExt, OpenOptionsSyncExt};
use cap_std::fs::{Dir, File, OpenOptions, OpenOptionsExt};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    bindings::wasi::filesystem::types::{DescriptorFlags, ErrorCode, OpenFlags},
    facts::{self, Facts, Kind},
    failure::Failure,
    handles::{Descriptor, OpenDirectory, OpenFile},
    path::{self, Place},
    session::Session,
    tree::{self, DEEPEST, too_deep},
    usage::Usage,
};

/// Of new files: for nobody but the host's own user.
const FILE_MODE: u32 = 0o600;

impl Session {
    pub(super) fn find<'a>(&self, base: &'a OpenDirectory, path: &'a str) -> Result<Place<'a>, Failure> {
        Place::find(&base.dir, self.workspace.device(), path)
    }

    /// Open what is at `path`, or make a file there if the flags say so.
    pub(super) fn open_at(
        self: &Arc<Session>,
        base: &OpenDirectory,
        path: &str,
        how: OpenFlags,
        flags: DescriptorFlags,
    ) -> Result<Descriptor, Failure> {
        let creates = how.contains(OpenFlags::CREATE);
        let truncates = how.contains(OpenFlags::TRUNCATE);
        if how.contains(OpenFlags::DIRECTORY) && (creates || truncates) {
            return Err(ErrorCode::Invalid.into());
        }
        let writes = flags.contains(DescriptorFlags::WRITE) || truncates;
        let permit = self.permit_to_open()?;
        let place = self.find(base, path)?;
        let mut usage = self.workspace.usage();
        let found = place.facts_if_any()?;
        if writes || creates && found.is_none() {
            self.may_change()?;
        }
        let file = match found {
            Some(_) if creates && how.contains(OpenFlags::EXCLUSIVE) => return Err(ErrorCode::Exist.into()),
            Some(found) if found.kind == Kind::Directory && writes => return Err(ErrorCode::IsDirectory.into()),
            Some(found) if found.kind == Kind::Directory => return self.open_directory(&place, permit),
            Some(found) => {
                let name = place.named()?;
                if let Some(refusal) = found.refusal(name) {
                    return Err(refusal);
                }
                if how.contains(OpenFlags::DIRECTORY) {
                    return Err(ErrorCode::NotDirectory.into());
                }
                open(place.dir(), name, &options(flags, writes))?
            }
            None if creates => self.make_file(&place, flags, &mut usage)?,
            None => return Err(ErrorCode::NoEntry.into()),
        };
        let found = self.checked(&file, place.named()?)?;
        if truncates && found.length > 0 {
            file.set_len(0)?;
        }
        usage.opened(found.id, found.length);
        if truncates {
            usage.resized(found.id, 0);
        }
        drop(usage);
        let workspace = Arc::clone(&self.workspace);
        let file = OpenFile::new(file.into_std(), found.id, flags, workspace, permit, self.io.clone());
        Ok(Descriptor::File(Arc::new(file)))
    }

    fn open_directory(&self, place: &Place<'_>, permit: OwnedSemaphorePermit) -> Result<Descriptor, Failure> {
        let dir = match place.name {
            Some(name) => path::enter(place.dir(), self.workspace.device(), name)?,
            None => place.dir().try_clone()?,
        };
        let _permit = Some(permit);
        Ok(Descriptor::Directory(Arc::new(OpenDirectory { dir, _permit })))
    }

    fn make_file(&self, place: &Place<'_>, flags: DescriptorFlags, usage: &mut Usage) -> Result<File, Failure> {
        if place.directory {
            return Err(ErrorCode::IsDirectory.into());
        }
        self.may_add(usage)?;
        let made = open(place.dir(), place.named()?, options(flags, true).create_new(true))?;
        usage.added();
        Ok(made)
    }

    pub(super) fn make_directory(&self, base: &OpenDirectory, path: &str) -> Result<(), Failure> {
        let place = self.find(base, path)?;
        let mut usage = self.workspace.usage();
        self.may_change()?;
        let Some(name) = place.name else {
            return Err(ErrorCode::Exist.into());
        };
        // An entry that is there is the nearer reason.
        if facts::of(place.dir(), name).is_ok() {
            return Err(ErrorCode::Exist.into());
        }
        self.may_add(&usage)?;
        if tree::depth(place.dir(), self.workspace.place)? >= DEEPEST {
            return Err(too_deep(name));
        }
        place.dir().create_dir(name)?;
        usage.added();
        Ok(())
    }

    pub(super) fn remove_directory(&self, base: &OpenDirectory, path: &str) -> Result<(), Failure> {
        let place = self.find(base, path)?;
        let mut usage = self.workspace.usage();
        self.may_change()?;
        let name = place.named()?;
        if place.facts()?.kind != Kind::Directory {
            return Err(ErrorCode::NotDirectory.into());
        }
        place.dir().remove_dir(name)?;
        usage.removed_directory();
        Ok(())
    }

    /// Remove anything but a directory: also what an agent can't use.
    pub(super) fn unlink(&self, base: &OpenDirectory, path: &str) -> Result<(), Failure> {
        let place = self.find(base, path)?;
        let mut usage = self.workspace.usage();
        self.may_change()?;
        let name = place.named()?;
        let found = place.facts()?;
        if found.kind == Kind::Directory {
            return Err(ErrorCode::IsDirectory.into());
        }
        place.dir().remove_file(name)?;
        usage.removed_file(found.id, tree::counted(&found));
        Ok(())
    }

    pub(super) fn rename(&self, from: (&OpenDirectory, &str), to: (&OpenDirectory, &str)) -> Result<(), Failure> {
        let from = self.find(from.0, from.1)?;
        let to = self.find(to.0, to.1)?;
        let mut usage = self.workspace.usage();
        self.may_change()?;
        let (old, new) = (from.named()?, to.named()?);
        let found = from.facts()?;
        if let Some(refusal) = found.refusal(old) {
            return Err(refusal);
        }
        if to.directory && found.kind != Kind::Directory {
            return Err(ErrorCode::NotDirectory.into());
        }
        let replaced = to.facts_if_any()?;
        if replaced.is_some_and(|replaced| (replaced.device, replaced.id) == (found.device, found.id)) {
            return Ok(());
        }
        if found.kind == Kind::Directory {
            self.fits_at(&from, old, &to)?;
        }
        from.dir().rename(old, to.dir(), new)?;
        match replaced {
            Some(replaced) if replaced.kind == Kind::Directory => usage.removed_directory(),
            Some(replaced) => usage.removed_file(replaced.id, tree::counted(&replaced)),
            None => {}
        }
        Ok(())
    }

    /// Whether a directory with all that is in it may lie there.
    fn fits_at(&self, from: &Place<'_>, name: &OsStr, to: &Place<'_>) -> Result<(), Failure> {
        let device = self.workspace.device();
        let moved = path::enter(from.dir(), device, name)?;
        let depth = tree::depth(to.dir(), self.workspace.place)?;
        if depth + 1 + tree::height(&moved, device, 0)? > DEEPEST {
            return Err(too_deep(name));
        }
        Ok(())
    }

    /// What was opened, if it still is what may be opened: another process may have changed it since it was looked at.
    fn checked(&self, file: &File, name: &OsStr) -> Result<Facts, Failure> {
        let found = facts::of_open(file)?;
        match found.refusal(name) {
            Some(refusal) => Err(refusal),
            None if found.kind == Kind::File && found.device == self.workspace.device() => Ok(found),
            None => Err(ErrorCode::Busy.into()),
        }
    }

    fn may_add(&self, usage: &Usage) -> Result<(), Failure> {
        usage
            .may_add(self.quota())
            .map_err(|over| self.over(over, usage.bytes(), usage.entries()))
    }
}

fn options(flags: DescriptorFlags, writes: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        // One of the two is needed; what the guest may do is asked at each call.
        .read(flags.contains(DescriptorFlags::READ) || !writes)
        .write(writes)
        .mode(FILE_MODE)
        .follow(FollowSymlinks::No)
        .maybe_dir(true)
        // So that nothing that somebody puts here now can keep us waiting.
        .nonblock(true);
    options
}

fn open(dir: &Dir, name: &OsStr, options: &OpenOptions) -> Result<File, Failure> {
    Ok(dir.open_with(name, options)?)
}
