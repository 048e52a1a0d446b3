use std::collections::BTreeMap;

use super::*;
use crate::{
    domain::{
        breaker::{Breaker, BreakerMode},
        ending::Reason,
        host::{HostCounts, HostState, KnownHost},
        ids::{AgentName, PluginName},
        time::UnixMillis,
        work_item::Priority,
    },
    ports::{agent_records::BreakerRecord, guest::MeasurementKind, store::QueueStats},
};

/// What is left of a leader's lease.
const LEASE: Duration = Duration::from_millis(7_500);

fn metrics() -> Metrics {
    Metrics::new(&HostName::new("host-1").unwrap()).unwrap()
}

fn agent(id: &str) -> AgentId {
    AgentId::new(id).unwrap()
}

#[track_caller]
fn assert_shows(metrics: &Metrics, lines: &[&str]) {
    let text = metrics.render(LEASE).unwrap();
    for line in lines {
        assert!(text.lines().any(|shown| shown == *line), "{line}\nnot in\n{text}");
    }
}

fn backed_off(id: &str, breaker: Breaker) -> BreakerRecord {
    BreakerRecord {
        id: agent(id),
        name: AgentName::new("echo").unwrap(),
        breaker,
        last_reason: None,
        last_detail: String::new(),
        now: UnixMillis(10_000),
    }
}

#[test]
fn plugins_are_shown_by_name_as_far_as_they_have_one() {
    let metrics = metrics();
    let echo = PluginName::new("echo").unwrap();
    let reload = |plugin: Option<&PluginName>, result, generation| {
        metrics.plugin_reloaded(&PluginReload {
            plugin,
            result,
            generation,
            took: Duration::from_secs(2),
        });
    };
    reload(Some(&echo), "new", Some(3));
    metrics.plugin_retired();
    reload(None, "refused", None);
    assert_shows(
        &metrics,
        &[
            r#"botburrow_plugin_reloads_total{plugin="echo",result="new"} 1"#,
            r#"botburrow_plugin_reloads_total{plugin="(unreadable)",result="refused"} 1"#,
            r#"botburrow_plugin_generation{plugin="echo"} 3"#,
            "botburrow_plugin_reload_duration_seconds_sum 4",
            "botburrow_plugin_generations_draining 1",
        ],
    );
    reload(Some(&echo), "gone", None);
    metrics.plugin_drained();
    assert_shows(&metrics, &["botburrow_plugin_generations_draining 0"]);
    let text = metrics.render(LEASE).unwrap();
    assert!(!text.contains("botburrow_plugin_generation{"), "{text}");
}

#[test]
fn activations_are_counted_under_the_known_names() {
    let metrics = metrics();
    metrics.activation_started(Duration::from_millis(20));
    metrics.activation_started(Duration::from_millis(20));
    assert_eq!(metrics.activations_in_progress(), 2);
    metrics.activation_ended(&EndedActivation {
        agent: &agent("a1"),
        task_type: TaskType::Inbox,
        reason: Reason::CpuLimit,
        took: Duration::from_secs(2),
        cpu: Duration::from_millis(1500),
    });
    assert_shows(
        &metrics,
        &[
            r#"botburrow_activations_total{agent_id="a1",status="cpu_limit",task_type="inbox"} 1"#,
            r#"botburrow_guest_cpu_seconds_total{agent_id="a1"} 1.5"#,
            "botburrow_activations_in_progress 1",
            "botburrow_activation_duration_seconds_sum 2",
            "botburrow_queue_wait_seconds_count 2",
            r#"botburrow_coordinator_is_leader{instance_id="host-1"} 0"#,
        ],
    );
}

