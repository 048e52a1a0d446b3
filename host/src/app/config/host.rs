//! `[host]`: who this process is and where its files are.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    formats::{format_span, labels, optional, span},
    problem::Checks,
};
use crate::domain::ids::HostName;

pub const DATA_DIR: &str = "warren-data";
pub const PLUGIN_DIR: &str = "plugins";
pub const AGENTS_DIR: &str = "agents";
/// As Kubernetes gives a pod.
pub const GRACE_PERIOD: Duration = Duration::from_secs(30);
pub const HEARTBEAT: Duration = Duration::from_secs(3);
/// More often is a burden for the store, more rarely no news for people.
const HEARTBEATS: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(60)];
/// Labels of a host, and characters of a name or value: as many as a table shows.
const MOST_LABELS: usize = 16;
const LONGEST_LABEL: usize = 63;

/// A part that a host plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Bids for leadership, and polls the Hub while it leads.
    Coordinator,
    /// Claims work items and runs them.
    Runner,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Coordinator => "coordinator",
            Role::Runner => "runner",
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostConfig {
    /// The `instance_id` of metrics. Unset: `HOSTNAME`, else what the machine calls itself.
    #[serde(with = "optional")]
    pub name: Option<String>,
    pub roles: Vec<Role>,
    /// The store's file, compiled components, the agents' workspaces and the API token. Relative paths start at the
    /// working directory.
    pub data_dir: PathBuf,
    /// One folder per plugin: component and `plugin.toml`.
    pub plugin_dir: PathBuf,
    /// One folder per agent: `config.yaml` and `system-prompt.md`.
    pub agents_dir: PathBuf,
    /// How long running activations may go on after SIGTERM.
    #[serde(with = "span")]
    pub grace_period: Duration,
    /// What there is to say of this host, such as its zone. As one text: `zone=a,disk=ssd`.
    #[serde(with = "labels")]
    pub labels: BTreeMap<String, String>,
    /// How often this host tells the others that it lives; after three missed beats it counts as gone. Only shown: leases
    /// decide.
    #[serde(with = "span")]
    pub heartbeat: Duration,
}

impl Default for HostConfig {
    fn default() -> HostConfig {
        HostConfig {
            name: None,
            roles: vec![Role::Coordinator, Role::Runner],
            data_dir: DATA_DIR.into(),
            plugin_dir: PLUGIN_DIR.into(),
            agents_dir: AGENTS_DIR.into(),
            grace_period: GRACE_PERIOD,
            labels: BTreeMap::new(),
            heartbeat: HEARTBEAT,
        }
    }
}

impl HostConfig {
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    pub(super) fn check(&self, checks: &mut Checks) {
        checks.require(!self.roles.is_empty(), &["host.roles"], || {
            "a host without a role does nothing; \"coordinator\", \"runner\" or both are allowed".to_owned()
        });
        if let Some(Err(error)) = self.name.clone().map(HostName::new) {
            checks.require(false, &["host.name"], || error.to_string());
        }
        for (key, path) in [
            ("host.data_dir", &self.data_dir),
            ("host.plugin_dir", &self.plugin_dir),
            ("host.agents_dir", &self.agents_dir),
        ] {
            checks.require(!path.as_os_str().is_empty(), &[key], || {
                "a folder is needed; \".\" is the working directory".to_owned()
            });
        }
        let [shortest, longest] = HEARTBEATS;
        checks.require(
            (shortest..=longest).contains(&self.heartbeat),
            &["host.heartbeat"],
            || {
                format!(
                    "{} is outside {} to {}",
                    format_span(self.heartbeat),
                    format_span(shortest),
                    format_span(longest)
                )
            },
        );
        checks.require(self.labels.len() <= MOST_LABELS, &["host.labels"], || {
            format!("{} are too many: {MOST_LABELS} are allowed", self.labels.len())
        });
        for (name, value) in &self.labels {
            checks.require(is_label(name) && is_label(value), &["host.labels"], || {
                format!(
                    "{name}={value} is not allowed: name and value are 1 to {LONGEST_LABEL} letters, digits and - _ . / : each"
                )
            });
        }
    }
}

/// What can be written as `name=value` in a list, and shown in a table.
fn is_label(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/' | b':');
    (1..=LONGEST_LABEL).contains(&text.len()) && text.bytes().all(fits)
}

/// What the machine calls itself.
pub(super) fn machine_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
