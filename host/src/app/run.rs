//! `warren run`: one host, until a signal.

use tracing::info;

use super::{config::Config, host::Host, signals::Signals};

/// Run until a signal asks the host to stop and it has, or until one of its tasks has failed.
pub async fn run(config: &Config) -> anyhow::Result<()> {
    let mut signals = Signals::install()?;
    let mut host = tokio::select! {
        host = Host::start(config) => host?,
        signal = signals.next() => {
            info!(signal, "stopped while starting; nothing was running yet");
            return Ok(());
        }
    };
    tokio::select! {
        signal = signals.next() => {
            info!(signal, "stopping; a second signal exits at once");
            signals.exit_on_next();
            host.stop().await
        }
        // Whoever supervises the process starts it anew; leases give back what was running.
        fault = host.fault() => Err(fault),
    }
}
