//! The numbers of this process, in a registry of its own: nothing is global, so that a test or a second host in one
//! process has its own.
//!
//! Names that operators of the Python coordinator know are kept (`botburrow_…`); every name here is set by something.
//! What describes the cluster is in a second registry, which is shown only while this host leads.

mod bounded;
mod cluster;
mod guest;
mod maker;
mod reloads;

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use prometheus::{
    CounterVec, Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use self::{
    bounded::BoundedLabel,
    guest::GuestMetrics,
    maker::{Maker, SECONDS},
    reloads::ReloadMetrics,
};
use crate::{
    domain::{
        capability::Capability,
        ids::{AgentId, HostName, Term},
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

/// The `Content-Type` of [`Metrics::render`].
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// The breaker's event codes; an unknown one is counted as `other`.
const TRANSITIONS: [&str; 5] = [
    "breaker_opened",
    "breaker_closed",
    "breaker_reset",
    "breaker_forced_open",
    "breaker_disabled",
];

pub struct Metrics {
    host: Registry,
    cluster: Registry,
    /// Whether `cluster` is shown; locked while its gauges change, so that no scrape sees half of a snapshot.
    shows_cluster: Mutex<bool>,
    leads: AtomicBool,
    instance: String,
    agents: BoundedLabel,
    guests: GuestMetrics,

    is_leader: IntGaugeVec,
    lease_left: Gauge,
    leader_transitions: IntCounterVec,
    polls: IntCounterVec,
    poll_duration: Histogram,
    hub_requests: IntCounterVec,
    hub_duration: HistogramVec,
    enqueued: IntCounterVec,
    undefined_agents: IntCounter,
    activations: IntCounterVec,
    activation_duration: Histogram,
    in_progress: IntGauge,
    queue_wait: Histogram,
    guest_cpu: CounterVec,
    denied_calls: IntCounterVec,
    budget_failures: IntCounter,
    breaker_transitions: IntCounterVec,
    recovered: IntCounter,
    reloads: ReloadMetrics,

    term: IntGauge,
    queue_depth: IntGaugeVec,
    queue_items: IntGaugeVec,
    queue_oldest: Gauge,
    dead_oldest: Gauge,
    active_tasks: IntGauge,
    agents_in_backoff: IntGauge,
    backoff_remaining: GaugeVec,
    hosts: IntGaugeVec,
}

impl Metrics {
    /// `instance` is the `instance_id` label. Fails only if two metrics have one name.
    pub fn new(instance: &HostName) -> prometheus::Result<Metrics> {
        let (host, cluster) = (Registry::new(), Registry::new());
        let guests = GuestMetrics::new()?;
        guests.register(&host)?;
        let (of_host, of_cluster) = (Maker(&host), Maker(&cluster));
        let metrics = Metrics {
            is_leader: of_host.gauges(
                "botburrow_coordinator_is_leader",
                "1 while this host leads",
                &["instance_id"],
            )?,
            lease_left: of_host.add(Gauge::new(
                "botburrow_leader_lease_remaining_seconds",
                "Until this host stops leading unless it renews the lease; 0 while it does not lead",
            ))?,
            leader_transitions: of_host.counters(
                "botburrow_leader_transitions_total",
                "Changes of this host's leadership",
                &["event"],
            )?,
            polls: of_host.counters("botburrow_polls_total", "Polls of the Hub", &["outcome"])?,
            poll_duration: of_host.seconds("botburrow_poll_duration_seconds", "How long polls of the Hub took")?,
            hub_requests: of_host.counters(
                "botburrow_hub_requests_total",
                "Requests to the Hub, all tries of one together",
                &["endpoint", "outcome"],
            )?,
            hub_duration: of_host.add(HistogramVec::new(
                HistogramOpts::new(
                    "botburrow_hub_request_duration_seconds",
                    "How long requests to the Hub took",
                )
                .buckets(SECONDS.to_vec()),
                &["endpoint"],
            ))?,
            enqueued: of_host.counters(
                "botburrow_items_enqueued_total",
                "What became of items that were to be enqueued",
                &["task_type", "result"],
            )?,
            undefined_agents: of_host.counter(
                "botburrow_agents_without_definition_total",
                "Times that the Hub named an agent which has no usable definition",
            )?,
            activations: of_host.counters(
                "botburrow_activations_total",
                "Activations by how they ended",
                &["agent_id", "task_type", "status"],
            )?,
            activation_duration: of_host.seconds(
                "botburrow_activation_duration_seconds",
                "From an activation's claim to its end",
            )?,
            in_progress: of_host.gauge("botburrow_activations_in_progress", "Activations that run on this host")?,
            queue_wait: of_host.seconds(
                "botburrow_queue_wait_seconds",
                "How long items were ready before a claim",
            )?,
            guest_cpu: of_host.add(CounterVec::new(
                Opts::new("botburrow_guest_cpu_seconds_total", "Thread time of guests"),
                &["agent_id"],
            ))?,
            denied_calls: of_host.counters(
                "botburrow_denied_calls_total",
                "Calls of guests to what they were not granted",
                &["agent_id", "capability"],
            )?,
            budget_failures: of_host.counter(
                "botburrow_budget_check_failures_total",
                "Activations that went on without the Hub's budget answer",
            )?,
            breaker_transitions: of_host.counters(
                "botburrow_breaker_transitions_total",
                "Transitions of agents' breakers, counted by the leader",
                &["transition"],
            )?,
            recovered: of_host.counter(
                "botburrow_items_recovered_total",
                "Items whose claim ran out and that this host made ready again",
            )?,
            reloads: ReloadMetrics::new(&of_host)?,
            term: of_cluster.gauge("botburrow_leader_term", "The leader's term")?,
            queue_depth: of_cluster.gauges("botburrow_queue_depth", "Ready items", &["priority"])?,
            queue_items: of_cluster.gauges("botburrow_queue_items", "Items that are not ready", &["state"])?,
            queue_oldest: of_cluster.add(Gauge::new(
                "botburrow_queue_oldest_seconds",
                "How long the oldest ready item has been ready",
            ))?,
            dead_oldest: of_cluster.add(Gauge::new(
                "botburrow_queue_dead_oldest_seconds",
                "How long that dead item has been dead that was enqueued first: nothing but an operator takes it away",
            ))?,
            active_tasks: of_cluster.gauge("botburrow_queue_active_tasks", "Items that are being run")?,
            agents_in_backoff: of_cluster.gauge(
                "botburrow_queue_agents_in_backoff",
                "Agents whose breaker is not closed",
            )?,
            backoff_remaining: of_cluster.add(GaugeVec::new(
                Opts::new(
                    "botburrow_agent_backoff_seconds_remaining",
                    "Until the agent's breaker lets a probe run",
                ),
                &["agent_id"],
            ))?,
            hosts: of_cluster.gauges(
                "botburrow_hosts",
                "Hosts that live, and those that did within the last hour",
                &["state"],
            )?,
            shows_cluster: Mutex::new(false),
            leads: AtomicBool::new(false),
            instance: instance.to_string(),
            agents: BoundedLabel::default(),
            guests,
            host,
            cluster,
        };
        Ok(metrics)
    }

    /// The text exposition of everything, as [`CONTENT_TYPE`]. `lease_left` is what is left now until this host has to stop
    /// leading: without any it does not lead, whatever its election has noticed so far.
    pub fn render(&self, lease_left: Duration) -> prometheus::Result<String> {
        let leads = !lease_left.is_zero() && self.leads.load(Ordering::Acquire);
        self.is_leader
            .with_label_values(&[&self.instance])
            .set(i64::from(leads));
        self.lease_left.set(if leads { lease_left.as_secs_f64() } else { 0.0 });
        let mut families = self.host.gather();
        {
            let shows_cluster = self.shows_cluster.lock().unwrap_or_else(PoisonError::into_inner);
            if *shows_cluster && leads {
                families.extend(self.cluster.gather());
            }
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&families, &mut text)?;
        String::from_utf8(text).map_err(|error| prometheus::Error::Msg(error.to_string()))
    }

    /// How many activations run on this host.
    pub fn activations_in_progress(&self) -> u64 {
        u64::try_from(self.in_progress.get()).unwrap_or(0)
    }
}

fn outcome_of(result: Result<(), &HubError>) -> &'static str {
    match result {
        Ok(()) => "ok",
        Err(HubError::NotFound(_)) => "not_found",
        Err(HubError::Rejected(_)) => "rejected",
        Err(HubError::Unavailable(_)) => "unavailable",
        Err(HubError::Ambiguous(_)) => "ambiguous",
        Err(HubError::Malformed(_)) => "malformed",
    }
}

impl Telemetry for Metrics {
    fn polled(&self, outcome: PollOutcome, took: Duration) {
        let outcome = match outcome {
            PollOutcome::News => "news",
            PollOutcome::Nothing => "nothing",
            PollOutcome::Failed => "failed",
        };
        self.polls.with_label_values(&[outcome]).inc();
        self.poll_duration.observe(took.as_secs_f64());
    }

    fn enqueued(&self, task_type: TaskType, answer: &Enqueued) {
        let result = match answer {
            Enqueued::Added(_) => "added",
            Enqueued::Merged { .. } => "merged",
            Enqueued::Skipped { .. } => "skipped",
            Enqueued::Full { .. } => "full",
        };
        self.enqueued.with_label_values(&[task_type.as_str(), result]).inc();
    }

    fn agent_without_definition(&self) {
        self.undefined_agents.inc();
    }

    fn leadership(&self, event: LeadershipEvent, term: Term) {
        let leads = event == LeadershipEvent::Became;
        self.leader_transitions.with_label_values(&[event.as_str()]).inc();
        self.leads.store(leads, Ordering::Release);
        if leads {
            self.term.set(i64::try_from(term.0).unwrap_or(i64::MAX));
        } else {
            self.cluster(None);
        }
    }

    fn cluster(&self, snapshot: Option<ClusterSnapshot<'_>>) {
        let mut shows_cluster = self.shows_cluster.lock().unwrap_or_else(PoisonError::into_inner);
        // A snapshot that was under way when the leadership ended is too late.
        let snapshot = snapshot.filter(|_| self.leads.load(Ordering::Acquire));
        if let Some(snapshot) = &snapshot {
            self.set_cluster(snapshot);
        }
        *shows_cluster = snapshot.is_some();
    }

    fn hub_request(&self, endpoint: &'static str, result: Result<(), &HubError>, took: Duration) {
        self.hub_requests
            .with_label_values(&[endpoint, outcome_of(result)])
            .inc();
        self.hub_duration
            .with_label_values(&[endpoint])
            .observe(took.as_secs_f64());
    }

    fn activation_started(&self, waited: Duration) {
        self.in_progress.inc();
        self.queue_wait.observe(waited.as_secs_f64());
    }

    fn activation_ended(&self, ended: &EndedActivation<'_>) {
        let agent = self.agents.bound(ended.agent.as_str());
        self.in_progress.dec();
        self.activations
            .with_label_values(&[agent, ended.task_type.as_str(), ended.reason.as_str()])
            .inc();
        self.activation_duration.observe(ended.took.as_secs_f64());
        self.guest_cpu
            .with_label_values(&[agent])
            .inc_by(ended.cpu.as_secs_f64());
    }

    fn budget_check_failed(&self) {
        self.budget_failures.inc();
    }

    fn breaker_changed(&self, code: &str) {
        let code = TRANSITIONS.into_iter().find(|known| *known == code).unwrap_or("other");
        self.breaker_transitions.with_label_values(&[code]).inc();
    }

    fn plugin_reloaded(&self, reload: &PluginReload<'_>) {
        self.reloads.plugin(reload);
    }

    fn plugin_retired(&self) {
        self.reloads.draining.inc();
    }

    fn plugin_drained(&self) {
        self.reloads.draining.dec();
    }

    fn definition_reread(&self, result: &'static str) {
        self.reloads.definitions.with_label_values(&[result]).inc();
    }

    fn recovered(&self, items: u64) {
        self.recovered.inc_by(items);
    }

    fn call_denied(&self, agent: &AgentId, capability: Capability) {
        self.denied_calls
            .with_label_values(&[self.agents.bound(agent.as_str()), capability.as_str()])
            .inc();
    }

    fn guest_measured(&self, agent: &AgentId, measurement: &Measurement, limits: &Limits) {
        self.guests
            .record(self.agents.bound(agent.as_str()), measurement, limits);
    }
}

#[cfg(test)]
mod tests;
