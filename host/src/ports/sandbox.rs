//! The sandbox: takes components in, runs activations in fresh instances.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use thiserror::Error;

use super::guest::GuestHost;
use crate::domain::{
    capability::CapabilitySet,
    ending::Reason,
    limits::Limits,
    plugin::{Digest, Manifest},
    work_item::WorkItem,
};

/// Why a component can't be run. Each message says what is wrong with it and what to do.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PrepareError {
    /// Not a component, a core module, truncated, or invalid; with the validator's message.
    #[error("{0}")]
    Invalid(String),
    /// Built for another world or another version of it.
    #[error("{0}")]
    WrongWorld(String),
    /// It imports what its manifest does not declare, or what no host of this version offers.
    #[error("{0}")]
    Undeclared(String),
    /// It asks for more than the pool is made for.
    #[error("{0}")]
    TooLarge(String),
    /// This host's fault: the cache folder, the compiler.
    #[error("{0}")]
    Host(String),
}

/// What a component is, read from its bytes alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentFacts {
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// The version of `warren:agent` that it was built against, if it uses any of it.
    pub world_version: Option<String>,
    /// Interfaces, as `namespace:package/interface@version`, sorted.
    pub imports: Vec<String>,
    pub exports: Vec<String>,
    /// The capabilities that those imports need; `hub:read` stands for either of the Hub's two.
    pub needs: CapabilitySet,
    /// Imports that no capability and no baseline covers.
    pub unknown: Vec<String>,
}

/// How a component was made ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Making {
    /// Its machine code was kept from before.
    pub cached: bool,
    /// For others that compiled.
    pub waited: Duration,
    /// Validating and compiling, or loading what was kept.
    pub compiled: Duration,
    pub linked: Duration,
}

/// One activation to be run.
pub struct Activation {
    pub item: WorkItem,
    /// What the guest may use: asked for by the manifest and granted by the definition.
    pub capabilities: CapabilitySet,
    pub limits: Limits,
    /// Whether nothing is to be in the agent's workspace before it and nothing to be left after it.
    pub wipe_workspace: bool,
    /// What `wasi:config` answers.
    pub config: Arc<BTreeMap<String, String>>,
    pub host: Arc<dyn GuestHost>,
}

/// How the guest's part of an activation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activated {
    pub verdict: Verdict,
    pub usage: Usage,
    /// Whether a call of the guest to the Hub or the store failed: only then is its own claim of
    /// [`FailureKind::Upstream`] believed.
    pub upstream_seen: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It returned an outcome within the limits.
    Outcome { summary: String, handled: Vec<String> },
    /// It returned a failure.
    Failure { kind: FailureKind, message: String },
    /// It was stopped, or could not be started; never `Ok` and never `GuestError`.
    Stopped { reason: Reason, detail: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    Transient,
    Permanent,
    Upstream,
}

/// What an activation used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Thread time.
    pub cpu: Duration,
    pub wall: Duration,
    /// Bytes of linear memory at the end, the most that it had.
    pub memory: u64,
    /// Log lines that were dropped over the limits.
    pub log_lines_dropped: u64,
}

#[async_trait]
pub trait Sandbox: Send + Sync {
    /// What the bytes are, without compiling them.
    fn inspect(&self, component: &[u8]) -> Result<ComponentFacts, PrepareError>;

    /// Validate, compile (or take from the cache) and link a component. Nothing that runs is touched.
    async fn prepare(&self, manifest: &Manifest, component: Vec<u8>) -> Result<Arc<dyn Prepared>, PrepareError>;
}

/// A compiled component, ready for any number of activations at once.
#[async_trait]
pub trait Prepared: Send + Sync {
    fn facts(&self) -> &ComponentFacts;

    /// How it came to be.
    fn making(&self) -> Making;

    /// What the component imports and `capabilities` do not cover; an agent with a difference can't be run.
    fn missing(&self, capabilities: &CapabilitySet) -> CapabilitySet;

    /// Run once, in a fresh store. Waits for a place in the pool first. Dropping the future ends the guest at once.
    async fn activate(&self, activation: Activation) -> Activated;
}
