//! Telemetry that remembers what it was told.

use std::{sync::Mutex, time::Duration};

use warren::{
    domain::{
        capability::Capability,
        ending::Reason,
        ids::{AgentId, Term},
        limits::Limits,
        work_item::TaskType,
    },
    ports::{
        guest::Measurement,
        hub::HubError,
        telemetry::{ClusterSnapshot, EndedActivation, LeadershipEvent, PluginReload, PollOutcome, Telemetry},
        work_queue::Enqueued,
    },
};

#[derive(Default)]
pub struct Seen {
    pub leadership: Mutex<Vec<LeadershipEvent>>,
    pub started: Mutex<usize>,
    pub ended: Mutex<Vec<Reason>>,
    pub undefined: Mutex<usize>,
    pub recovered: Mutex<u64>,
    pub breakers: Mutex<Vec<String>>,
}

impl Seen {
    /// The gauge as the metrics make it of the events.
    pub fn leads(&self) -> bool {
        self.leadership.lock().unwrap().last() == Some(&LeadershipEvent::Became)
    }

    pub fn endings(&self) -> Vec<Reason> {
        self.ended.lock().unwrap().clone()
    }
}

impl Telemetry for Seen {
    fn polled(&self, _: PollOutcome, _: Duration) {}
    fn enqueued(&self, _: TaskType, _: &Enqueued) {}
    fn agent_without_definition(&self) {
        *self.undefined.lock().unwrap() += 1;
    }
    fn leadership(&self, event: LeadershipEvent, _: Term) {
        self.leadership.lock().unwrap().push(event);
    }
    fn cluster(&self, _: Option<ClusterSnapshot<'_>>) {}
    fn hub_request(&self, _: &'static str, _: Result<(), &HubError>, _: Duration) {}
    fn activation_started(&self, _: Duration) {
        *self.started.lock().unwrap() += 1;
    }
    fn activation_ended(&self, ended: &EndedActivation<'_>) {
        self.ended.lock().unwrap().push(ended.reason);
    }
    fn budget_check_failed(&self) {}
    fn breaker_changed(&self, code: &str) {
        self.breakers.lock().unwrap().push(code.to_owned());
    }
    fn plugin_reloaded(&self, _: &PluginReload<'_>) {}
    fn plugin_retired(&self) {}
    fn plugin_drained(&self) {}
    fn definition_reread(&self, _: &'static str) {}
    fn recovered(&self, items: u64) {
        *self.recovered.lock().unwrap() += items;
    }
    fn call_denied(&self, _: &AgentId, _: Capability) {}
    fn guest_measured(&self, _: &AgentId, _: &Measurement, _: &Limits) {}
}
