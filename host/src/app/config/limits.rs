//! `[limits]`: what an activation may use, and how much a plugin's manifest or an agent's definition may raise that.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    formats::{format_size, format_span, size, span},
    problem::Checks,
};
use crate::domain::limits::Limits;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// What the fields mean is said once, at [`Limits`]; the defaults are its own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    #[serde(with = "size")]
    pub memory: u64,
    pub table_elements: u64,
    pub instances: u32,
    pub memories: u32,
    #[serde(with = "span")]
    pub cpu: Duration,
    #[serde(with = "span")]
    pub deadline: Duration,
    #[serde(with = "size")]
    pub copy: u64,
    #[serde(with = "size")]
    pub outcome: u64,
    pub log_lines: u32,
    #[serde(with = "size")]
    pub log_bytes: u64,
    pub hub_calls: u32,
    pub metric_series: u32,
    pub metric_labels: u32,
    #[serde(with = "size")]
    pub state_bytes: u64,
    pub state_keys: u32,
    #[serde(with = "size")]
    pub state_value: u64,
    #[serde(with = "size")]
    pub workspace_bytes: u64,
    pub workspace_entries: u32,
    pub max: MaximaConfig,
}

/// The most that manifests and definitions may ask for, of what they may change.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MaximaConfig {
    /// Also what every slot of the pool reserves, as address space.
    #[serde(with = "size")]
    pub memory: u64,
    #[serde(with = "span")]
    pub cpu: Duration,
    #[serde(with = "span")]
    pub deadline: Duration,
    #[serde(with = "size")]
    pub outcome: u64,
    pub log_lines: u32,
    #[serde(with = "size")]
    pub log_bytes: u64,
    pub hub_calls: u32,
    #[serde(with = "size")]
    pub state_bytes: u64,
    pub state_keys: u32,
    #[serde(with = "size")]
    pub state_value: u64,
    #[serde(with = "size")]
    pub workspace_bytes: u64,
    pub workspace_entries: u32,
}

impl Default for LimitsConfig {
    fn default() -> LimitsConfig {
        let limits = Limits::default();
        LimitsConfig {
            memory: limits.memory,
            table_elements: limits.table_elements,
            instances: limits.instances,
            memories: limits.memories,
            cpu: limits.cpu,
            deadline: limits.deadline,
            copy: limits.copy,
            outcome: limits.outcome,
            log_lines: limits.log_lines,
            log_bytes: limits.log_bytes,
            hub_calls: limits.hub_calls,
            metric_series: limits.metric_series,
            metric_labels: limits.metric_labels,
            state_bytes: limits.state_bytes,
            state_keys: limits.state_keys,
            state_value: limits.state_value,
            workspace_bytes: limits.workspace_bytes,
            workspace_entries: limits.workspace_entries,
            max: MaximaConfig::default(),
        }
    }
}

impl Default for MaximaConfig {
    /// Room for what agents are known to need, still far from what would hurt a host with 32 slots.
    fn default() -> MaximaConfig {
        MaximaConfig {
            memory: 256 * MIB,
            cpu: Duration::from_secs(60),
            deadline: Duration::from_secs(1800),
            outcome: MIB,
            log_lines: 10_000,
            log_bytes: 4 * MIB,
            hub_calls: 1000,
            state_bytes: 16 * MIB,
            state_keys: 10_000,
            state_value: MIB,
            workspace_bytes: 256 * MIB,
            workspace_entries: 10_000,
        }
    }
}

impl LimitsConfig {
    pub fn limits(&self) -> Limits {
        Limits {
            memory: self.memory,
            table_elements: self.table_elements,
            instances: self.instances,
            memories: self.memories,
            cpu: self.cpu,
            deadline: self.deadline,
            copy: self.copy,
            outcome: self.outcome,
            log_lines: self.log_lines,
            log_bytes: self.log_bytes,
            hub_calls: self.hub_calls,
            metric_series: self.metric_series,
            metric_labels: self.metric_labels,
            state_bytes: self.state_bytes,
            state_keys: self.state_keys,
            state_value: self.state_value,
            workspace_bytes: self.workspace_bytes,
            workspace_entries: self.workspace_entries,
        }
    }

    /// The operator's maxima; what nobody may change is at its own value.
    pub fn maxima(&self) -> Limits {
        Limits {
            memory: self.max.memory,
            cpu: self.max.cpu,
            deadline: self.max.deadline,
            outcome: self.max.outcome,
            log_lines: self.max.log_lines,
            log_bytes: self.max.log_bytes,
            hub_calls: self.max.hub_calls,
            state_bytes: self.max.state_bytes,
            state_keys: self.max.state_keys,
            state_value: self.max.state_value,
            workspace_bytes: self.max.workspace_bytes,
            workspace_entries: self.max.workspace_entries,
            ..self.limits()
        }
    }

    pub(super) fn check(&self, checks: &mut Checks) {
        let (limits, max) = (self, &self.max);
        let count = |n: u32| n.to_string();
        macro_rules! within {
            ($($field:ident: $format:expr),+) => {$(
                checks.require(
                    limits.$field <= max.$field,
                    &[concat!("limits.", stringify!($field)), concat!("limits.max.", stringify!($field))],
                    || format!(
                        concat!("{} is more than limits.max.", stringify!($field), ", which is {}"),
                        $format(limits.$field), $format(max.$field)
                    ),
                );
            )+};
        }
        within!(
            memory: format_size, cpu: format_span, deadline: format_span, outcome: format_size, log_lines: count,
            log_bytes: format_size, hub_calls: count, state_bytes: format_size, state_keys: count,
            state_value: format_size, workspace_bytes: format_size, workspace_entries: count
        );
        for (key, nothing) in [
            ("limits.memory", self.memory == 0),
            ("limits.instances", self.instances == 0),
            ("limits.memories", self.memories == 0),
            ("limits.cpu", self.cpu.is_zero()),
            ("limits.deadline", self.deadline.is_zero()),
            ("limits.outcome", self.outcome == 0),
            ("limits.copy", self.copy == 0),
        ] {
            checks.require(!nothing, &[key], || "0 is too little: nothing could run".to_owned());
        }
        // wasm32 can't address more.
        checks.require(max.memory <= 4 << 30, &["limits.max.memory"], || {
            format!(
                "{} is more than the 4GiB that a component can address",
                format_size(max.memory)
            )
        });
    }
}
