//! What the leader counts, and how much of the store it reads for it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use tokio::time;
use warren::{
    domain::{
        breaker::Transition,
        ids::{AgentId, AgentName},
        work_item::TaskType,
    },
    ports::{
        agent_records::{AgentRecord, AgentRecords, BreakerCommand, BreakerRecord},
        store::StoreError,
    },
    services::census::Census,
};

use super::rig::{Rig, eventually, item, seconds};

/// Counts how often agents in backoff are read.
struct Counted {
    agents: Arc<dyn AgentRecords>,
    reads: AtomicUsize,
}

#[async_trait]
impl AgentRecords for Counted {
    async fn agent(&self, id_or_name: &str) -> Result<Option<AgentRecord>, StoreError> {
        self.agents.agent(id_or_name).await
    }

    async fn agents(&self, after: Option<&AgentId>, limit: u32) -> Result<Vec<AgentRecord>, StoreError> {
        self.agents.agents(after, limit).await
    }

    async fn set_paused(&self, agent: &AgentId, paused: bool) -> Result<bool, StoreError> {
        self.agents.set_paused(agent, paused).await
    }

    async fn set_paused_ahead(&self, agent: &AgentName, paused: bool) -> Result<bool, StoreError> {
        self.agents.set_paused_ahead(agent, paused).await
    }

    async fn paused_ahead(&self, agent: &AgentName) -> Result<bool, StoreError> {
        self.agents.paused_ahead(agent).await
    }

    async fn command_breaker(
        &self,
        agent: &AgentId,
        command: BreakerCommand,
    ) -> Result<Option<Transition>, StoreError> {
        self.agents.command_breaker(agent, command).await
    }

    async fn in_backoff(&self, limit: u32) -> Result<Vec<BreakerRecord>, StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.agents.in_backoff(limit).await
    }
}

#[tokio::test(start_paused = true)]
async fn agents_in_backoff_are_read_again_once_something_has_changed() {
    let rig = Rig::start().await;
    let counted = Arc::new(Counted {
        agents: rig.store.agents.clone(),
        reads: AtomicUsize::new(0),
    });
    let reads = || counted.reads.load(Ordering::SeqCst);
    for name in ["a", "b"] {
        rig.submit(&item(name, TaskType::Direct)).await;
    }
    let command = async |name: &str, command| {
        let agent = rig.store.agents.agent(name).await.unwrap().unwrap();
        rig.store.agents.command_breaker(&agent.id, command).await.unwrap();
    };
    command("a", BreakerCommand::ForceOpen).await;
    let census = Census {
        queue: rig.faulty.clone(),
        agents: counted.clone(),
        events: rig.faulty.clone(),
        hosts: rig.faulty.clone(),
        telemetry: rig.seen.clone(),
        every: seconds(1),
    };
    let _election = rig.lead(vec![Arc::new(census)]);
    eventually("they are read", || reads() == 1).await;
    time::sleep(seconds(20)).await;
    assert_eq!(reads(), 1, "nothing has changed");
    // As many as before, but others: what is in between may be seen as well.
    command("b", BreakerCommand::ForceOpen).await;
    command("a", BreakerCommand::Reset).await;
    eventually("they are read again", || reads() > 1).await;
    time::sleep(seconds(5)).await;
    let settled = reads();
    time::sleep(seconds(20)).await;
    assert_eq!(reads(), settled);
    // What nothing tells is seen as well, if later.
    time::sleep(seconds(20)).await;
    assert_eq!(reads(), settled + 1);
}
