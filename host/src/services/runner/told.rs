//! Tells telemetry of one activation: that it began, and, exactly once, how it ended.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    domain::{ending::Reason, work_item::WorkItem},
    ports::{
        sandbox::Usage,
        telemetry::{EndedActivation, Telemetry},
    },
};

/// Dropping it tells the end, so that an activation that is dropped or panics is not counted as running for ever.
pub struct Told<'a> {
    telemetry: &'a dyn Telemetry,
    item: &'a WorkItem,
    started: Instant,
    end: Option<(Reason, Usage, Duration)>,
}

impl<'a> Told<'a> {
    pub fn begin(telemetry: &'a dyn Telemetry, item: &'a WorkItem, waited: Duration) -> Told<'a> {
        telemetry.activation_started(waited);
        Told {
            telemetry,
            item,
            started: Instant::now(),
            end: None,
        }
    }

    /// Tell how it ended; what follows is no part of the activation. From the claim to now.
    pub fn ended(mut self, reason: Reason, usage: Usage) -> Duration {
        let took = self.started.elapsed();
        self.end = Some((reason, usage, took));
        took
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        let (reason, usage, took) = self.end.unwrap_or_else(|| {
            let reason = if std::thread::panicking() {
                Reason::HostFault
            } else {
                Reason::Cancelled
            };
            (reason, Usage::default(), self.started.elapsed())
        });
        self.telemetry.activation_ended(&EndedActivation {
            agent: &self.item.agent_id,
            task_type: self.item.task_type,
            reason,
            took,
            cpu: usage.cpu,
        });
    }
}
