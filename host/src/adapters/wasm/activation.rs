//! One activation, from the fresh store to the verdict.

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use jiff::Timestamp;
use tokio::{runtime::Handle, sync::OwnedSemaphorePermit, time::Instant};
use wasmtime::{Result, Store};

use super::{
    bindings::{
        AgentPre,
        warren::agent::types::{self, Failure, Outcome},
    },
    guest::{self, Account, Files, Guest},
    meter::Cut,
    stop,
    workspace::Workspaces,
};
use crate::{
    domain::{
        ending::Reason,
        work_item::{TaskType, WorkItem},
    },
    ports::sandbox::{Activated, Activation, FailureKind, Usage, Verdict},
};

/// Run an activation whose limits are within the pool's. Its place in the pool is given back after everything else that
/// it took, also when the future is dropped.
pub async fn run(
    agent: AgentPre<Guest>,
    activation: Activation,
    workspaces: Option<Arc<Workspaces>>,
    io: Handle,
    place: OwnedSemaphorePermit,
) -> Activated {
    let _place = place;
    let began = Instant::now();
    let Activation {
        item,
        capabilities,
        limits,
        wipe_workspace,
        config,
        host,
    } = activation;
    let account = Arc::new(Account::new(Arc::clone(&host), &limits));
    let deadline = limits.deadline;
    let files = Files::granted(workspaces, &item.agent_id, &capabilities, &limits, wipe_workspace);
    let guest = Guest::new(Arc::clone(&account), host, capabilities, config, limits, files, io);
    // A guest that was cut is gone at the end of the block, and its workspace being left.
    let verdict = {
        let work = pin!(async {
            match call(&agent, guest, item).await {
                Ok(Ok(outcome)) => Verdict::Outcome {
                    summary: outcome.summary,
                    handled: outcome.handled,
                },
                Ok(Err(failure)) => failed(failure),
                Err(error) => stop::verdict(&error),
            }
        });
        match account.meter.measure(began + deadline, work).await {
            Ok(verdict) => verdict,
            Err(Cut { upstream }) => cut(upstream, deadline),
        }
    };
    account.workspace_left().await;
    Activated {
        verdict,
        usage: Usage {
            cpu: account.meter.cpu(),
            wall: began.elapsed(),
            memory: account.memory.load(Relaxed),
            log_lines_dropped: account.log.dropped(),
        },
        upstream_seen: account.meter.upstream_failed(),
    }
}

async fn call(agent: &AgentPre<Guest>, guest: Guest, item: WorkItem) -> Result<Result<Outcome, Failure>> {
    let mut store = Store::new(agent.engine(), guest);
    guest::limit(&mut store);
    let instance = agent.instantiate_async(&mut store).await?;
    instance.call_activate(&mut store, &item.into()).await
}

fn failed(failure: Failure) -> Verdict {
    let (kind, message) = match failure {
        Failure::Transient(message) => (FailureKind::Transient, message),
        Failure::Permanent(message) => (FailureKind::Permanent, message),
        Failure::Upstream(message) => (FailureKind::Upstream, message),
    };
    Verdict::Failure { kind, message }
}

fn cut(upstream: bool, deadline: std::time::Duration) -> Verdict {
    let (reason, detail) = if upstream {
        (
            Reason::Upstream,
            format!("the limit `deadline` of {deadline:?} passed while it waited for the Hub or the store"),
        )
    } else {
        (
            Reason::Deadline,
            format!("it ran longer than the limit `deadline` of {deadline:?}"),
        )
    };
    Verdict::Stopped { reason, detail }
}

impl From<WorkItem> for types::WorkItem {
    fn from(item: WorkItem) -> types::WorkItem {
        types::WorkItem {
            id: item.id.to_string(),
            agent_id: item.agent_id.to_string(),
            agent_name: item.agent_name.to_string(),
            task_type: match item.task_type {
                TaskType::Inbox => types::TaskType::Inbox,
                TaskType::Discovery => types::TaskType::Discovery,
                TaskType::Direct => types::TaskType::Direct,
            },
            attempt: item.attempt,
            inbox_count: item.inbox_count,
            created_at: Timestamp::from_millisecond(item.created_at.0)
                .unwrap_or(Timestamp::UNIX_EPOCH)
                .to_string(),
            payload: item.payload,
        }
    }
}
