//! The work item: a request that one agent be activated once.

use std::{fmt, str::FromStr, time::Duration};

use super::{
    ending::Reason,
    ids::{AgentId, AgentName, HostName, ItemId},
    time::UnixMillis,
};

/// Why an agent is to be activated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskType {
    /// Unread notifications on the Hub.
    Inbox,
    /// The agent has not run for long.
    Discovery,
    /// Submitted by a person or a program, with a payload.
    Direct,
}

/// In which order ready items are claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    High,
    Normal,
    Low,
}

/// Where an item is: at any moment exactly one of these (I3). A purged item is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemState {
    /// Ready to be claimed.
    Queued,
    /// Behind its agent's active item.
    Waiting,
    /// Until a time: a retry, a backoff, an interval, a cool-down.
    Delayed,
    /// Until an operator acts: the agent is paused or its breaker forced open.
    Held,
    /// Claimed by a host.
    Active,
    Done,
    /// Given up on; kept for inspection and requeue.
    Dead,
}

macro_rules! codes {
    ($name:ident, $what:literal, $($variant:ident = $code:literal),+) => {
        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $code),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<$name, String> {
                match text {
                    $($code => Ok($name::$variant),)+
                    other => Err(format!(concat!("{:?} is not a ", $what, ": ", $("`", $code, "` "),+, "are allowed"), other)),
                }
            }
        }
    };
}

codes!(
    TaskType,
    "task type",
    Inbox = "inbox",
    Discovery = "discovery",
    Direct = "direct"
);
codes!(Priority, "priority", High = "high", Normal = "normal", Low = "low");
codes!(
    ItemState,
    "state of a work item",
    Queued = "queued",
    Waiting = "waiting",
    Delayed = "delayed",
    Held = "held",
    Active = "active",
    Done = "done",
    Dead = "dead"
);

impl TaskType {
    /// Inbox work is `high`, discovery `normal`; direct items are `high` unless the submitter says otherwise, because a
    /// person is likely to wait for them.
    pub fn default_priority(self) -> Priority {
        match self {
            TaskType::Inbox | TaskType::Direct => Priority::High,
            TaskType::Discovery => Priority::Normal,
        }
    }

    /// Whether the Hub brings the work back by itself, so that an item may be merged, skipped or dropped after a failure.
    pub fn hub_remembers(self) -> bool {
        self != TaskType::Direct
    }
}

/// What is known of an item from the start and never changes, but for `inbox_count` (by merging) and `attempt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkItem {
    pub id: ItemId,
    pub agent_id: AgentId,
    pub agent_name: AgentName,
    pub task_type: TaskType,
    pub priority: Priority,
    /// Unread notifications when the item was made, for inbox items.
    pub inbox_count: u32,
    pub created_at: UnixMillis,
    /// 1 at first; one more after every failed try. A lost lease or a return at shutdown keeps it.
    pub attempt: u32,
    /// Direct items only; at most [`MAX_PAYLOAD`] bytes.
    pub payload: Option<String>,
    /// The shortest time between two starts of this agent that its definition asks for; direct items are exempt.
    pub min_interval: Duration,
    /// W3C `traceparent` of whoever asked for it.
    pub trace_context: Option<String>,
}

/// The largest payload of a direct item, in bytes: what one host call may copy is four times as much.
pub const MAX_PAYLOAD: usize = 1024 * 1024;

/// An item with all that the store knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemRecord {
    pub item: WorkItem,
    pub state: ItemState,
    /// Why it is delayed, held, done or dead, in words.
    pub note: String,
    /// When a delayed item is due.
    pub due_at: Option<UnixMillis>,
    /// Who runs it, while it is active.
    pub host: Option<HostName>,
    /// How its last activation ended.
    pub reason: Option<Reason>,
    /// When it was done or given up on.
    pub ended_at: Option<UnixMillis>,
    /// The plugin's generation that ran it last, as `name@number`.
    pub generation: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_back_and_errors_name_what_is_allowed() {
        for state in ItemState::ALL {
            assert_eq!(state.as_str().parse(), Ok(*state));
        }
        let error = "urgent".parse::<Priority>().unwrap_err();
        assert!(error.contains("urgent") && error.contains("`low`"), "{error}");
    }
}
