//! Runs one claimed item: definition, plugin, budget, sandbox, verdict; then, in this order, notifications are marked read,
//! `activated` is reported, and the item is completed.
//!
//! Whatever fails on the way has a reason code, and only what the guest itself did counts against the agent (I8).

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    budget::Budget,
    claims::{HeldClaim, Holding},
    dispatch::RunItem,
    guest_host::{ActivationHost, GuestServices, Observed},
    plugins::{LoadedPlugin, Plugins},
};
use crate::{
    domain::{
        agent::AgentDefinition,
        ending::{Ending, Reason},
        ids::AgentId,
        limits::Limits,
        work_item::{TaskType, WorkItem},
    },
    ports::{
        definitions::Definitions,
        hub::Hub,
        sandbox::{Activated, Activation, FailureKind, Usage, Verdict},
        store::StoreError,
        telemetry::{EndedActivation, Telemetry},
        work_queue::{Claimed, Completed, Completion, GiveBack, WorkQueue},
    },
};

/// How long this host leaves the items of an agent that it can't run to others.
pub const LEAVE_TO_OTHERS: Duration = Duration::from_secs(30);

/// Between two tries to tell the store how an activation ended.
const COMPLETE_AGAIN: Duration = Duration::from_millis(200);

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
    pub avoiding: Mutex<HashMap<AgentId, Instant>>,
}

/// What this host needs to run an agent's item.
struct Setup {
    definition: Arc<AgentDefinition>,
    plugin: Arc<LoadedPlugin>,
    limits: Limits,
}

/// How an activation's guest part left off.
enum Run {
    Ended(Ending, Usage),
    /// The claim was lost: the item is somebody else's.
    Lost,
    /// The host stops: the item goes back.
    Stopped,
}

impl RunItem for Runner {
    fn run(
        self: Arc<Self>,
        claimed: Claimed,
        holding: Holding,
        stop: CancellationToken,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { self.run_item(&claimed, &holding.claim, &stop).await })
    }

    fn avoid(&self) -> Vec<AgentId> {
        let mut avoiding = self.avoiding.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        avoiding.retain(|_, until| *until > now);
        avoiding.keys().cloned().collect()
    }
}

impl Runner {
    async fn run_item(&self, claimed: &Claimed, claim: &Arc<HeldClaim>, stop: &CancellationToken) {
        let item = &claimed.item;
        let setup = match self.set_up(item) {
            Ok(setup) => setup,
            Err(why) => return self.leave_to_others(item, claim, &why).await,
        };
        claim.stamp(setup.plugin.generation.to_string());
        info!(agent = %item.agent_name, item = %item.id, task_type = %item.task_type, attempt = item.attempt,
              plugin = %setup.plugin.generation, waited = ?claimed.waited, "activating");
        self.telemetry.activation_started(claimed.waited);
        let started = Instant::now();
        let (reason, usage) = match self.activate(item, claim, &setup, stop).await {
            Run::Ended(ending, usage) => {
                let reason = ending.reason;
                self.complete(item, claim, ending, started.elapsed()).await;
                (reason, usage)
            }
            Run::Lost => {
                warn!(agent = %item.agent_name, item = %item.id, "the claim was lost; the activation was cut");
                (Reason::LeaseLost, Usage::default())
            }
            Run::Stopped => {
                self.give_back(item, claim, GiveBack::Shutdown).await;
                (Reason::Cancelled, Usage::default())
            }
        };
        self.telemetry.activation_ended(&EndedActivation {
            agent: &item.agent_id,
            task_type: item.task_type,
            reason,
            took: started.elapsed(),
            cpu: usage.cpu,
        });
        self.ended.notify_one();
    }

    fn set_up(&self, item: &WorkItem) -> Result<Setup, String> {
        let definition = self
            .definitions
            .agent(&item.agent_name)
            .map_err(|error| error.to_string())?;
        let plugin = self.plugins.for_agent(&definition)?;
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
        self.avoiding
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(item.agent_id.clone(), Instant::now() + LEAVE_TO_OTHERS);
        self.give_back(
            item,
            claim,
            GiveBack::PluginUnavailable {
                retry_after: LEAVE_TO_OTHERS,
            },
        )
        .await;
    }