#[test]
fn the_hub_the_queue_and_denials_are_counted() {
    let metrics = metrics();
    metrics.polled(PollOutcome::News, Duration::from_secs(1));
    metrics.hub_request("poll", Ok(()), Duration::from_secs(1));
    metrics.hub_request("poll", Err(&HubError::Malformed("?".into())), Duration::from_secs(1));
    metrics.enqueued(TaskType::Direct, &Enqueued::Full { limit: 1 });
    metrics.breaker_changed("breaker_opened");
    metrics.breaker_changed("something a newer host wrote");
    metrics.recovered(3);
    metrics.budget_check_failed();
    metrics.agent_without_definition();
    metrics.call_denied(&agent("a1"), Capability::HubWrite);
    assert_shows(
        &metrics,
        &[
            r#"botburrow_polls_total{outcome="news"} 1"#,
            "botburrow_poll_duration_seconds_sum 1",
            r#"botburrow_hub_requests_total{endpoint="poll",outcome="malformed"} 1"#,
            r#"botburrow_hub_request_duration_seconds_count{endpoint="poll"} 2"#,
            r#"botburrow_items_enqueued_total{result="full",task_type="direct"} 1"#,
            r#"botburrow_breaker_transitions_total{transition="breaker_opened"} 1"#,
            r#"botburrow_breaker_transitions_total{transition="other"} 1"#,
            "botburrow_items_recovered_total 3",
            "botburrow_budget_check_failures_total 1",
            "botburrow_agents_without_definition_total 1",
            r#"botburrow_denied_calls_total{agent_id="a1",capability="hub:write"} 1"#,
        ],
    );
}

