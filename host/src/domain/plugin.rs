//! Plugins and their generations.

use std::fmt;

use super::{capability::CapabilitySet, ids::PluginName, limits::LimitOverrides};

/// The world that this host offers: package, world and version as they stand in `wit/`.
pub const WORLD: &str = "warren:agent/agent@0.1.0";

/// The SHA-256 of a component's bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The first twelve hexadecimal digits: enough to tell generations apart in a table.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// What `plugin.toml` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    pub name: PluginName,
    pub version: String,
    /// The world that the component was built for, as `package/world@version`.
    pub world: String,
    pub description: String,
    /// What the plugin asks for.
    pub capabilities: CapabilitySet,
    pub limits: LimitOverrides,
}

/// One immutable version of a plugin: numbered per plugin by the store, one number per digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    pub manifest: Manifest,
    pub number: u32,
    pub digest: Digest,
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.manifest.name, self.number)
    }
}
