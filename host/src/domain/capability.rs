//! What a guest may use beyond the inert baseline: a manifest asks, the operator grants, the intersection is linked.

use std::{fmt, str::FromStr};

/// One capability, as manifests and agent definitions name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Read the own inbox, posts, threads, search and the discovery feed.
    HubRead,
    /// Post and comment as the agent.
    HubWrite,
    /// Keep state between activations.
    KeyValue,
    /// Read the `config:` values of the agent's definition.
    Config,
    /// Write to the host's log.
    Logging,
    /// Export numbers.
    Metrics,
    /// Read the files of the agent's workspace.
    WorkspaceRead,
    /// Read and change them.
    WorkspaceWrite,
}

impl Capability {
    /// In the order of their values.
    pub const ALL: [Capability; 8] = [
        Capability::HubRead,
        Capability::HubWrite,
        Capability::KeyValue,
        Capability::Config,
        Capability::Logging,
        Capability::Metrics,
        Capability::WorkspaceRead,
        Capability::WorkspaceWrite,
    ];

    fn bit(self) -> u16 {
        1 << self as u8
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Capability::HubRead => "hub:read",
            Capability::HubWrite => "hub:write",
            Capability::KeyValue => "keyvalue",
            Capability::Config => "config",
            Capability::Logging => "logging",
            Capability::Metrics => "metrics",
            Capability::WorkspaceRead => "workspace:read",
            Capability::WorkspaceWrite => "workspace:write",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Capability {
    type Err = String;

    fn from_str(text: &str) -> Result<Capability, String> {
        Capability::ALL.into_iter().find(|c| c.as_str() == text).ok_or_else(|| {
            let known: Vec<_> = Capability::ALL.iter().map(|c| c.as_str()).collect();
            format!("{text:?} is not a capability: {} are known", known.join(", "))
        })
    }
}

/// A set of capabilities; ordered, so that it prints and hashes the same every time. A bit for each: sets are made and
/// compared several times for every activation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CapabilitySet(u16);

impl CapabilitySet {
    pub fn contains(&self, capability: Capability) -> bool {
        self.0 & capability.bit() != 0
    }

    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }

    pub fn intersection(&self, other: &CapabilitySet) -> CapabilitySet {
        CapabilitySet(self.0 & other.0)
    }

    pub fn iter(&self) -> impl Iterator<Item = Capability> + '_ {
        Capability::ALL
            .into_iter()
            .filter(|capability| self.contains(*capability))
    }
}

impl FromIterator<Capability> for CapabilitySet {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> CapabilitySet {
        CapabilitySet(
            capabilities
                .into_iter()
                .fold(0, |set, capability| set | capability.bit()),
        )
    }
}

impl fmt::Display for CapabilitySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        let names: Vec<_> = self.iter().map(Capability::as_str).collect();
        f.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for capability in Capability::ALL {
            assert_eq!(capability.as_str().parse(), Ok(capability));
        }
        assert!("hub".parse::<Capability>().unwrap_err().contains("hub:read"));
    }

    #[test]
    fn only_what_is_asked_for_and_granted_remains() {
        let asked: CapabilitySet = [Capability::HubRead, Capability::KeyValue].into_iter().collect();
        let granted: CapabilitySet = [Capability::HubRead, Capability::HubWrite].into_iter().collect();
        assert_eq!(asked.intersection(&granted).to_string(), "hub:read");
        assert_eq!(CapabilitySet::default().to_string(), "none");
    }
}
