//! Why a guest's call on a file failed: the code that the guest gets, and the words that WASI has no room for, which go to
//! the agent's log.

use std::io;

use rustix::io::Errno;
use thiserror::Error;
use wasmtime::component::ResourceTableError;

use super::bindings::wasi::filesystem::types::ErrorCode;

#[derive(Clone, Debug, Error)]
#[error("{}", self.words.as_deref().unwrap_or(self.code.name()))]
pub struct Failure {
    pub code: ErrorCode,
    pub words: Option<String>,
}

impl Failure {
    pub fn new(code: ErrorCode, words: impl Into<String>) -> Failure {
        Failure {
            code,
            words: Some(words.into()),
        }
    }
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Failure {
        Failure { code, words: None }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        let code = error
            .raw_os_error()
            .and_then(|raw| code(Errno::from_raw_os_error(raw)))
            .unwrap_or(match error.kind() {
                io::ErrorKind::NotFound => ErrorCode::NoEntry,
                // What cap-std calls an attempt to leave the directory.
                io::ErrorKind::PermissionDenied => ErrorCode::NotPermitted,
                io::ErrorKind::AlreadyExists => ErrorCode::Exist,
                io::ErrorKind::InvalidInput => ErrorCode::Invalid,
                _ => ErrorCode::Io,
            });
        match code {
            ErrorCode::Busy if is_out_of_handles(&error) => {
                let words = format!(
                    "the host has as many files open as it may ({error}): it is allowed more with a higher `ulimit -n`, or \
                     runs fewer activations at a time"
                );
                Failure::new(code, words)
            }
            // The disk's trouble, not the guest's: somebody should read what it is.
            ErrorCode::Io | ErrorCode::InsufficientSpace | ErrorCode::Access => {
                Failure::new(code, format!("the host's disk: {error}"))
            }
            code => code.into(),
        }
    }
}

fn is_out_of_handles(error: &io::Error) -> bool {
    let raw = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(raw, Some(Errno::MFILE | Errno::NFILE))
}

impl From<Errno> for Failure {
    fn from(error: Errno) -> Failure {
        io::Error::from(error).into()
    }
}

fn code(error: Errno) -> Option<ErrorCode> {
    Some(match error {
        Errno::ACCESS => ErrorCode::Access,
        Errno::BADF => ErrorCode::BadDescriptor,
        Errno::BUSY => ErrorCode::Busy,
        Errno::DQUOT => ErrorCode::Quota,
        Errno::EXIST => ErrorCode::Exist,
        Errno::FBIG => ErrorCode::FileTooLarge,
        Errno::ILSEQ => ErrorCode::IllegalByteSequence,
        Errno::INTR => ErrorCode::Interrupted,
        Errno::INVAL => ErrorCode::Invalid,
        Errno::ISDIR => ErrorCode::IsDirectory,
        Errno::LOOP => ErrorCode::Loop,
        // WASI has no word for it; the same call may work in a moment.
        Errno::MFILE | Errno::NFILE => ErrorCode::Busy,
        Errno::MLINK => ErrorCode::TooManyLinks,
        Errno::NAMETOOLONG => ErrorCode::NameTooLong,
        Errno::NOENT => ErrorCode::NoEntry,
        Errno::NOMEM => ErrorCode::InsufficientMemory,
        Errno::NOSPC => ErrorCode::InsufficientSpace,
        Errno::NOTDIR => ErrorCode::NotDirectory,
        Errno::NOTEMPTY => ErrorCode::NotEmpty,
        Errno::NOTSUP => ErrorCode::Unsupported,
        Errno::OVERFLOW => ErrorCode::Overflow,
        Errno::PERM => ErrorCode::NotPermitted,
        Errno::ROFS => ErrorCode::ReadOnly,
        Errno::XDEV => ErrorCode::CrossDevice,
        _ => return None,
    })
}

/// What a call of `wasi:filesystem` can end in.
#[derive(Debug)]
pub enum CallError {
    /// The guest gets the code.
    Failed(Failure),
    /// The activation ends.
    Trap(wasmtime::Error),
}

impl<F: Into<Failure>> From<F> for CallError {
    fn from(failure: F) -> CallError {
        CallError::Failed(failure.into())
    }
}

impl CallError {
    /// A handle that the guest does not have, or one more than it may have.
    pub fn table(error: ResourceTableError) -> CallError {
        CallError::Trap(error.into())
    }
}