    async fn activate(&self, item: &WorkItem, claim: &Arc<HeldClaim>, setup: &Setup, stop: &CancellationToken) -> Run {
        let guarded = async {
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
                    config: Arc::clone(&setup.definition.config),
                    host: Arc::clone(&host) as Arc<_>,
                })
                .await;
            let Activated {
                verdict,
                usage,
                upstream_seen,
            } = activated;
            let observed = host.observed();
            let (ending, handled) = judge(verdict, upstream_seen, &observed, item);
            (ending, usage, Some(handled))
        };
        let (ending, usage, handled) = tokio::select! {
            ended = guarded => ended,
            () = claim.lost() => return Run::Lost,
            () = stop.cancelled() => return Run::Stopped,
        };
        if claim.check().is_err() || ending.reason == Reason::LeaseLost {
            return Run::Lost;
        }
        let Some(handled) = handled else {
            return Run::Ended(ending, usage);
        };
        let ending = self.mark_read(ending, &handled, item).await;
        self.report_activated(item, claim).await;
        Run::Ended(ending, usage)
    }

    /// After success only: the notifications that were handled. If the Hub does not take it, they come back, so the
    /// activation has not succeeded; its effects won't be doubled.
    async fn mark_read(&self, ending: Ending, handled: &[String], item: &WorkItem) -> Ending {
        if ending.reason != Reason::Ok || handled.is_empty() {
            return ending;
        }
        match self.hub.mark_read(handled).await {
            Ok(()) => ending,
            Err(error) => {
                warn!(agent = %item.agent_name, item = %item.id, %error, "could not mark notifications read");
                Ending::new(Reason::Upstream, format!("could not mark notifications read: {error}"))
            }
        }
    }

    async fn report_activated(&self, item: &WorkItem, claim: &HeldClaim) {
        if claim.check().is_err() {
            return;
        }
        if let Err(error) = self.hub.activated(&item.agent_id).await {
            warn!(agent = %item.agent_name, item = %item.id, %error, "could not report the activation to the Hub");
        }
    }

    /// Tell the store how it ended, again and again while the claim holds: an end that is not told costs another run.
    async fn complete(&self, item: &WorkItem, claim: &HeldClaim, ending: Ending, took: Duration) {
        let completion = Completion {
            item: item.id,
            token: claim.token,
            ending,
            generation: claim.generation(),
        };
        let ending = &completion.ending;
        loop {
            match self.queue.complete(&completion).await {
                Ok(completed) => {
                    let next = match completed {
                        Completed::Done => "done".to_owned(),
                        Completed::Retry { attempt, .. } => format!("retried as attempt {attempt}"),
                        Completed::Dead => "dead letter".to_owned(),
                    };
                    info!(agent = %item.agent_name, item = %item.id, reason = %ending.reason, detail = ending.detail, ?took,
                          next, "activation ended");
                    return;
                }
                Err(error @ StoreError::Unavailable(_)) => {
                    if claim.check().is_err() {
                        warn!(agent = %item.agent_name, item = %item.id, %error, reason = %ending.reason,
                              "the claim ran out before the end could be recorded; the item will run again");
                        return;
                    }
                    debug!(item = %item.id, %error, "could not record the end yet");
                    time::sleep(COMPLETE_AGAIN).await;
                }
                Err(error) => {
                    warn!(agent = %item.agent_name, item = %item.id, %error, reason = %ending.reason,
                          "the end was refused; somebody else has the item");
                    return;
                }
            }
        }
    }

    async fn give_back(&self, item: &WorkItem, claim: &HeldClaim, why: GiveBack) {
        match self.queue.give_back(item.id, claim.token, why).await {
            Ok(()) => info!(agent = %item.agent_name, item = %item.id, ?why, "handed back"),
            // The lease does it.
            Err(error) => warn!(agent = %item.agent_name, item = %item.id, %error, "could not hand the item back"),
        }
    }
}

