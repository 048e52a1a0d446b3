//! What the API needs of the host, and what it answers readiness from.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    access::Access,
    directory::PluginDirectory,
    forward::Forwarder,
    types::{Check, PluginView},
};
use crate::{
    app::{metrics::Metrics, verify::Verification},
    domain::{ids::HostName, limits::Limits},
    ports::{
        definitions::{DefinitionFiles, Definitions},
        hub::HubError,
        store::Store,
        workspaces::Workspaces,
    },
    services::election::{Office, Standing},
};

/// For so long a request that the Hub did not answer makes a host less wanted as the leader.
const HUB_FAILURE_COUNTS: Duration = Duration::from_secs(60);

pub struct ApiContext {
    pub host: HostFacts,
    pub state: Arc<HostState>,
    pub store: Store,
    /// The longest that a request waits for the store.
    pub store_timeout: Duration,
    pub definitions: Arc<dyn Definitions>,
    /// The same, to be read again.
    pub definition_files: Arc<dyn DefinitionFiles>,
    pub plugins: Arc<dyn PluginDirectory>,
    pub workspaces: Arc<dyn Workspaces>,
    /// Of an activation, if neither its plugin nor its agent says anything else.
    pub default_limits: Limits,
    /// The most that either may ask for.
    pub max_limits: Limits,
    pub metrics: Arc<Metrics>,
    pub access: Arc<Access>,
    pub verification: Arc<Verification>,
    /// This host's part in the election; nothing where it does not bid.
    pub office: Option<Office>,
    pub forwarder: Forwarder,
}

/// What about a host does not change while it runs.
#[derive(Clone, Debug)]
pub struct HostFacts {
    pub name: HostName,
    pub roles: Vec<String>,
    /// Activations at once.
    pub slots: u32,
    pub started: Instant,
}

/// What a host has reached, and whether it is on its way out. Written by the wiring, read by probes.
#[derive(Debug, Default)]
pub struct HostState {
    plugins_loaded: AtomicBool,
    stopping: AtomicBool,
    hub: Mutex<HubSight>,
    /// Why the store that is waited for can't be used yet.
    store: Mutex<String>,
}

/// What this host last saw of the Hub.
#[derive(Clone, Debug, Default)]
pub struct HubSight {
    /// When it last answered; a refusal is an answer, too.
    pub seen: Option<Instant>,
    /// Why the last request got no answer, if it got none.
    pub error: Option<String>,
    /// When that was.
    pub failed: Option<Instant>,
}

impl HostState {
    /// Every plugin was read, and compiled or found broken.
    pub fn plugins_loaded(&self) {
        self.plugins_loaded.store(true, Ordering::Release);
    }

    /// From now on `/ready` is red: the first step of a shutdown.
    pub fn stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// The store can't be used yet, for this reason.
    pub fn store_awaited(&self, why: String) {
        *self.store.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    pub(super) fn store_awaited_check(&self) -> Check {
        let why = self.store.lock().unwrap_or_else(PoisonError::into_inner).clone();
        check(
            "store",
            false,
            if why.is_empty() {
                "it is being opened".to_owned()
            } else {
                why
            },
        )
    }

    /// A request to the Hub has ended.
    pub fn hub_answered(&self, result: Result<(), &HubError>) {
        let mut sight = self.hub.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Err(error) if error.is_upstream() => {
                sight.error = Some(error.to_string());
                sight.failed = Some(Instant::now());
            }
            _ => {
                *sight = HubSight {
                    seen: Some(Instant::now()),
                    error: None,
                    failed: None,
                }
            }
        }
    }

    /// What the last requests to the Hub showed.
    pub fn hub(&self) -> HubSight {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether this host would be as good a leader as any other: the Hub has not failed it lately, and it runs plugins, if
    /// that is its role. Who does not lead seldom asks the Hub, so what it saw long ago tells nothing.
    pub fn fit_to_lead(&self, plugins: Option<Vec<PluginView>>) -> bool {
        let failed = self.hub().failed.is_some_and(|at| at.elapsed() < HUB_FAILURE_COUNTS);
        !failed && plugins.is_none_or(|plugins| self.plugins_check(&plugins).ok)
    }

    pub(super) fn running_check(&self) -> Check {
        let stopping = self.stopping.load(Ordering::Acquire);
        check(
            "running",
            !stopping,
            if stopping {
                "this host is stopping"
            } else {
                "all tasks run"
            },
        )
    }

    /// A broken plugin does not take the others' host out of service, unless there are no others.
    pub(super) fn plugins_check(&self, plugins: &[PluginView]) -> Check {
        let failed: Vec<&str> = plugins
            .iter()
            .filter(|p| p.running.is_none())
            .map(|p| p.name.as_str())
            .collect();
        let ready = plugins.len() - failed.len();
        if !self.plugins_loaded.load(Ordering::Acquire) {
            check(
                "plugins",
                false,
                format!("{ready} compiled, others still being compiled"),
            )
        } else if failed.is_empty() {
            check("plugins", true, format!("{ready} compiled"))
        } else {
            check(
                "plugins",
                ready > 0,
                format!("{ready} compiled; can't be run: {}", failed.join(", ")),
            )
        }
    }
}

/// Red until this host knows who leads, or that nobody does now.
pub(super) fn leader_check(standing: &Standing) -> Check {
    match standing {
        Standing::Unknown => check("leader", false, "this host has not heard yet who leads"),
        Standing::Leading(term) => check("leader", true, format!("this host leads in term {term}")),
        Standing::Following(Some(leader)) => check("leader", true, format!("{} leads", leader.host)),
        Standing::Following(None) => check("leader", true, "nobody leads now"),
    }
}

/// Red on the leader until the Hub has answered once; a Hub that goes away later is the status's to tell. Other hosts ask
/// it only when an agent runs.
pub(super) fn hub_check(hub: &HubSight, leads: bool) -> Check {
    let ago = hub.seen.map(|seen| seen.elapsed().as_secs());
    match (ago, &hub.error) {
        (Some(ago), None) => check("hub", true, format!("answered {ago} s ago")),
        (Some(ago), Some(error)) => check("hub", true, format!("answered {ago} s ago, but lately: {error}")),
        (None, Some(error)) => check("hub", false, format!("has not answered yet: {error}")),
        (None, None) => check("hub", !leads, "has not been asked yet"),
    }
}

pub(super) fn check(name: &str, ok: bool, detail: impl Into<String>) -> Check {
    Check {
        name: name.to_owned(),
        ok,
        detail: detail.into(),
    }
}
