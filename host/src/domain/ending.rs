//! How an activation ended, and who is to blame for it.

use std::{fmt, str::FromStr};

/// The reason code of an activation's end: on the item, in metrics, logs and events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    Ok,
    /// The guest trapped: unreachable, out-of-bounds, stack overflow, a panic.
    Trap,
    MemoryLimit,
    CpuLimit,
    /// The wall clock ran out while the guest itself was running.
    Deadline,
    OutputLimit,
    CopyLimit,
    /// The guest returned a failure.
    GuestError,
    /// Three leases in a row were lost while this agent ran.
    HostKiller,
    /// The Hub, a model or another service that the activation depends on failed.
    Upstream,
    DeniedByBudget,
    /// Shutdown or an operator ended it.
    Cancelled,
    /// The claim's lease ran out or was taken away before the end.
    LeaseLost,
    /// The host itself failed.
    HostFault,
    /// This host can't run the agent's plugin: missing, broken, or not granted what it imports.
    PluginUnavailable,
}

impl Reason {
    pub const ALL: [Reason; 15] = [
        Reason::Ok,
        Reason::Trap,
        Reason::MemoryLimit,
        Reason::CpuLimit,
        Reason::Deadline,
        Reason::OutputLimit,
        Reason::CopyLimit,
        Reason::GuestError,
        Reason::HostKiller,
        Reason::Upstream,
        Reason::DeniedByBudget,
        Reason::Cancelled,
        Reason::LeaseLost,
        Reason::HostFault,
        Reason::PluginUnavailable,
    ];

    /// Whether the breaker counts this end against the agent. What the plugin can't help never counts (I8).
    pub fn counted(self) -> bool {
        use Reason::*;
        match self {
            Trap | MemoryLimit | CpuLimit | Deadline | OutputLimit | CopyLimit | GuestError | HostKiller => true,
            Ok | Upstream | DeniedByBudget | Cancelled | LeaseLost | HostFault | PluginUnavailable => false,
        }
    }

    /// Whether a `direct` item that ended so has used up one of its attempts.
    pub fn uses_attempt(self) -> bool {
        self.counted() || self == Reason::Upstream
    }

    pub fn as_str(self) -> &'static str {
        use Reason::*;
        match self {
            Ok => "ok",
            Trap => "trap",
            MemoryLimit => "memory_limit",
            CpuLimit => "cpu_limit",
            Deadline => "deadline",
            OutputLimit => "output_limit",
            CopyLimit => "copy_limit",
            GuestError => "guest_error",
            HostKiller => "host_killer",
            Upstream => "upstream",
            DeniedByBudget => "denied_by_budget",
            Cancelled => "cancelled",
            LeaseLost => "lease_lost",
            HostFault => "host_fault",
            PluginUnavailable => "plugin_unavailable",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Reason {
    type Err = String;

    fn from_str(text: &str) -> Result<Reason, String> {
        Reason::ALL.into_iter().find(|r| r.as_str() == text).ok_or_else(|| {
            let allowed = Reason::ALL.map(Reason::as_str).join("`, `");
            format!("{text:?} is not a reason code: `{allowed}` are allowed")
        })
    }
}

/// How one activation ended, as its runner reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    pub reason: Reason,
    /// For people: the outcome's summary, or what went wrong.
    pub detail: String,
    /// The guest said that trying again can't help.
    pub permanent: bool,
    /// It ended well, but dealt with nothing although there was something to deal with: the agent cools down, or the
    /// next poll would bring the same notifications back at once.
    pub handled_nothing: bool,
}

impl Ending {
    pub fn new(reason: Reason, detail: impl Into<String>) -> Ending {
        Ending {
            reason,
            detail: detail.into(),
            permanent: false,
            handled_nothing: false,
        }
    }

    /// Whether the agent is put on a cool-down: nothing counts against it, and without a pause it would spin.
    pub fn cools_down(&self) -> bool {
        match self.reason {
            Reason::Ok => self.handled_nothing,
            Reason::Upstream | Reason::DeniedByBudget | Reason::PluginUnavailable | Reason::HostFault => true,
            _ => false,
        }
    }
}

/// What a guest may say is bounded, but not for a line of a log or a table: this many characters of it are.
const BRIEF: usize = 200;

/// A detail on one short line; the whole of it stays with the item.
pub fn brief(detail: &str) -> String {
    let mut line: String = detail
        .chars()
        .take(BRIEF)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if detail.chars().nth(BRIEF).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_back() {
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(reason));
        }
        assert!("fine".parse::<Reason>().is_err());
    }

    #[test]
    fn what_a_guest_says_fits_a_line() {
        assert_eq!(brief("dealt with 1\n\u{1b}[31mred"), "dealt with 1  [31mred");
        let long = brief(&"é".repeat(100_000));
        assert_eq!(long.chars().count(), BRIEF + 1);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn faults_of_others_do_not_count() {
        let counted: Vec<_> = Reason::ALL
            .into_iter()
            .filter(|r| r.counted())
            .map(Reason::as_str)
            .collect();
        assert_eq!(
            counted,
            [
                "trap",
                "memory_limit",
                "cpu_limit",
                "deadline",
                "output_limit",
                "copy_limit",
                "guest_error",
                "host_killer"
            ]
        );
    }
}
