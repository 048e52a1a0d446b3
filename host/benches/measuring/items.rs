//! Items to be run.

use std::time::Duration;

use warren::{
    domain::{
        ids::{AgentId, AgentName, ItemId},
        work_item::{TaskType, WorkItem},
    },
    services::intake::made_at,
};

/// The name and id of an agent.
pub fn agent(number: usize) -> String {
    format!("agent-{number}")
}

/// A new item for an agent.
pub fn item(number: usize, task_type: TaskType) -> WorkItem {
    let id = ItemId::fresh();
    WorkItem {
        id,
        agent_id: AgentId::new(agent(number)).unwrap(),
        agent_name: AgentName::new(agent(number)).unwrap(),
        task_type,
        priority: task_type.default_priority(),
        inbox_count: 1,
        created_at: made_at(id),
        attempt: 1,
        payload: None,
        min_interval: Duration::ZERO,
        trace_context: None,
    }
}
