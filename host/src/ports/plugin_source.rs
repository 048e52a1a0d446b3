//! Where this host's plugins lie.

use std::time::Duration;

use async_trait::async_trait;

use crate::domain::plugin::Manifest;

/// One place where a plugin should be.
#[derive(Clone, Debug)]
pub struct Place {
    /// The file or folder, for messages, and for [`PluginSource::read`].
    pub origin: String,
    /// What its manifest says now, or what is wrong with it, with file, key and value.
    pub manifest: Result<Manifest, String>,
}

#[async_trait]
pub trait PluginSource: Send + Sync {
    /// Every place there is, always in the same order. Components are not read. The error is for the source as a whole.
    async fn places(&self) -> Result<Vec<Place>, String>;

    /// The manifest and the component's bytes of one place, once its files have not changed for `still`: what is being
    /// written is waited for, up to the source's own limit. The error says what is wrong, with file, key and value. Safe to
    /// cancel.
    async fn read(&self, origin: &str, still: Duration) -> Result<(Manifest, Vec<u8>), String>;
}
