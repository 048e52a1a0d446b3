//! A directory being listed: read in small batches, so that a listing of many long names takes little memory however many
//! of them a guest has open.

use std::{collections::VecDeque, sync::Arc};

use rustix::fs::{Dir, FileType};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    bindings::wasi::filesystem::types::{DirectoryEntry, ErrorCode},
    facts,
    failure::Failure,
    handles::OpenDirectory,
};

/// Entries that are read at a time.
const BATCH: usize = 64;

/// A directory-entry-stream of `wasi:filesystem`.
pub struct Listing {
    /// Read and not yet handed out.
    pub batch: VecDeque<Result<DirectoryEntry, Failure>>,
    /// None at the end, and while the next batch is being read.
    pub rest: Option<Rest>,
}

/// What is still to be read.
pub struct Rest {
    entries: Dir,
    directory: Arc<OpenDirectory>,
    _permit: OwnedSemaphorePermit,
}

impl Listing {
    pub fn new(directory: Arc<OpenDirectory>, permit: OwnedSemaphorePermit) -> Result<Listing, Failure> {
        Ok(Listing {
            batch: VecDeque::new(),
            rest: Some(Rest {
                entries: Dir::read_from(&directory.dir)?,
                directory,
                _permit: permit,
            }),
        })
    }
}

impl Rest {
    /// The next entries, and what is left if that was not all.
    pub fn read(mut self) -> (VecDeque<Result<DirectoryEntry, Failure>>, Option<Rest>) {
        let mut batch = VecDeque::new();
        while batch.len() < BATCH {
            match self.entries.read() {
                None => return (batch, None),
                Some(Ok(entry)) if matches!(entry.file_name().to_bytes(), b"." | b"..") => {}
                Some(Ok(entry)) => batch.push_back(self.entry(&entry)),
                Some(Err(error)) => {
                    batch.push_back(Err(error.into()));
                    return (batch, None);
                }
            }
        }
        (batch, Some(self))
    }

    fn entry(&self, entry: &rustix::fs::DirEntry) -> Result<DirectoryEntry, Failure> {
        let name = entry.file_name().to_str().map_err(|_| ErrorCode::IllegalByteSequence)?;
        let kind = match entry.file_type() {
            // Not every file system says it here.
            FileType::Unknown => facts::of(&self.directory.dir, name.as_ref())?.descriptor_type(),
            known => facts::descriptor_type(known),
        };
        Ok(DirectoryEntry {
            type_: kind,
            name: name.to_owned(),
        })
    }
}
