//! What services tell operators in numbers. They say what happened, in the domain's words; names, labels and bounds of
//! metrics are the implementation's. No call waits or fails.

use std::time::Duration;

use super::{agent_records::BreakerRecord, guest::Measurement, hub::HubError, store::QueueStats, work_queue::Enqueued};
use crate::domain::{
    capability::Capability,
    ending::Reason,
    host::HostCounts,
    ids::{AgentId, PluginName, Term},
    limits::Limits,
    work_item::TaskType,
};

/// How a poll of the Hub ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PollOutcome {
    /// It brought something that was not queued yet.
    News,
    /// It brought nothing, or only what was known.
    Nothing,
    Failed,
}

/// What became of this host's leadership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeadershipEvent {
    Became,
    /// The lease ran out or was somebody else's at the renewal.
    Lost,
    /// Given up by this host.
    Released,
}

impl LeadershipEvent {
    pub const ALL: [LeadershipEvent; 3] = [
        LeadershipEvent::Became,
        LeadershipEvent::Lost,
        LeadershipEvent::Released,
    ];

    /// The event's code: in logs, metrics and on the event stream.
    pub fn as_str(self) -> &'static str {
        match self {
            LeadershipEvent::Became => "became_leader",
            LeadershipEvent::Lost => "lost_leadership",
            LeadershipEvent::Released => "released_leadership",
        }
    }
}

/// One activation that has ended.
#[derive(Clone, Copy, Debug)]
pub struct EndedActivation<'a> {
    pub agent: &'a AgentId,
    pub task_type: TaskType,
    pub reason: Reason,
    /// From the claim to the end, wall clock.
    pub took: Duration,
    /// The guest's thread time.
    pub cpu: Duration,
}

/// What became of one plugin when it was read.
#[derive(Clone, Copy, Debug)]
pub struct PluginReload<'a> {
    /// Unless not even that could be read.
    pub plugin: Option<&'a PluginName>,
    /// A fixed word such as `replaced` or `refused`.
    pub result: &'static str,
    /// What runs now.
    pub generation: Option<u32>,
    pub took: Duration,
}

/// What the leader knows of the whole cluster.
#[derive(Clone, Copy, Debug)]
pub struct ClusterSnapshot<'a> {
    pub queue: &'a QueueStats,
    /// As [`AgentRecords::in_backoff`](super::agent_records::AgentRecords::in_backoff) lists them.
    pub in_backoff: &'a [BreakerRecord],
    pub hosts: HostCounts,
}

pub trait Telemetry: Send + Sync {
    fn polled(&self, outcome: PollOutcome, took: Duration);

    /// The queue's answer to one item.
    fn enqueued(&self, task_type: TaskType, answer: &Enqueued);

    /// The Hub named an agent that has no usable definition; it was not enqueued.
    fn agent_without_definition(&self);

    fn leadership(&self, event: LeadershipEvent, term: Term);

    /// What the leader sees, every few seconds; `None` from a host that leads no more, which then exports none of it.
    fn cluster(&self, snapshot: Option<ClusterSnapshot<'_>>);

    /// One request of this host to the Hub, all its tries together. `endpoint` is a fixed word such as `poll` or
    /// `create_comment`.
    fn hub_request(&self, endpoint: &'static str, result: Result<(), &HubError>, took: Duration);

    /// A claimed item is about to run. `waited` is how long it had been ready. Each call is followed by exactly one of
    /// `activation_ended`, whatever happens in between.
    fn activation_started(&self, waited: Duration);

    fn activation_ended(&self, ended: &EndedActivation<'_>);

    /// The Hub's budget answer could not be had; the activation went on without it.
    fn budget_check_failed(&self);

    /// A breaker's transition as the event stream shows it, by its event code; counted by the leader alone.
    fn breaker_changed(&self, code: &str);

    fn plugin_reloaded(&self, reload: &PluginReload<'_>);

    /// A generation was replaced or removed. Each call is followed by one of `plugin_drained`, once nobody uses it.
    fn plugin_retired(&self);

    fn plugin_drained(&self);

    /// A definition was looked at again at somebody's word. `result` is a fixed word such as `changed` or `refused`.
    fn definition_reread(&self, result: &'static str);

    /// So many claims had run out and their items are ready again.
    fn recovered(&self, items: u64);

    /// The guest called something it was not granted.
    fn call_denied(&self, agent: &AgentId, capability: Capability);

    /// The guest reports a number. Names and labels are as the guest gave them: what is invalid or over the limits on
    /// series and labels is dropped and counted.
    fn guest_measured(&self, agent: &AgentId, measurement: &Measurement, limits: &Limits);
}

/// For whoever doesn't count, tests above all.
pub struct Unmeasured;

impl Telemetry for Unmeasured {
    fn polled(&self, _: PollOutcome, _: Duration) {}
    fn enqueued(&self, _: TaskType, _: &Enqueued) {}
    fn agent_without_definition(&self) {}
    fn leadership(&self, _: LeadershipEvent, _: Term) {}
    fn cluster(&self, _: Option<ClusterSnapshot<'_>>) {}
    fn hub_request(&self, _: &'static str, _: Result<(), &HubError>, _: Duration) {}
    fn activation_started(&self, _: Duration) {}
    fn activation_ended(&self, _: &EndedActivation<'_>) {}
    fn budget_check_failed(&self) {}
    fn breaker_changed(&self, _: &str) {}
    fn plugin_reloaded(&self, _: &PluginReload<'_>) {}
    fn plugin_retired(&self) {}
    fn plugin_drained(&self) {}
    fn definition_reread(&self, _: &'static str) {}
    fn recovered(&self, _: u64) {}
    fn call_denied(&self, _: &AgentId, _: Capability) {}
    fn guest_measured(&self, _: &AgentId, _: &Measurement, _: &Limits) {}
}
