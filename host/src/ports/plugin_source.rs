//! Where this host's plugins lie.

use crate::domain::plugin::Manifest;

/// One place where a plugin should be, and what was found there.
#[derive(Clone, Debug)]
pub struct FoundPlugin {
    /// The file or folder, for messages.
    pub origin: String,
    /// The manifest and the component's bytes, or what is wrong, with file, key and value.
    pub content: Result<(Manifest, Vec<u8>), String>,
}

pub trait PluginSource: Send + Sync {
    /// Read every plugin there is. Blocks: components may be large. The error is for the place as a whole.
    fn scan(&self) -> Result<Vec<FoundPlugin>, String>;
}
