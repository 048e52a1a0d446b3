//! What a guest holds open.
//!
//! Closing a file settles the accounts and may wait for the disk, so the last handle is never closed on a guest's thread.

use std::{fs::File, sync::Arc};

use cap_std::fs::Dir;
use tokio::{runtime::Handle, sync::OwnedSemaphorePermit};

use super::{
    Workspace,
    bindings::wasi::filesystem::types::{DescriptorFlags, ErrorCode},
    facts::{self, Facts},
    failure::Failure,
    usage::FileId,
};

/// A descriptor of `wasi:filesystem`.
pub enum Descriptor {
    File(Arc<OpenFile>),
    Directory(Arc<OpenDirectory>),
}

impl Descriptor {
    pub fn share(&self) -> Descriptor {
        match self {
            Descriptor::File(file) => Descriptor::File(Arc::clone(file)),
            Descriptor::Directory(directory) => Descriptor::Directory(Arc::clone(directory)),
        }
    }

    pub fn facts(&self) -> Result<Facts, Failure> {
        Ok(match self {
            Descriptor::File(file) => facts::of_open(file.file()?)?,
            Descriptor::Directory(directory) => facts::of_open(&directory.dir)?,
        })
    }

    pub fn file(&self) -> Result<Arc<OpenFile>, Failure> {
        match self {
            Descriptor::File(file) => Ok(Arc::clone(file)),
            Descriptor::Directory(_) => Err(ErrorCode::IsDirectory.into()),
        }
    }

    pub fn directory(&self) -> Result<Arc<OpenDirectory>, Failure> {
        match self {
            Descriptor::Directory(directory) => Ok(Arc::clone(directory)),
            Descriptor::File(_) => Err(ErrorCode::NotDirectory.into()),
        }
    }
}

/// An open directory. What may be done in it is the same in the whole workspace.
pub struct OpenDirectory {
    pub dir: Dir,
    /// Counts against what an activation may hold open; the workspace's root does not.
    pub _permit: Option<OwnedSemaphorePermit>,
}

/// An open file.
pub struct OpenFile {
    pub id: FileId,
    pub flags: DescriptorFlags,
    /// None once it is being closed.
    held: Option<Held>,
    io: Handle,
}

/// What is given back when a file is closed.
struct Held {
    file: File,
    workspace: Arc<Workspace>,
    _permit: OwnedSemaphorePermit,
}

impl Held {
    /// Closes while the accounts are held: the inode may be a new file's right after.
    fn close(self, id: FileId) {
        let mut usage = self.workspace.usage();
        drop(self.file);
        usage.closed(id);
    }
}

impl OpenFile {
    /// Take over a file that [`Usage::opened`](super::usage::Usage::opened) knows of. It is closed on a thread of `io`.
    pub fn new(
        file: File,
        id: FileId,
        flags: DescriptorFlags,
        workspace: Arc<Workspace>,
        permit: OwnedSemaphorePermit,
        io: Handle,
    ) -> OpenFile {
        let held = Some(Held {
            file,
            workspace,
            _permit: permit,
        });
        OpenFile { id, flags, held, io }
    }

    pub fn file(&self) -> Result<&File, Failure> {
        let held = self.held.as_ref().ok_or(ErrorCode::BadDescriptor)?;
        Ok(&held.file)
    }

    pub fn length(&self) -> Result<u64, Failure> {
        Ok(facts::of_open(self.file()?)?.length)
    }

    /// Whether it was opened for `wanted`.
    pub fn require(&self, wanted: DescriptorFlags) -> Result<(), Failure> {
        if self.flags.contains(wanted) {
            Ok(())
        } else {
            Err(ErrorCode::BadDescriptor.into())
        }
    }

    /// Close it here and now, if this is its last share. May wait for the disk.
    pub fn close(self: Arc<OpenFile>) {
        if let Some(mut last) = Arc::into_inner(self)
            && let Some(held) = last.held.take()
        {
            held.close(last.id);
        }
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            let id = self.id;
            self.io.spawn_blocking(move || held.close(id));
        }
    }
}