/// What a guest's verdict means, and which notifications it has dealt with.
fn judge(verdict: Verdict, upstream_seen: bool, observed: &Observed, item: &WorkItem) -> (Ending, Vec<String>) {
    match verdict {
        Verdict::Outcome { summary, handled } => {
            let (handled, unknown): (Vec<_>, Vec<_>) = handled.into_iter().partition(|id| observed.handed.contains(id));
            if !unknown.is_empty() {
                let shown: Vec<_> = unknown.iter().take(5).collect();
                warn!(agent = %item.agent_name, item = %item.id, count = unknown.len(), ids = ?shown,
                      "the guest says it handled notifications that it was not handed; ignored");
            }
            let mut ending = Ending::new(Reason::Ok, summary);
            let inbox_was_empty = observed.read_inbox && observed.handed.is_empty();
            ending.handled_nothing = item.task_type == TaskType::Inbox && handled.is_empty() && !inbox_was_empty;
            (ending, handled)
        }
        Verdict::Failure {
            kind: FailureKind::Upstream,
            message,
        } if upstream_seen => (Ending::new(Reason::Upstream, message), Vec::new()),
        Verdict::Failure { kind, message } => {
            let mut ending = Ending::new(Reason::GuestError, message);
            ending.permanent = kind == FailureKind::Permanent;
            (ending, Vec::new())
        }
        Verdict::Stopped { reason, detail } => (Ending::new(reason, detail), Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        ids::{AgentName, ItemId},
        work_item::Priority,
    };

    fn item(task_type: TaskType) -> WorkItem {
        let id = ItemId::fresh();
        WorkItem {
            id,
            agent_id: AgentId::new("a").unwrap(),
            agent_name: AgentName::new("a").unwrap(),
            task_type,
            priority: Priority::High,
            inbox_count: 1,
            created_at: crate::services::intake::made_at(id),
            attempt: 1,
            payload: None,
            min_interval: Duration::ZERO,
            trace_context: None,
        }
    }

    fn outcome(handled: &[&str]) -> Verdict {
        Verdict::Outcome {
            summary: "s".into(),
            handled: handled.iter().map(ToString::to_string).collect(),
        }
    }

    fn observed(handed: &[&str]) -> Observed {
        Observed {
            handed: handed.iter().map(ToString::to_string).collect(),
            read_inbox: true,
        }
    }

    #[test]
    fn only_notifications_that_were_handed_over_are_marked_read() {
        let (ending, handled) = judge(
            outcome(&["n1", "forged"]),
            false,
            &observed(&["n1", "n2"]),
            &item(TaskType::Inbox),
        );
        assert_eq!((ending.reason, handled), (Reason::Ok, vec!["n1".to_owned()]));
    }

    #[test]
    fn an_agent_that_leaves_its_inbox_alone_cools_down_and_one_with_an_empty_inbox_does_not() {
        let cools = |observed: &Observed, task| judge(outcome(&[]), false, observed, &item(task)).0.cools_down();
        assert!(cools(&observed(&["n1"]), TaskType::Inbox));
        assert!(cools(&Observed::default(), TaskType::Inbox));
        assert!(!cools(&observed(&[]), TaskType::Inbox));
        assert!(!cools(&Observed::default(), TaskType::Direct));
    }

    #[test]
    fn a_claim_of_upstream_is_believed_only_if_the_host_saw_it() {
        let reason = |seen| {
            let failure = Verdict::Failure {
                kind: FailureKind::Upstream,
                message: "not me".into(),
            };
            judge(failure, seen, &Observed::default(), &item(TaskType::Inbox))
                .0
                .reason
        };
        assert_eq!(reason(true), Reason::Upstream);
        assert_eq!(reason(false), Reason::GuestError);
    }

    #[test]
    fn a_permanent_failure_is_final_and_a_transient_one_is_not() {
        let permanent = |kind| {
            let failure = Verdict::Failure {
                kind,
                message: "m".into(),
            };
            judge(failure, false, &Observed::default(), &item(TaskType::Direct))
                .0
                .permanent
        };
        assert!(permanent(FailureKind::Permanent));
        assert!(!permanent(FailureKind::Transient));
    }
}
