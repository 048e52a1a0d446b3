//! `[host]`: who this process is and where its files are.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    formats::{labels, optional, span},
    problem::Checks,
};
use crate::domain::ids::HostName;

pub const DATA_DIR: &str = "warren-data";
pub const PLUGIN_DIR: &str = "plugins";
pub const AGENTS_DIR: &str = "agents";
/// As Kubernetes gives a pod.
pub const GRACE_PERIOD: Duration = Duration::from_secs(30);

/// Labels of a host, and the bytes of one's name or value.
const MOST_LABELS: usize = 32;
const LONGEST_LABEL: usize = 64;

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
    /// What else there is to say about this host, such as its zone: for `leader.prefer` and for people.
    #[serde(with = "labels")]
    pub labels: BTreeMap<String, String>,
    /// The store's file, compiled components and the API token. Relative paths start at the working directory.
    pub data_dir: PathBuf,
    /// One folder per plugin: component and `plugin.toml`.
    pub plugin_dir: PathBuf,
    /// One folder per agent: `config.yaml` and `system-prompt.md`.
    pub agents_dir: PathBuf,
    /// How long running activations may go on after SIGTERM.
    #[serde(with = "span")]
    pub grace_period: Duration,
}

impl Default for HostConfig {
    fn default() -> HostConfig {
        HostConfig {
            name: None,
            roles: vec![Role::Coordinator, Role::Runner],
            labels: BTreeMap::new(),
            data_dir: DATA_DIR.into(),
            plugin_dir: PLUGIN_DIR.into(),
            agents_dir: AGENTS_DIR.into(),
            grace_period: GRACE_PERIOD,
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
        checks.require(self.labels.len() <= MOST_LABELS, &["host.labels"], || {
            format!(
                "{} labels are too many: at most {MOST_LABELS} are allowed",
                self.labels.len()
            )
        });
        let fits = |text: &str| {
            (1..=LONGEST_LABEL).contains(&text.len())
                && !text.contains(|c: char| c.is_control() || matches!(c, '=' | ','))
                && text == text.trim()
        };
        for (label, value) in &self.labels {
            checks.require(fits(label) && fits(value), &["host.labels"], || {
                format!(
                    "{label:?} = {value:?} is no label: each part has 1 to {LONGEST_LABEL} bytes, none of them = or ,"
                )
            });
        }
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
    }
}

/// What the machine calls itself.
pub(super) fn machine_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
