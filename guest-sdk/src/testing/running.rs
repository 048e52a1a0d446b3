//! The host's side of one activation: what is granted, counted, refused and remembered.
//!
//! `effects` does what an agent writes, `state` keeps what it keeps. All follow the real host's `adapters/wasm` and
//! `services/guest_host` step by step; `tests/tests/authors.rs` runs the same agent in both and compares.

mod effects;
mod state;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
};

use jiff::Timestamp;

use self::effects::Done;
use super::{
    Capability, Limits, LogLine, Reason,
    activation::Effect,
    hub::Hub,
    metrics::{Kind, Metrics},
    workspace::Workspace,
};
use crate::{
    bindings::wasi::config::store as wit_config,
    hub::{Author, Error, Notification},
    log::Level,
};

/// What outlives an activation.
pub(super) struct World {
    pub agent: Author,
    pub grants: HashSet<Capability>,
    pub limits: Limits,
    pub config: BTreeMap<String, String>,
    pub now: Timestamp,
    pub hub: Hub,
    pub state: BTreeMap<String, Vec<u8>>,
    pub workspace: Workspace,
    pub metrics: Metrics,
    /// Every post and comment that the agent wrote, by effect key.
    pub done: HashMap<String, Done>,
    /// The Hub answers this many calls of an activation, and then no more.
    pub hub_answers: Option<u32>,
    pub state_fails: bool,
    /// The host of the next activation dies when this many effects have been done.
    pub dies_after: Option<usize>,
}

/// What can't be caught: the activation ends here, whatever the agent would do with an error.
pub(super) struct Stop {
    pub reason: Reason,
    pub detail: String,
}

pub(super) type Stopping<T> = Result<T, Stop>;

/// One activation while it runs.
pub(super) struct Running {
    pub world: World,
    pub item: String,
    pub hub_calls: u32,
    pub read_inbox: bool,
    /// Notifications that the agent was handed.
    pub handed: HashSet<String>,
    pub effects: Vec<Effect>,
    pub denied: Vec<Capability>,
    pub upstream_failed: bool,
    pub logs: Vec<LogLine>,
    pub log_lines_dropped: u32,
    log_bytes: usize,
    /// How many effects of each scope have happened: the n-th of a repeated activation is the first one's n-th.
    happened: HashMap<String, u32>,
    dies_after: Option<usize>,
}

impl Running {
    pub fn new(mut world: World, item: String) -> Self {
        let dies_after = world.dies_after.take();
        Self {
            world,
            item,
            hub_calls: 0,
            read_inbox: false,
            handed: HashSet::new(),
            effects: Vec::new(),
            denied: Vec::new(),
            upstream_failed: false,
            logs: Vec::new(),
            log_lines_dropped: 0,
            log_bytes: 0,
            happened: HashMap::new(),
            dies_after,
        }
    }

    /// One call may hand over so many bytes of text, and of what lists take in the host.
    pub fn copy(&self, bytes: usize) -> Stopping<()> {
        if bytes <= self.world.limits.copy {
            return Ok(());
        }
        Err(Stop {
            reason: Reason::CopyLimit,
            detail: "one call handed the host more than the limit `copy`".into(),
        })
    }

    /// A component that imports what is not granted is not run at all; natively it shows at the first call.
    pub fn need(&self, capability: Capability) -> Stopping<()> {
        if self.world.grants.contains(&capability) {
            return Ok(());
        }
        Err(not_granted(capability.as_str()))
    }

    /// Count a call to the Hub, and refuse it if it is one too many or not granted.
    pub fn hub_call(&mut self, needs: Capability) -> Stopping<Result<(), Error>> {
        let grants = &self.world.grants;
        if !grants.contains(&Capability::HubRead) && !grants.contains(&Capability::HubWrite) {
            return Err(not_granted("hub:read"));
        }
        let limit = self.world.limits.hub_calls;
        if self.hub_calls >= limit {
            return Ok(Err(Error::LimitReached(format!(
                "the limit `hub_calls` of {limit} calls per activation is reached"
            ))));
        }
        self.hub_calls += 1;
        if !grants.contains(&needs) {
            self.denied.push(needs);
            return Ok(Err(Error::Denied(format!(
                "the agent is not granted `{needs}`: its definition and its plugin's manifest must both name it"
            ))));
        }
        Ok(Ok(()))
    }

    /// Ask the Hub, if it answers.
    pub fn ask<T>(&mut self, answer: impl FnOnce(&mut World) -> Result<T, Error>) -> Result<T, Error> {
        if self.world.hub_answers.is_some_and(|calls| self.hub_calls > calls) {
            self.upstream_failed = true;
            return Err(Error::Upstream("the Hub does not answer".into()));
        }
        answer(&mut self.world)
    }

    pub fn inbox(&mut self) -> Result<Vec<Notification>, Error> {
        let unread = self.ask(|world| Ok(world.hub.unread().to_vec()))?;
        self.read_inbox = true;
        self.handed
            .extend(unread.iter().map(|notification| notification.id.clone()));
        Ok(unread)
    }

    pub fn workspace(&self) -> PathBuf {
        let World { grants, workspace, .. } = &self.world;
        if grants.contains(&Capability::WorkspaceRead) || grants.contains(&Capability::WorkspaceWrite) {
            workspace.root()
        } else {
            // Where nothing can be.
            "/dev/null/no-workspace-is-granted".into()
        }
    }

    pub fn config(&self, key: &str) -> Result<Option<String>, wit_config::Error> {
        Ok(self.world.config.get(key).cloned())
    }

    /// Keep a line, or drop and count it; the first that is dropped is announced.
    pub fn log(&mut self, level: Level, context: &str, message: &str) {
        let Limits {
            log_lines, log_bytes, ..
        } = self.world.limits;
        let size = context.len() + message.len();
        let line = |level, context: &str, message: String| LogLine {
            level,
            context: context.to_owned(),
            message,
        };
        let kept = self.logs.len() - usize::from(self.log_lines_dropped > 0);
        if kept < log_lines as usize && self.log_bytes + size <= log_bytes {
            self.log_bytes += size;
            self.logs.push(line(level, context, message.to_owned()));
            return;
        }
        self.log_lines_dropped += 1;
        if self.log_lines_dropped == 1 {
            let words = format!(
                "the guest logs more than the limits `log_lines` ({log_lines}) and `log_bytes` ({log_bytes}) allow: \
                 lines are dropped"
            );
            self.logs.push(line(Level::Warn, "warren", words));
        }
    }

    pub fn measure(&mut self, kind: Kind, name: &str, labels: &[(String, String)], value: f64) {
        let World { metrics, limits, .. } = &mut self.world;
        metrics.record(kind, name, labels, value, limits);
    }

    /// Stop here if the host is to die after what has just been done.
    fn live(&self) -> Stopping<()> {
        match self.dies_after {
            Some(effects) if self.effects.len() >= effects => Err(Stop {
                reason: Reason::LeaseLost,
                detail: format!("the host died after {effects} effects"),
            }),
            _ => Ok(()),
        }
    }
}

fn not_granted(what: &str) -> Stop {
    Stop {
        reason: Reason::PluginUnavailable,
        detail: format!("the plugin imports what the agent is not granted: {what}"),
    }
}
