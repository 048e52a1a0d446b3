//! What describes the cluster: set from each snapshot that the leader takes.

use std::collections::BTreeMap;

use super::Metrics;
use crate::{
    domain::{
        breaker::BreakerState,
        host::HostState,
        work_item::{ItemState, Priority},
    },
    ports::telemetry::ClusterSnapshot,
};

impl Metrics {
    pub(super) fn set_cluster(&self, snapshot: &ClusterSnapshot<'_>) {
        let queue = snapshot.queue;
        let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        for state in HostState::ALL {
            let count = gauge(snapshot.hosts.get(state));
            self.hosts.with_label_values(&[state.as_str()]).set(count);
        }
        for priority in Priority::ALL {
            let depth = queue.queued.get(priority).copied().unwrap_or(0);
            self.queue_depth
                .with_label_values(&[priority.as_str()])
                .set(gauge(depth));
        }
        for (state, count) in [
            (ItemState::Waiting, queue.waiting),
            (ItemState::Delayed, queue.delayed),
            (ItemState::Held, queue.held),
            (ItemState::Dead, queue.dead),
        ] {
            self.queue_items.with_label_values(&[state.as_str()]).set(gauge(count));
        }
        self.queue_oldest
            .set(queue.oldest_queued.unwrap_or_default().as_secs_f64());
        self.dead_oldest
            .set(queue.oldest_dead.unwrap_or_default().as_secs_f64());
        self.active_tasks.set(gauge(queue.active));
        self.agents_in_backoff.set(gauge(queue.agents_in_backoff));

        let mut remaining: BTreeMap<&str, f64> = BTreeMap::new();
        for agent in snapshot.in_backoff {
            let left = match agent.breaker.state(agent.now) {
                BreakerState::Open { until } | BreakerState::HalfOpen { from: until } => {
                    until.since(agent.now).as_secs_f64()
                }
                // Until somebody acts: no number of seconds is true.
                BreakerState::ForcedOpen => f64::INFINITY,
                BreakerState::Closed | BreakerState::Disabled => continue,
            };
            let longest = remaining.entry(self.agents.bound(agent.id.as_str())).or_insert(left);
            *longest = longest.max(left);
        }
        self.backoff_remaining.reset();
        for (agent, left) in remaining {
            self.backoff_remaining.with_label_values(&[agent]).set(left);
        }
    }
}
