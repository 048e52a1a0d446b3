//! What reads and writes open files. Changes of length hold the accounts from check to end. All of it may wait for the disk.

use std::{io, os::unix::fs::FileExt};

use bytes::{Bytes, BytesMut};
use rustix::fs::{AtFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, futimens, utimensat};

use super::{
    bindings::wasi::filesystem::types::{DescriptorFlags, ErrorCode, NewTimestamp},
    failure::Failure,
    handles::{Descriptor, OpenDirectory, OpenFile},
    session::Session,
};

/// How much one call reads at most.
pub const CHUNK: usize = 64 * 1024;

/// Where a write goes.
#[derive(Clone, Copy, Debug)]
pub enum At {
    Offset(u64),
    End,
}

/// Read up to `most` bytes; nothing at the end of the file.
pub fn read(file: &OpenFile, most: u64, offset: u64) -> Result<Bytes, Failure> {
    let size = usize::try_from(most).unwrap_or(usize::MAX).min(CHUNK);
    let mut buffer = BytesMut::zeroed(size);
    if i64::try_from(offset).is_err() {
        // No file is so long.
        return Ok(Bytes::new());
    }
    let count = loop {
        match file.file()?.read_at(&mut buffer, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    buffer.truncate(count);
    Ok(buffer.freeze())
}

impl Session {
    /// Write all of `bytes`, or nothing if that is over the quota.
    pub(super) fn write(&self, file: &OpenFile, bytes: &[u8], at: At) -> Result<(), Failure> {
        file.require(DescriptorFlags::WRITE)?;
        let mut usage = self.workspace.usage();
        self.may_change()?;
        if bytes.is_empty() {
            return Ok(());
        }
        let length = file.length()?;
        let offset = match at {
            At::Offset(offset) => offset,
            At::End => length,
        };
        let end = offset.checked_add(bytes.len() as u64).ok_or(ErrorCode::FileTooLarge)?;
        usage
            .may_grow(length, end, self.quota())
            .map_err(|over| self.over(over, usage.bytes(), usage.entries()))?;
        let written = file.file()?.write_all_at(bytes, offset);
        // Also of a write that failed half way.
        usage.resized(file.id, file.length()?);
        Ok(written?)
    }

    pub(super) fn resize(&self, file: &OpenFile, to: u64) -> Result<(), Failure> {
        file.require(DescriptorFlags::WRITE)?;
        let mut usage = self.workspace.usage();
        self.may_change()?;
        usage
            .may_grow(file.length()?, to, self.quota())
            .map_err(|over| self.over(over, usage.bytes(), usage.entries()))?;
        let resized = file.file()?.set_len(to);
        usage.resized(file.id, file.length()?);
        Ok(resized?)
    }

    pub(super) fn set_times(&self, of: &Descriptor, times: &Timestamps) -> Result<(), Failure> {
        let _usage = self.workspace.usage();
        self.may_change()?;
        match of {
            Descriptor::File(file) => futimens(file.file()?, times)?,
            Descriptor::Directory(directory) => utimensat(&directory.dir, ".", times, AtFlags::empty())?,
        }
        Ok(())
    }

    pub(super) fn set_times_at(&self, base: &OpenDirectory, path: &str, times: &Timestamps) -> Result<(), Failure> {
        let place = self.find(base, path)?;
        let _usage = self.workspace.usage();
        self.may_change()?;
        place.facts()?;
        match place.name {
            Some(name) => utimensat(place.dir(), name, times, AtFlags::SYMLINK_NOFOLLOW)?,
            None => utimensat(place.dir(), ".", times, AtFlags::empty())?,
        }
        Ok(())
    }
}

pub fn timestamps(accessed: NewTimestamp, modified: NewTimestamp) -> Result<Timestamps, Failure> {
    Ok(Timestamps {
        last_access: timespec(accessed)?,
        last_modification: timespec(modified)?,
    })
}

fn timespec(time: NewTimestamp) -> Result<Timespec, Failure> {
    let special = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
    Ok(match time {
        NewTimestamp::NoChange => special(UTIME_OMIT),
        NewTimestamp::Now => special(UTIME_NOW),
        NewTimestamp::Timestamp(time) if time.nanoseconds >= 1_000_000_000 => return Err(ErrorCode::Invalid.into()),
        NewTimestamp::Timestamp(time) => Timespec {
            tv_sec: time.seconds.try_into().map_err(|_| ErrorCode::Overflow)?,
            tv_nsec: time.nanoseconds.into(),
        },
    })
}
