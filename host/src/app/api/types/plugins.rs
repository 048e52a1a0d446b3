//! Plugins, definitions, and what becomes of them when they are read again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `GET /api/v1/plugins`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct PluginList {
    pub plugins: Vec<PluginView>,
    /// What was replaced or removed and still runs, oldest first.
    pub draining: Vec<DrainingPlugin>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct PluginView {
    pub name: String,
    /// Where it was read from.
    pub origin: String,
    /// What runs; absent if nothing of it does.
    pub running: Option<RunningPlugin>,
    /// Why what lies at `origin` is not what runs.
    pub error: Option<String>,
    /// Agents whose definitions name it.
    pub agents: Vec<String>,
}

/// A generation. Its numbers are those of this host, since it was loaded there.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct RunningPlugin {
    pub version: String,
    pub generation: u32,
    /// SHA-256 of the component, hexadecimal.
    pub digest: String,
    /// What the manifest asks for.
    pub capabilities: Vec<String>,
    /// Since it was loaded.
    pub age_seconds: f64,
    /// Items that it runs now.
    pub running: u64,
    /// That were started.
    pub activations: u64,
    /// Activations that did not end well, by reason code.
    pub failures: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct DrainingPlugin {
    pub name: String,
    #[serde(flatten)]
    pub generation: RunningPlugin,
}

/// `POST /api/v1/plugins/reload`: one plugin, or all.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ReloadRequest {
    pub plugin: Option<String>,
}

/// Its answer. That something was refused is said here, and the status is 200 all the same.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct ReloadAnswer {
    pub host: String,
    pub plugins: Vec<ReloadedPlugin>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct ReloadedPlugin {
    pub name: String,
    pub origin: String,
    /// `new`, `replaced`, `manifest` (only that has changed), `unchanged`, `gone` or `refused`.
    pub result: String,
    /// What runs now; absent if nothing of it does.
    pub generation: Option<u32>,
    /// What was replaced.
    pub was: Option<u32>,
    /// Why it was refused.
    pub error: Option<String>,
    /// Whether its machine code was kept from before.
    pub cached: bool,
    pub seconds: ReloadSeconds,
}

/// How long each step took; zero for one that was not needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct ReloadSeconds {
    /// Waiting for other reloads of it.
    pub turn: f64,
    /// Waiting for its files to be whole, and reading them.
    pub read: f64,
    pub inspect: f64,
    /// Waiting for other compilations.
    pub compiler: f64,
    /// Compiling, or loading what was kept.
    pub compile: f64,
    pub link: f64,
    /// Asking the store for the generation's number.
    pub number: f64,
    pub total: f64,
}

/// `POST /api/v1/cache/invalidate?agent=NAME`, or without `agent` for all.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct InvalidateAnswer {
    pub host: String,
    pub agents: Vec<RereadAgent>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct RereadAgent {
    pub agent: String,
    /// `changed`, `new` (it had not been read before), `unchanged`, `gone` or `refused`.
    pub result: String,
    /// Why it was refused.
    pub error: Option<String>,
    /// Whether the agent has a definition now: where it was refused, the one from before.
    pub kept: bool,
}
