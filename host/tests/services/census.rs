//! What the leader counts, and how much of the store it reads for it.

use std::sync::Arc;

use tokio::time;
use warren::{domain::work_item::TaskType, ports::agent_records::BreakerCommand, services::census::Census};

use super::rig::{Rig, eventually, item, seconds};

#[tokio::test(start_paused = true)]
async fn agents_in_backoff_are_read_again_once_something_has_changed() {
    let rig = Rig::start().await;
    let reads = || rig.faulty.calls("in_backoff");
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
        agents: rig.faulty.clone(),
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
