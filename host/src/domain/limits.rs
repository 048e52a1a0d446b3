//! The limits of one activation.

use std::time::Duration;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// What one activation may use. Sizes are bytes. The defaults are the design's table; a plugin's manifest and an agent's
/// definition may change each within the operator's maxima.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of all memories together. Growth beyond it traps: `memory_limit`.
    pub memory: u64,
    /// Elements of all tables together: `memory_limit`.
    pub table_elements: u64,
    /// Core instances in the component: `memory_limit`.
    pub instances: u32,
    /// Linear memories in the component: `memory_limit`.
    pub memories: u32,
    /// Thread time; waiting costs nothing: `cpu_limit`.
    pub cpu: Duration,
    /// Wall clock, host calls included: `deadline`, or `upstream` if it falls inside a call to the Hub.
    pub deadline: Duration,
    /// What one host call may copy out of the guest: `copy_limit`.
    pub copy: u64,
    /// The outcome: `output_limit`.
    pub outcome: u64,
    /// Log lines, stdout and stderr included; more are dropped and counted.
    pub log_lines: u32,
    /// Bytes of log lines, stdout and stderr together; more are dropped and counted.
    pub log_bytes: u64,
    /// Calls to the Hub; more are refused with an error to the guest.
    pub hub_calls: u32,
    /// Metric series of one agent; more are dropped and counted.
    pub metric_series: u32,
    /// Labels of one series.
    pub metric_labels: u32,
    /// State between activations: all keys and values of the agent.
    pub state_bytes: u64,
    pub state_keys: u32,
    pub state_value: u64,
    /// The lengths of all files in the agent's workspace together; a change beyond it is an error to the guest.
    pub workspace_bytes: u64,
    /// Files and directories in it.
    pub workspace_entries: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            memory: 64 * MIB,
            table_elements: 100_000,
            instances: 64,
            memories: 8,
            cpu: Duration::from_secs(5),
            deadline: Duration::from_secs(300),
            copy: 4 * MIB,
            outcome: 256 * KIB,
            log_lines: 1_000,
            log_bytes: 256 * KIB,
            hub_calls: 200,
            metric_series: 50,
            metric_labels: 10,
            state_bytes: MIB,
            state_keys: 1_000,
            state_value: 256 * KIB,
            workspace_bytes: 16 * MIB,
            workspace_entries: 1_000,
        }
    }
}

/// The limits that a manifest or a definition may change, each absent where it does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitOverrides {
    pub memory: Option<u64>,
    pub cpu: Option<Duration>,
    pub deadline: Option<Duration>,
    pub outcome: Option<u64>,
    pub log_lines: Option<u32>,
    pub log_bytes: Option<u64>,
    pub hub_calls: Option<u32>,
    pub state_bytes: Option<u64>,
    pub state_keys: Option<u32>,
    pub state_value: Option<u64>,
    pub workspace_bytes: Option<u64>,
    pub workspace_entries: Option<u32>,
}

impl Limits {
    /// These limits with `overrides` applied, or the first override that is over `maxima`, in words.
    pub fn with(&self, overrides: &LimitOverrides, maxima: &Limits) -> Result<Limits, String> {
        fn pick<T: PartialOrd + Copy + std::fmt::Debug>(
            name: &str,
            current: T,
            wanted: Option<T>,
            max: T,
        ) -> Result<T, String> {
            match wanted {
                Some(value) if value > max => Err(format!(
                    "limit `{name}` is {value:?}, but the operator's maximum is {max:?}"
                )),
                Some(value) => Ok(value),
                None => Ok(current),
            }
        }
        Ok(Limits {
            memory: pick("memory", self.memory, overrides.memory, maxima.memory)?,
            cpu: pick("cpu", self.cpu, overrides.cpu, maxima.cpu)?,
            deadline: pick("deadline", self.deadline, overrides.deadline, maxima.deadline)?,
            outcome: pick("outcome", self.outcome, overrides.outcome, maxima.outcome)?,
            log_lines: pick("log_lines", self.log_lines, overrides.log_lines, maxima.log_lines)?,
            log_bytes: pick("log_bytes", self.log_bytes, overrides.log_bytes, maxima.log_bytes)?,
            hub_calls: pick("hub_calls", self.hub_calls, overrides.hub_calls, maxima.hub_calls)?,
            state_bytes: pick(
                "state_bytes",
                self.state_bytes,
                overrides.state_bytes,
                maxima.state_bytes,
            )?,
            state_keys: pick("state_keys", self.state_keys, overrides.state_keys, maxima.state_keys)?,
            state_value: pick(
                "state_value",
                self.state_value,
                overrides.state_value,
                maxima.state_value,
            )?,
            workspace_bytes: pick(
                "workspace_bytes",
                self.workspace_bytes,
                overrides.workspace_bytes,
                maxima.workspace_bytes,
            )?,
            workspace_entries: pick(
                "workspace_entries",
                self.workspace_entries,
                overrides.workspace_entries,
                maxima.workspace_entries,
            )?,
            ..self.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_apply_up_to_the_maxima() {
        let maxima = Limits {
            memory: 128 * MIB,
            ..Limits::default()
        };
        let more = LimitOverrides {
            memory: Some(128 * MIB),
            hub_calls: Some(3),
            ..Default::default()
        };
        let limits = Limits::default().with(&more, &maxima).unwrap();
        assert_eq!((limits.memory, limits.hub_calls), (128 * MIB, 3));

        let too_much = LimitOverrides {
            cpu: Some(Duration::from_secs(6)),
            ..Default::default()
        };
        let error = limits.with(&too_much, &maxima).unwrap_err();
        assert!(
            error.contains("cpu") && error.contains("6s") && error.contains("5s"),
            "{error}"
        );
    }
}
