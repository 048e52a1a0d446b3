//! Hosts as they tell of themselves, and as the cluster sees them.

use std::{collections::BTreeMap, fmt, time::Duration};

/// What a host says of itself with every beat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostReport {
    /// Of the program.
    pub version: String,
    /// `coordinator`, `runner`; a newer host may have others.
    pub roles: Vec<String>,
    pub labels: BTreeMap<String, String>,
    /// Where its API is reached.
    pub address: String,
    /// Activations at once.
    pub slots: u32,
    /// Activations now.
    pub in_flight: u32,
    pub plugins: Vec<HostPlugin>,
    /// It is stopping: it claims nothing more.
    pub draining: bool,
    /// How long it has been running.
    pub up: Duration,
}

/// A plugin that a host can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPlugin {
    pub name: String,
    pub generation: u32,
    /// SHA-256 of the component, hexadecimal.
    pub digest: String,
}

/// How a host is doing, as far as its beats tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostState {
    Live,
    /// It lives, and is stopping.
    Draining,
    /// It said goodbye.
    Left,
    /// It has stopped beating: dead, or cut off from the store.
    Gone,
}

impl HostState {
    pub const ALL: [HostState; 4] = [HostState::Live, HostState::Draining, HostState::Left, HostState::Gone];

    pub fn as_str(self) -> &'static str {
        match self {
            HostState::Live => "live",
            HostState::Draining => "draining",
            HostState::Left => "left",
            HostState::Gone => "gone",
        }
    }
}

impl fmt::Display for HostState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One process in the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownHost {
    /// Its [`HolderId`](super::ids::HolderId) as text: name and start.
    pub holder: String,
    pub state: HostState,
    /// Since its last word, on the store's clock.
    pub silent: Duration,
    /// What it said last, or why that can't be read.
    pub report: Result<HostReport, String>,
}

impl KnownHost {
    /// The host's name; processes of one name differ in their start.
    pub fn name(&self) -> &str {
        self.holder.rsplit_once('/').map_or(&self.holder, |(name, _)| name)
    }
}

/// How many hosts are how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostCounts([u64; HostState::ALL.len()]);

impl HostCounts {
    pub fn of<'h>(hosts: impl IntoIterator<Item = &'h KnownHost>) -> HostCounts {
        let mut counts = HostCounts::default();
        for host in hosts {
            counts.0[host.state as usize] += 1;
        }
        counts
    }

    pub fn get(&self, state: HostState) -> u64 {
        self.0[state as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(holder: &str, state: HostState) -> KnownHost {
        KnownHost {
            holder: holder.to_owned(),
            state,
            silent: Duration::ZERO,
            report: Err(String::new()),
        }
    }

    #[test]
    fn names_may_hold_what_separates_them_from_the_start() {
        assert_eq!(host("rack/3/0199", HostState::Live).name(), "rack/3");
        assert_eq!(host("written by hand", HostState::Live).name(), "written by hand");
    }

    #[test]
    fn every_state_is_counted_as_itself() {
        let hosts = [HostState::Live, HostState::Gone, HostState::Live].map(|state| host("h", state));
        let counts = HostCounts::of(&hosts);
        assert_eq!(HostState::ALL.map(|state| counts.get(state)), [2, 0, 0, 1]);
    }
}
