//! What the system says about a file or directory, and which of them an agent may use at all.

use std::{ffi::OsStr, os::fd::AsFd};

use rustix::fs::{AtFlags, FileType, Stat, fstat, statat};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;

use super::{
    bindings::wasi::filesystem::types::{DescriptorStat, DescriptorType, ErrorCode, MetadataHashValue},
    failure::Failure,
    usage::FileId,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Directory,
    File,
    Link,
    /// A device, pipe or socket.
    Special(FileType),
}

#[derive(Clone, Copy, Debug)]
pub struct Facts {
    pub kind: Kind,
    /// The file system that it lies on.
    pub device: u64,
    pub id: FileId,
    pub length: u64,
    pub links: u64,
    accessed: (i64, i64),
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Of the entry `name`; if it is a link, of the link.
pub fn of(dir: impl AsFd, name: &OsStr) -> rustix::io::Result<Facts> {
    statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map(Facts::from)
}

/// Of what is open.
pub fn of_open(file: impl AsFd) -> rustix::io::Result<Facts> {
    fstat(file).map(Facts::from)
}

impl Facts {
    /// Why an agent can't use this, if it can't: what only a person can have put into the workspace.
    pub fn refusal(&self, name: &OsStr) -> Option<Failure> {
        let (code, what) = match self.kind {
            _ if name.to_str().is_none() => (ErrorCode::IllegalByteSequence, "is not UTF-8"),
            Kind::Directory => return None,
            Kind::File if self.links <= 1 => return None,
            Kind::File => (ErrorCode::TooManyLinks, "has more than one name (hard links)"),
            Kind::Link => (ErrorCode::Loop, "is a link"),
            Kind::Special(_) => (ErrorCode::NotPermitted, "is neither a file nor a directory"),
        };
        let words = format!("{name:?} in the workspace {what}: agents can't use it, take it away");
        Some(Failure::new(code, words))
    }

    pub fn descriptor_type(&self) -> DescriptorType {
        match self.kind {
            Kind::Directory => DescriptorType::Directory,
            Kind::File => DescriptorType::RegularFile,
            Kind::Link => DescriptorType::SymbolicLink,
            Kind::Special(special) => descriptor_type(special),
        }
    }

    pub fn stat(&self) -> DescriptorStat {
        DescriptorStat {
            type_: self.descriptor_type(),
            link_count: self.links,
            size: self.length,
            data_access_timestamp: datetime(self.accessed),
            data_modification_timestamp: datetime(self.modified),
            status_change_timestamp: datetime(self.changed),
        }
    }

    /// The same for the same file, however often it is opened or renamed.
    pub fn hash(&self) -> MetadataHashValue {
        MetadataHashValue {
            lower: self.id,
            upper: self.device,
        }
    }
}

/// The kind of an entry of a listing.
pub fn descriptor_type(kind: FileType) -> DescriptorType {
    match kind {
        FileType::Directory => DescriptorType::Directory,
        FileType::RegularFile => DescriptorType::RegularFile,
        FileType::Symlink => DescriptorType::SymbolicLink,
        FileType::Fifo => DescriptorType::Fifo,
        FileType::Socket => DescriptorType::Socket,
        FileType::CharacterDevice => DescriptorType::CharacterDevice,
        FileType::BlockDevice => DescriptorType::BlockDevice,
        _ => DescriptorType::Unknown,
    }
}

/// None before 1970, which WASI can't say.
fn datetime((seconds, nanoseconds): (i64, i64)) -> Option<Datetime> {
    Some(Datetime {
        seconds: seconds.try_into().ok()?,
        nanoseconds: nanoseconds.try_into().ok()?,
    })
}

impl From<Stat> for Facts {
    #[allow(clippy::unnecessary_cast, reason = "other systems have other widths")]
    fn from(stat: Stat) -> Facts {
        Facts {
            kind: match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => Kind::Directory,
                FileType::RegularFile => Kind::File,
                FileType::Symlink => Kind::Link,
                special => Kind::Special(special),
            },
            device: stat.st_dev as u64,
            id: stat.st_ino as u64,
            length: u64::try_from(stat.st_size).unwrap_or(0),
            links: stat.st_nlink as u64,
            accessed: (stat.st_atime as i64, stat.st_atime_nsec as i64),
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        }
    }
}
