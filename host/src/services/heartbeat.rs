//! Tells the cluster that this host lives and what it is: at the start, every few seconds, and when it begins to drain. Its
//! end is the last step of a clean departure: what is still claimed is given back, and the host says goodbye.
//!
//! Nothing depends on a beat. Leases say who may do what; beats are for people, and for what they show of the cluster.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{claims::Claims, plugins::Plugins, roster};
use crate::{
    domain::{
        host::{HostPlugin, HostReport, HostState},
        ids::HolderId,
        time::BootTime,
    },
    ports::{clock::Clock, hosts::Hosts, store::StoreError},
};

/// Beats that a host may miss before it counts as gone.
const MISSED: u32 = 3;

/// The longest that what is left may take to give back: a host that leaves has to be gone within its grace period.
const GIVE_BACK_WITHIN: Duration = Duration::from_secs(5);

/// What about a host does not change while it runs.
#[derive(Clone, Debug)]
pub struct Appearance {
    pub version: String,
    pub roles: Vec<String>,
    pub labels: BTreeMap<String, String>,
    /// Where others reach its API.
    pub address: String,
    /// Activations at once; none on a host that runs no items.
    pub slots: u32,
    pub started: BootTime,
}

pub struct Heartbeat {
    pub hosts: Arc<dyn Hosts>,
    pub claims: Arc<Claims>,
    pub plugins: Arc<Plugins>,
    pub clock: Arc<dyn Clock>,
    pub holder: HolderId,
    pub appearance: Appearance,
    pub every: Duration,
    /// The longest that one call may take.
    pub call_timeout: Duration,
    /// Cancelled when the host begins to stop.
    pub draining: CancellationToken,
}

impl Heartbeat {
    /// Beat until `shutdown`; then leave. An error of the store is told once per outage, and never ends the task.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.beat_forever() => {}
        }
        self.depart().await;
        Ok(())
    }

    async fn beat_forever(&self) {
        let (mut failures, mut greeted) = (0u32, false);
        loop {
            let draining = self.draining.is_cancelled();
            match self.bounded(self.beat(draining)).await {
                Ok(()) => {
                    if failures > 0 {
                        info!(failures, "the store takes heartbeats again");
                    }
                    failures = 0;
                    if !greeted {
                        self.look_for_namesakes().await;
                    }
                    greeted = true;
                }
                Err(error) => {
                    if failures == 0 {
                        warn!(%error, "the store does not take this host's heartbeat; trying again every {:?}", self.every);
                    } else {
                        debug!(%error, failures, "the store does not take this host's heartbeat");
                    }
                    failures += 1;
                }
            }
            tokio::select! {
                () = time::sleep(self.every) => {}
                () = self.draining.cancelled(), if !draining => {}
            }
        }
    }

    async fn beat(&self, draining: bool) -> Result<(), StoreError> {
        let plugin = |status: super::plugins::PluginStatus| {
            let loaded = status.loaded?;
            Some(HostPlugin {
                name: loaded.generation.manifest.name.to_string(),
                generation: loaded.generation.number,
                digest: loaded.generation.digest.to_string(),
            })
        };
        let appearance = self.appearance.clone();
        let report = HostReport {
            version: appearance.version,
            roles: appearance.roles,
            labels: appearance.labels,
            address: appearance.address,
            slots: appearance.slots,
            in_flight: u32::try_from(self.claims.in_flight()).unwrap_or(u32::MAX),
            plugins: self.plugins.list().into_iter().filter_map(plugin).collect(),
            draining,
            up: self.clock.now().since(appearance.started),
        };
        let body = roster::written(&report)?;
        self.hosts.beat(&self.holder, &body, self.every * MISSED).await
    }

    /// Two processes of one name are told apart by everything but metrics, and by people. Once: that is for the log.
    async fn look_for_namesakes(&self) {
        let known = match self.bounded(roster::all(&*self.hosts)).await {
            Ok(known) => known,
            Err(error) => return debug!(%error, "could not look for hosts of the same name"),
        };
        let own = self.holder.to_string();
        let lives = |state| matches!(state, HostState::Live | HostState::Draining);
        for other in known.iter().filter(|other| other.name() == self.holder.host.as_str()) {
            if other.holder != own && lives(other.state) {
                let address = other.report.as_ref().map_or("", |report| &report.address);
                warn!(host = %self.holder.host, other = other.holder, address, silent_for = ?other.silent,
                      "another process of this host's name lives, or has died just now: while it restarts that is fine, \
                       otherwise give each a name of its own (host.name)");
            }
        }
    }

    /// What is claimed is ready for others at once, and the registry knows that nobody is missing.
    async fn depart(&self) {
        match time::timeout(GIVE_BACK_WITHIN, self.claims.give_all_back()).await {
            Ok(0) => {}
            Ok(given) => info!(given, "gave back what was still claimed"),
            Err(_) => warn!("could not give back all that was still claimed; its leases do it"),
        }
        match self.bounded(self.hosts.leave(&self.holder)).await {
            Ok(()) => debug!("left the registry of hosts"),
            Err(error) => warn!(%error, "could not leave the registry of hosts; it will show this host as gone"),
        }
    }

    /// A call that hangs must not be the last.
    async fn bounded<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        time::timeout(self.call_timeout, call)
            .await
            .unwrap_or_else(|_| Err(StoreError::no_answer(self.call_timeout)))
    }
}
