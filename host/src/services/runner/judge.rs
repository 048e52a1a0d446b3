//! What a guest's verdict means for its item and its agent. What the guest says of itself is believed as far as the host
//! has seen it.

use tracing::warn;

use crate::{
    domain::{
        ending::{Ending, Reason},
        work_item::{TaskType, WorkItem},
    },
    ports::sandbox::{FailureKind, Verdict},
    services::guest_host::Observed,
};

/// How the activation ended, and which notifications it has dealt with.
pub fn judge(verdict: Verdict, upstream_seen: bool, observed: &Observed, item: &WorkItem) -> (Ending, Vec<String>) {
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
    use std::time::Duration;

    use super::*;
    use crate::domain::{
        ids::{AgentId, AgentName, ItemId},
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
