//! SIGTERM and SIGINT ask the host to stop; a second one ends it at once.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::warn;

pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Take the signals over from their default action. Needs a runtime.
    pub fn install() -> anyhow::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate()).context("can't handle SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("can't handle SIGINT")?,
        })
    }

    /// The next signal's name. Safe to cancel.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// From now on a signal ends the process at once. Nothing is lost: leases give back what was running.
    pub fn exit_on_next(mut self) {
        tokio::spawn(async move {
            let name = self.next().await;
            warn!(
                signal = name,
                "a second signal: exiting at once; what was running is recovered by its lease"
            );
            std::process::exit(EXIT_AT_ONCE);
        });
    }
}

/// What shells report for a process that SIGINT ended.
const EXIT_AT_ONCE: i32 = 130;
