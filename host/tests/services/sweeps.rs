//! Recovery and counting: the loops that every host, or the leader, keeps going.

use std::{sync::Arc, time::Duration};

use tokio::time::{self, Instant};
use warren::{
    domain::{
        event::NewEvent,
        ids::ClaimToken,
        work_item::{ItemState, TaskType},
    },
    ports::work_queue::ClaimRequest,
    services::{census::Census, reclaim::Reclaim},
};

use super::{
    faults::{Fault, away},
    rig::{ITEM, Rig, STORE_TIMEOUT, eventually, host, item, seconds},
};

fn reclaim(rig: &Rig) -> Reclaim {
    Reclaim {
        queue: rig.faulty.clone(),
        telemetry: rig.seen.clone(),
        every: seconds(1),
        call_timeout: STORE_TIMEOUT,
    }
}

/// Defect 12 and I6: the item of a host that died is ready again within its lease and one sweep.
#[tokio::test(start_paused = true)]
async fn the_item_of_a_dead_host_is_recovered() {
    let rig = Rig::start().await;
    let item = item("a", TaskType::Direct);
    rig.submit(&item).await;
    let request = ClaimRequest {
        host: host("dead"),
        tokens: vec![ClaimToken::fresh()],
        lease: ITEM.length,
        avoid: Vec::new(),
    };
    rig.store.queue.claim(&request).await.unwrap();
    let since = Instant::now();
    tokio::spawn(reclaim(&rig).run(rig.shutdown.clone()));
    rig.reaches(&item, ItemState::Queued).await;
    assert!(since.elapsed() <= ITEM.length + seconds(2), "{:?}", since.elapsed());
    eventually("it is counted", || *rig.seen.recovered.lock().unwrap() == 1).await;
}

/// Defect 4 for sweeps: one that hangs is not the last, and does not hold up a shutdown.
#[tokio::test(start_paused = true)]
async fn a_sweep_that_hangs_is_given_up() {
    let rig = Rig::start().await;
    rig.faulty.set("sweep", Fault::Hang);
    let sweeping = tokio::spawn(reclaim(&rig).run(rig.shutdown.clone()));
    time::sleep(seconds(31)).await;
    assert!(rig.faulty.calls("sweep") >= 10);
    rig.shutdown.cancel();
    let since = Instant::now();
    sweeping.await.unwrap().unwrap();
    assert!(since.elapsed() < Duration::from_millis(10));
}

/// Defect 26: a transition is counted once, also if the count is interrupted by a store that goes away.
#[tokio::test(start_paused = true)]
async fn transitions_are_counted_once() {
    let rig = Rig::start().await;
    let census = Census {
        queue: rig.faulty.clone(),
        agents: rig.store.agents.clone(),
        events: rig.faulty.clone(),
        hosts: rig.faulty.clone(),
        telemetry: rig.seen.clone(),
        every: seconds(5),
    };
    let _election = rig.lead(vec![Arc::new(census)]);
    eventually("it has begun to count", || rig.faulty.calls("latest") == 1).await;
    let opened = || NewEvent {
        kind: "breaker_opened",
        host: None,
        agent: None,
        item: None,
        detail: String::new(),
    };
    rig.store.events.append(opened()).await.unwrap();
    // The answer to the first call comes late, so that the second can be made to fail.
    rig.faulty.set("after", Fault::Slow(seconds(1)));
    eventually("it asks", || rig.faulty.calls("after") == 1).await;
    rig.faulty.set("after", away());
    time::sleep(seconds(4)).await;
    rig.faulty.heal();
    time::sleep(seconds(20)).await;
    assert_eq!(*rig.seen.breakers.lock().unwrap(), ["breaker_opened"]);
}
