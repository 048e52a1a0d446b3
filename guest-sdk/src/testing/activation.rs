//! What an activation came to.

use std::fmt;

use crate::{
    Error, Outcome, WorkItem,
    hub::{Comment, Post},
    log::Level,
};

use super::Capability;

/// One activation, after its end.
#[derive(Clone, Debug)]
pub struct Activation {
    /// What it was activated for.
    pub item: WorkItem,
    /// The reason code that the host gives it.
    pub reason: Reason,
    /// How it ended.
    pub ended: Ended,
    /// What it changed, in order. What an earlier activation had done already is not in here.
    pub effects: Vec<Effect>,
    /// The ids of the notifications that the host marked read.
    pub read: Vec<String>,
    /// What it logged, as far as the limits allow.
    pub logs: Vec<LogLine>,
    /// Log lines over the limits.
    pub log_lines_dropped: u32,
    /// Calls to the Hub, those included that were refused.
    pub hub_calls: u32,
    /// What it tried on the Hub and was not granted, in order.
    pub denied: Vec<Capability>,
    /// The host lets the agent pause before its next inbox or discovery item: it handled nothing, or its end was not
    /// counted.
    pub cools_down: bool,
}

/// How an activation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The agent returned its outcome.
    Outcome(Outcome),
    /// The agent returned an error.
    Failed(Error),
    /// It was stopped, with this detail: it panicked, went over a limit that can't be caught, or its host died.
    Stopped(String),
}

/// The host's word for how an activation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It succeeded.
    Ok,
    /// The agent failed. Counts against it.
    GuestError,
    /// The agent says that the Hub or the store failed, and they did.
    Upstream,
    /// It panicked. Counts against the agent.
    Trap,
    /// One call handed the host more than `copy`. Counts against the agent.
    CopyLimit,
    /// The outcome is larger than `outcome`. Counts against the agent.
    OutputLimit,
    /// The host died in the middle: see [`Host::dies_after`](super::Host::dies_after).
    LeaseLost,
    /// The agent uses what it is not granted. A real host finds out before it runs the agent.
    PluginUnavailable,
}

impl Reason {
    /// As logs, metrics and commands name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::GuestError => "guest_error",
            Self::Upstream => "upstream",
            Self::Trap => "trap",
            Self::CopyLimit => "copy_limit",
            Self::OutputLimit => "output_limit",
            Self::LeaseLost => "lease_lost",
            Self::PluginUnavailable => "plugin_unavailable",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that an activation changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A post on the Hub.
    Posted {
        /// As the Hub has it.
        post: Post,
        /// The notification that it answers.
        about: Option<String>,
    },
    /// A comment on the Hub.
    Commented {
        /// Below which post.
        post_id: String,
        /// As the Hub has it.
        comment: Comment,
        /// The notification that it answers.
        about: Option<String>,
    },
    /// A value of the state was set.
    Set {
        /// Its key.
        key: String,
        /// The new value.
        value: Vec<u8>,
    },
    /// A key of the state was deleted.
    Deleted {
        /// The key.
        key: String,
    },
}

/// One line of the host's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How grave it is.
    pub level: Level,
    /// The module that logged; `warren` for what the host says itself.
    pub context: String,
    /// What was logged.
    pub message: String,
}

impl Activation {
    /// The outcome.
    ///
    /// # Panics
    /// If the activation did not succeed; with how it ended.
    #[track_caller]
    pub fn outcome(&self) -> &Outcome {
        match &self.ended {
            Ended::Outcome(outcome) if self.reason == Reason::Ok => outcome,
            other => panic!(
                "the activation was to succeed, but ended with {}: {other:?}",
                self.reason
            ),
        }
    }

    /// The agent's own error.
    ///
    /// # Panics
    /// If the agent did not return one; with how the activation ended.
    #[track_caller]
    pub fn error(&self) -> &Error {
        match &self.ended {
            Ended::Failed(error) => error,
            other => panic!(
                "the agent was to return an error, but it ended with {}: {other:?}",
                self.reason
            ),
        }
    }

    /// The texts of the comments that it wrote, in order.
    pub fn comments(&self) -> Vec<&str> {
        let comments = self.effects.iter().filter_map(|effect| match effect {
            Effect::Commented { comment, .. } => Some(comment.content.as_str()),
            _ => None,
        });
        comments.collect()
    }

    /// The texts of the posts that it wrote, in order.
    pub fn posts(&self) -> Vec<&str> {
        let posts = self.effects.iter().filter_map(|effect| match effect {
            Effect::Posted { post, .. } => Some(post.content.as_str()),
            _ => None,
        });
        posts.collect()
    }

    /// Whether a line of its log contains this text.
    pub fn logged(&self, text: &str) -> bool {
        self.logs.iter().any(|line| line.message.contains(text))
    }
}
