//! Runs one claimed item: definition, plugin, budget, sandbox, verdict; then, in this order, notifications are marked read,
//! `activated` is reported, and the item is completed.
//!
//! Whatever fails on the way has a reason code, and only what the guest itself did counts against the agent (I8). How
//! claims end in the store is in `finish`, what a verdict means in `judge`.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use self::left::{LEAVE_TO_OTHERS, LeftToOthers};
use self::{judge::judge, told::Told};
use super::{
    budget::Budget,
    claims::{HeldClaim, Holding},
    dispatch::{RunItem, Slot},
    guest_host::{ActivationHost, GuestServices},
    plugins::{InUse, Plugins},
};
use crate::{
    domain::{
        agent::AgentDefinition,
        ending::{Ending, Reason},
        ids::{AgentId, AgentName},
        limits::Limits,
        work_item::WorkItem,
    },
    ports::{
        definitions::Definitions,
        hub::Hub,
        sandbox::{Activation, Usage},
        telemetry::Telemetry,
        work_queue::{Claimed, GiveBack, WorkQueue},
    },
};

mod finish;
mod judge;
mod left;
mod told;

pub struct Runner {
    pub queue: Arc<dyn WorkQueue>,
    pub hub: Arc<dyn Hub>,
    pub definitions: Arc<dyn Definitions>,
    pub plugins: Arc<Plugins>,
    pub budget: Budget,
    pub guest_services: GuestServices,
    pub telemetry: Arc<dyn Telemetry>,
    pub default_limits: Limits,
    pub max_limits: Limits,
    /// Rung at every end, for the poller.
    pub ended: Arc<Notify>,
    pub left: LeftToOthers,
    /// The longest that one call to the store may take.
    pub store_timeout: Duration,
}

/// What this host needs to run an agent's item.
struct Setup {
    definition: Arc<AgentDefinition>,
    plugin: InUse,
    limits: Limits,
}

/// How far an activation came.
enum Run {
    /// To its end, whatever that was.
    Ended(Ending, Usage),
    /// The claim was lost: the item is somebody else's.
    Lost,
    /// The host stops: the item goes back.
    Stopped,
}

impl Run {
    fn reason(&self) -> Reason {
        match self {
            Run::Ended(ending, _) => ending.reason,
            Run::Lost => Reason::LeaseLost,
            Run::Stopped => Reason::Cancelled,
        }
    }
}

impl RunItem for Runner {
    fn run(
        self: Arc<Self>,
        claimed: Claimed,
        holding: Holding,
        slot: Slot,
        stop: CancellationToken,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { self.run_item(&claimed, &holding.claim, slot, &stop).await })
    }

    fn avoid(&self) -> Vec<AgentId> {
        self.left.avoided()
    }

    fn regained(&self) -> &Notify {
        &self.left.regained
    }
}

impl Runner {
    async fn run_item(&self, claimed: &Claimed, claim: &Arc<HeldClaim>, slot: Slot, stop: &CancellationToken) {
        let item = &claimed.item;
        let told = Told::begin(&*self.telemetry, item, claimed.waited);
        let seen = *self.plugins.reloads.changes().borrow();
        match self.set_up(&item.agent_name) {
            Err(why) => {
                told.ended(Reason::PluginUnavailable, Usage::default());
                self.leave_to_others(item, claim, &why).await;
                if *self.plugins.reloads.changes().borrow() != seen {
                    // What was missing may have come before the item was back.
                    self.plugins.reloads.changed();
                }
            }
            Ok(setup) => {
                let generation = setup.plugin.generation.to_string();
                info!(agent = %item.agent_name, item = %item.id, task_type = %item.task_type, attempt = item.attempt,
                      plugin = generation, waited = ?claimed.waited, "activating");
                claim.stamp(generation);
                let run = self.activate(item, claim, &setup, stop).await;
                // Whoever is next need not wait until the store knows of this end.
                drop(slot);
                setup.plugin.ended(run.reason());
                match run {
                    Run::Ended(ending, usage) => {
                        let took = told.ended(ending.reason, usage);
                        self.complete(item, claim, ending, took, stop).await;
                    }
                    Run::Lost => {
                        told.ended(Reason::LeaseLost, Usage::default());
                        warn!(agent = %item.agent_name, item = %item.id, "the claim was lost; the activation was cut");
                    }
                    Run::Stopped => {
                        told.ended(Reason::Cancelled, Usage::default());
                        self.give_back(item, claim, GiveBack::Shutdown).await;
                    }
                }
            }
        }
        self.ended.notify_one();
    }

