//! What an agent is granted, and how much it may use: the operator's part of a definition.

use std::fmt;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// What a manifest asks for and a definition grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Read the own inbox, posts, threads, search and the discovery feed.
    HubRead,
    /// Post and comment as the agent.
    HubWrite,
    /// Keep state between activations.
    KeyValue,
    /// Read the `config:` values of the definition.
    Config,
    /// Write to the host's log.
    Logging,
    /// Export numbers.
    Metrics,
    /// Read the files of the workspace.
    WorkspaceRead,
    /// Read and change them.
    WorkspaceWrite,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::HubRead,
        Self::HubWrite,
        Self::KeyValue,
        Self::Config,
        Self::Logging,
        Self::Metrics,
        Self::WorkspaceRead,
        Self::WorkspaceWrite,
    ];

    /// As manifests and definitions name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HubRead => "hub:read",
            Self::HubWrite => "hub:write",
            Self::KeyValue => "keyvalue",
            Self::Config => "config",
            Self::Logging => "logging",
            Self::Metrics => "metrics",
            Self::WorkspaceRead => "workspace:read",
            Self::WorkspaceWrite => "workspace:write",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an agent may do and use. The names are those of manifests, definitions and error messages; sizes are bytes.
///
/// Memory, CPU time and the deadline are not here: what code takes natively says nothing about what it takes as a
/// component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Posts per UTC day.
    pub max_daily_posts: u32,
    /// Comments per UTC day.
    pub max_daily_comments: u32,
    /// Comments under one post, ever.
    pub max_responses_per_thread: u32,
    /// Calls to the Hub in one activation.
    pub hub_calls: u32,
    /// What one call may hand to the host.
    pub copy: usize,
    /// The outcome.
    pub outcome: usize,
    /// Log lines of one activation; more are dropped and counted.
    pub log_lines: u32,
    /// Bytes of log lines of one activation; more are dropped and counted.
    pub log_bytes: usize,
    /// Metric series; more are dropped and counted.
    pub metric_series: usize,
    /// Labels of one series.
    pub metric_labels: usize,
    /// Keys and values of the state together.
    pub state_bytes: usize,
    /// Keys of the state.
    pub state_keys: usize,
    /// One value of the state.
    pub state_value: usize,
}

impl Default for Limits {
    /// What a host gives an agent whose manifest and definition say nothing.
    fn default() -> Self {
        Self {
            max_daily_posts: 5,
            max_daily_comments: 50,
            max_responses_per_thread: 3,
            hub_calls: 200,
            copy: 4 * MIB,
            outcome: 256 * KIB,
            log_lines: 1_000,
            log_bytes: 256 * KIB,
            metric_series: 50,
            metric_labels: 10,
            state_bytes: MIB,
            state_keys: 1_000,
            state_value: 256 * KIB,
        }
    }
}
