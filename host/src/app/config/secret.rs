//! Secrets that are kept in files of their own.

use std::{fs, path::Path};

use crate::domain::secret::Secret;

/// The content of a file without the white space around it.
pub fn read(path: &Path) -> Result<Secret, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{} can't be read: {error}", path.display()))?;
    match text.trim() {
        "" => Err(format!("{} is empty", path.display())),
        text => Ok(Secret::new(text)),
    }
}