#[test]
fn what_describes_the_cluster_is_shown_by_the_leader_only() {
    let metrics = metrics();
    let open = Breaker {
        open_until: Some(UnixMillis(70_000)),
        ..Breaker::default()
    };
    let forced = Breaker {
        mode: BreakerMode::ForcedOpen,
        ..Breaker::default()
    };
    let queue = QueueStats {
        queued: BTreeMap::from([(Priority::High, 4)]),
        waiting: 2,
        active: 3,
        agents_in_backoff: 2,
        oldest_queued: Some(Duration::from_millis(2500)),
        dead: 6,
        oldest_dead: Some(Duration::from_secs(90)),
        ..QueueStats::default()
    };
    let in_backoff = [backed_off("a1", open), backed_off("a2", forced)];
    let known = |state| KnownHost {
        holder: "h".to_owned(),
        state,
        silent: Duration::ZERO,
        report: Err("unreadable".to_owned()),
    };
    let hosts = HostCounts::of(&[HostState::Live, HostState::Live, HostState::Gone].map(known));
    let snapshot = ClusterSnapshot {
        queue: &queue,
        in_backoff: &in_backoff,
        hosts,
    };

    metrics.cluster(Some(snapshot));
    assert!(
        !metrics.render(LEASE).unwrap().contains("botburrow_queue_depth"),
        "it does not lead"
    );
    metrics.leadership(LeadershipEvent::Became, Term(7));
    metrics.cluster(Some(snapshot));
    assert_shows(
        &metrics,
        &[
            r#"botburrow_coordinator_is_leader{instance_id="host-1"} 1"#,
            r#"botburrow_leader_transitions_total{event="became_leader"} 1"#,
            "botburrow_leader_term 7",
            "botburrow_leader_lease_remaining_seconds 7.5",
            r#"botburrow_queue_depth{priority="high"} 4"#,
            r#"botburrow_queue_depth{priority="low"} 0"#,
            r#"botburrow_queue_items{state="waiting"} 2"#,
            "botburrow_queue_oldest_seconds 2.5",
            r#"botburrow_queue_items{state="dead"} 6"#,
            "botburrow_queue_dead_oldest_seconds 90",
            "botburrow_queue_active_tasks 3",
            "botburrow_queue_agents_in_backoff 2",
            r#"botburrow_agent_backoff_seconds_remaining{agent_id="a1"} 60"#,
            r#"botburrow_agent_backoff_seconds_remaining{agent_id="a2"} inf"#,
        ],
    );

    metrics.cluster(Some(ClusterSnapshot {
        queue: &queue,
        in_backoff: &in_backoff[1..],
        hosts,
    }));
    assert!(
        !metrics.render(LEASE).unwrap().contains(r#"remaining{agent_id="a1"}"#),
        "its breaker closed"
    );
    // Defect 2: a scrape that comes after the deadline is not told of a leader, though the election has noticed nothing.
    let late = metrics.render(Duration::ZERO).unwrap();
    metrics.leadership(LeadershipEvent::Lost, Term(7));
    metrics.cluster(Some(snapshot));
    for text in [late, metrics.render(LEASE).unwrap()] {
        for name in [
            "queue_depth",
            "queue_active_tasks",
            "agents_in_backoff",
            "backoff_seconds",
            "leader_term",
        ] {
            assert!(!text.contains(name), "{name} in {text}");
        }
        assert!(
            text.contains("\nbotburrow_leader_lease_remaining_seconds 0\n"),
            "{text}"
        );
        assert!(text.contains("is_leader{instance_id=\"host-1\"} 0\n"), "{text}");
    }
}

#[test]
fn agents_beyond_the_bound_are_other() {
    let metrics = metrics();
    for n in 0..1500 {
        metrics.call_denied(&agent(&format!("a{n}")), Capability::Config);
    }
    let text = metrics.render(LEASE).unwrap();
    assert!(
        text.contains(r#"botburrow_denied_calls_total{agent_id="other",capability="config"} 500"#),
        "{text}"
    );
    assert_eq!(
        text.lines()
            .filter(|line| line.starts_with("botburrow_denied_calls_total{"))
            .count(),
        1001
    );
}

fn measured(kind: MeasurementKind, name: &str, labels: &[(&str, &str)], value: f64) -> Measurement {
    let labels = labels
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    Measurement {
        kind,
        name: name.to_owned(),
        labels,
        value,
    }
}

#[test]
fn guests_numbers_are_shown_by_kind() {
    use MeasurementKind::*;
    let (metrics, limits) = (metrics(), Limits::default());
    let say = |agent_id: &str, m: Measurement| metrics.guest_measured(&agent(agent_id), &m, &limits);
    say("a1", measured(Counter, "replies", &[("kind", "dm")], 2.0));
    say("a1", measured(Counter, "replies", &[("kind", "dm")], 1.0));
    say("a2", measured(Gauge, "replies", &[], 5.0));
    say("a2", measured(Gauge, "replies", &[], 4.0));
    say("a1", measured(Histogram, "words", &[("say", "a\"b\n")], 7.0));
    assert_shows(
        &metrics,
        &[
            "# TYPE botburrow_agent_custom_total counter",
            r#"botburrow_agent_custom_total{agent_id="a1",metric="replies",kind="dm"} 3"#,
            r#"botburrow_agent_custom{agent_id="a2",metric="replies"} 4"#,
            r#"botburrow_agent_custom_distribution_bucket{agent_id="a1",metric="words",say="a\"b\n",le="1"} 0"#,
            r#"botburrow_agent_custom_distribution_bucket{agent_id="a1",metric="words",say="a\"b\n",le="10"} 1"#,
            r#"botburrow_agent_custom_distribution_sum{agent_id="a1",metric="words",say="a\"b\n"} 7"#,
        ],
    );
}

#[test]
fn guests_numbers_over_the_limits_are_dropped_and_counted() {
    use MeasurementKind::*;
    let metrics = metrics();
    let limits = Limits {
        metric_series: 3,
        metric_labels: 2,
        ..Limits::default()
    };
    let say = |m: Measurement| metrics.guest_measured(&agent("a1"), &m, &limits);
    for n in 0..10 {
        say(measured(Counter, "c", &[("n", &n.to_string())], 1.0));
    }
    say(measured(Counter, "c", &[("a", ""), ("b", ""), ("c", "")], 1.0));
    for name in ["", "1st", "with space", "naïve", &"x".repeat(65)] {
        say(measured(Gauge, name, &[], 1.0));
    }
    for value in [f64::NAN, f64::INFINITY, -1.0] {
        say(measured(Counter, "c", &[], value));
    }
    let long = "x".repeat(129);
    for labels in [
        &[("agent_id", "a2")][..],
        &[("le", "1")],
        &[("__name__", "x")],
        &[("a", "1"), ("a", "2")],
        &[("a", &long)],
    ] {
        say(measured(Gauge, "g", labels, 1.0));
    }
    let text = metrics.render(LEASE).unwrap();
    assert_eq!(
        text.lines()
            .filter(|line| line.starts_with("botburrow_agent_custom_total{"))
            .count(),
        3,
        "{text}"
    );
    let dropped = [
        ("too_many_series", 7),
        ("too_many_labels", 1),
        ("invalid_name", 5),
        ("invalid_value", 3),
        ("invalid_label", 5),
    ];
    for (reason, count) in dropped {
        let line = format!(r#"botburrow_agent_custom_dropped_total{{agent_id="a1",reason="{reason}"}} {count}"#);
        assert_shows(&metrics, &[&line]);
    }
}
