//! Reading a whole file that should be small: whatever it is, it can't fill the memory or block.

use std::{fs::File, io::Read, path::Path};

/// Why a file could not be read.
pub(super) enum Unreadable {
    /// It is not there.
    Absent,
    /// In words, with the path.
    Failed(String),
}

impl Unreadable {
    /// The words, with what an absent file means.
    pub(super) fn words(self, path: &Path, absent: &str) -> String {
        match self {
            Unreadable::Absent => format!("{}: there is no such file; {absent}", path.display()),
            Unreadable::Failed(why) => why,
        }
    }
}

/// The bytes of a regular file of up to `max` bytes.
pub(super) fn bytes(path: &Path, max: u64) -> Result<Vec<u8>, Unreadable> {
    let failed = |why: String| Unreadable::Failed(format!("{}: {why}", path.display()));
    let refused = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Unreadable::Absent,
        _ => failed(format!("can't be read: {error}")),
    };
    // Asked before opening, since opening a pipe would wait for its writer.
    let metadata = path.metadata().map_err(refused)?;
    if !metadata.is_file() {
        return Err(failed("is not a file".to_owned()));
    }
    let too_large = || failed(format!("is larger than the {max} bytes that are allowed"));
    if metadata.len() > max {
        return Err(too_large());
    }
    let mut content = Vec::new();
    let file = File::open(path).map_err(refused)?;
    file.take(max + 1).read_to_end(&mut content).map_err(refused)?;
    if content.len() as u64 > max {
        return Err(too_large());
    }
    Ok(content)
}

/// The text of a regular UTF-8 file of up to `max` bytes.
pub(super) fn text(path: &Path, max: u64) -> Result<String, Unreadable> {
    String::from_utf8(bytes(path, max)?).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..good].iter().filter(|byte| **byte == b'\n').count();
        Unreadable::Failed(format!(
            "{}:{line}: is not UTF-8 text; save it as UTF-8",
            path.display()
        ))
    })
}