    fn set_up(&self, agent: &AgentName) -> Result<Setup, String> {
        let definition = self.definitions.agent(agent).map_err(|error| error.to_string())?;
        let plugin = self.plugins.for_agent(&definition)?.in_use();
        let limits = self
            .default_limits
            .with(&plugin.generation.manifest.limits, &self.max_limits)
            .and_then(|limits| limits.with(&definition.limits, &self.max_limits))
            .map_err(|error| format!("agent {}: {error}", definition.name))?;
        Ok(Setup {
            definition,
            plugin,
            limits,
        })
    }

    async fn leave_to_others(&self, item: &WorkItem, claim: &HeldClaim, why: &str) {
        warn!(agent = %item.agent_name, item = %item.id, why, reason = %Reason::PluginUnavailable, "can't run this agent here");
        self.left.avoid(item, None);
        self.give_back(
            item,
            claim,
            GiveBack::PluginUnavailable {
                retry_after: LEAVE_TO_OTHERS,
            },
        )
        .await;
        self.left.avoid(item, Some(item.id));
    }

    async fn activate(&self, item: &WorkItem, claim: &Arc<HeldClaim>, setup: &Setup, stop: &CancellationToken) -> Run {
        if claim.check().is_err() {
            return Run::Lost;
        }
        if stop.is_cancelled() {
            return Run::Stopped;
        }
        let cut = tokio::select! {
            // What has ended has ended, even if the host stops at the same moment.
            biased;
            ended = self.run_guest(item, claim, setup) => Ok(ended),
            () = claim.lost() => Err(Run::Lost),
            () = stop.cancelled() => Err(Run::Stopped),
        };
        claim.close();
        let (ending, usage, handled) = match cut {
            Ok(ended) => ended,
            Err(cut) => return cut,
        };
        if claim.check().is_err() || ending.reason == Reason::LeaseLost {
            return Run::Lost;
        }
        let Some(handled) = handled else {
            return Run::Ended(ending, usage);
        };
        let ending = tokio::select! {
            biased;
            ending = self.mark_read(ending, &handled, item) => ending,
            () = claim.lost() => return Run::Lost,
            // Some may be marked by now: who runs the item again is handed what is left, and repeats no effect.
            () = stop.cancelled() => return Run::Stopped,
        };
        tokio::select! {
            biased;
            () = self.report_activated(item, claim) => {}
            () = claim.lost() => {}
            () = stop.cancelled() => {}
        }
        Run::Ended(ending, usage)
    }

    /// Budget and guest; with the notifications that are to be marked read, unless the guest was not even started.
    async fn run_guest(
        &self,
        item: &WorkItem,
        claim: &Arc<HeldClaim>,
        setup: &Setup,
    ) -> (Ending, Usage, Option<Vec<String>>) {
        if !self.budget.allows(&item.agent_id).await {
            let detail = "the Hub says that this agent's budget is used up";
            return (Ending::new(Reason::DeniedByBudget, detail), Usage::default(), None);
        }
        let host = Arc::new(ActivationHost::new(
            self.guest_services.clone(),
            Arc::clone(claim),
            item.agent_id.clone(),
            Arc::clone(&setup.definition),
            setup.limits.clone(),
        ));
        setup.plugin.activated();
        let activated = setup
            .plugin
            .prepared
            .activate(Activation {
                item: item.clone(),
                capabilities: setup.plugin.capabilities(&setup.definition),
                limits: setup.limits.clone(),
                wipe_workspace: setup.definition.wipe_workspace,
                config: Arc::clone(&setup.definition.config),
                host: Arc::clone(&host) as Arc<_>,
            })
            .await;
        let (ending, handled) = judge(activated.verdict, activated.upstream_seen, &host.observed(), item);
        (ending, activated.usage, Some(handled))
    }
}
