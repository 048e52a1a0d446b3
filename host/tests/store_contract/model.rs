//! Random interleavings of every call, with the promises checked after each step.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proptest::{
    prelude::{Just, Strategy, prop_oneof},
    test_runner::{Config, TestRunner},
};
use tokio::runtime::Handle;
use warren::{
    domain::{
        breaker::BreakerState,
        ending::Reason,
        ids::{AgentId, ItemId},
        work_item::{ItemRecord, ItemState, Priority, WorkItem},
    },
    ports::{
        agent_records::BreakerCommand,
        store::{Store, StoreError},
        work_queue::{Claimed, Enqueued, GiveBack, ItemFilter},
    },
};

use super::{harness::Harness, support::*};

const AGENTS: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Clone, Debug)]
enum Step {
    Inbox { agent: usize, count: u32 },
    Discovery { agent: usize },
    Direct { agent: usize, priority: Priority },
    Claim { most: usize },
    End { claim: usize, reason: Reason },
    GiveBack { claim: usize },
    Renew { claim: usize },
    EndStale { claim: usize },
    Advance { seconds: u64 },
    Sweep,
    Pause { agent: usize, paused: bool },
    Command { agent: usize, command: BreakerCommand },
}

fn step() -> impl Strategy<Value = Step> {
    let agent = 0..AGENTS.len();
    let priority = prop_oneof![Just(Priority::High), Just(Priority::Normal), Just(Priority::Low)];
    let reason = prop_oneof![
        3 => Just(Reason::Ok), 3 => Just(Reason::Trap), 1 => Just(Reason::Cancelled), 1 => Just(Reason::Upstream)
    ];
    let command = prop_oneof![
        2 => Just(BreakerCommand::Reset), 1 => Just(BreakerCommand::ForceOpen), 1 => Just(BreakerCommand::Disable)
    ];
    prop_oneof![
        3 => (agent.clone(), 0..5u32).prop_map(|(agent, count)| Step::Inbox { agent, count }),
        2 => agent.clone().prop_map(|agent| Step::Discovery { agent }),
        4 => (agent.clone(), priority).prop_map(|(agent, priority)| Step::Direct { agent, priority }),
        6 => (1..4usize).prop_map(|most| Step::Claim { most }),
        5 => (0..8usize, reason).prop_map(|(claim, reason)| Step::End { claim, reason }),
        1 => (0..8usize).prop_map(|claim| Step::GiveBack { claim }),
        1 => (0..8usize).prop_map(|claim| Step::Renew { claim }),
        1 => (0..8usize).prop_map(|claim| Step::EndStale { claim }),
        2 => prop_oneof![Just(1), Just(6), Just(40), Just(70)].prop_map(|seconds| Step::Advance { seconds }),
        2 => Just(Step::Sweep),
        1 => (agent.clone(), 0..2u8).prop_map(|(agent, paused)| Step::Pause { agent, paused: paused == 1 }),
        1 => (agent, command).prop_map(|(agent, command)| Step::Command { agent, command }),
    ]
}

pub async fn random_interleavings_keep_the_promises<H: Harness>() {
    let handle = Handle::current();
    let checking = tokio::task::spawn_blocking(move || {
        let config = Config {
            cases: 10,
            failure_persistence: None,
            ..Config::default()
        };
        let steps = proptest::collection::vec(step(), 1..80);
        TestRunner::new(config).run(&steps, |steps| {
            handle.block_on(run::<H>(steps));
            Ok(())
        })
    });
    if let Err(failure) = checking.await.unwrap() {
        panic!("{failure}");
    }
}

/// What must be true, as far as a simple model knows.
#[derive(Default)]
struct Model {
    /// What was added, in the order in which it was: its place in the queue.
    added: Vec<ItemId>,
    claims: Vec<Claimed>,
    ended: Vec<Claimed>,
}

async fn run<H: Harness>(steps: Vec<Step>) {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let mut model = Model::default();
    for step in steps {
        apply(&harness, &store, &mut model, &step).await;
        check(&store, &model).await;
    }
    drain(&harness, &store, &mut model).await;
}

async fn apply<H: Harness>(harness: &H, store: &Store, model: &mut Model, step: &Step) {
    let pick = |claims: &[Claimed], n: usize| (!claims.is_empty()).then(|| n % claims.len().max(1));
    match *step {
        Step::Inbox { agent, count } => enqueue(store, model, inbox(AGENTS[agent], count)).await,
        Step::Discovery { agent } => enqueue(store, model, discovery(AGENTS[agent])).await,
        Step::Direct { agent, priority } => {
            let item = WorkItem {
                priority,
                ..direct(AGENTS[agent])
            };
            enqueue(store, model, item).await;
        }
        Step::Claim { most } => claim_in_order(store, model, most).await,
        Step::End { claim, reason } => {
            let Some(n) = pick(&model.claims, claim) else { return };
            let claimed = model.claims.swap_remove(n);
            end(store, &claimed, reason).await;
            model.ended.push(claimed);
        }
        Step::GiveBack { claim } => {
            let Some(n) = pick(&model.claims, claim) else { return };
            let claimed = model.claims.swap_remove(n);
            store
                .queue
                .give_back(claimed.item.id, claimed.token, GiveBack::Shutdown)
                .await
                .unwrap();
        }
        Step::Renew { claim } => {
            let Some(n) = pick(&model.claims, claim) else { return };
            assert!(renew(store, &model.claims[n]).await);
        }
        Step::EndStale { claim } => {
            let Some(n) = pick(&model.ended, claim) else { return };
            let mut stale = model.ended[n].clone();
            stale.token = warren::domain::ids::ClaimToken::fresh();
            assert_eq!(try_end(store, &stale, Reason::Ok).await, Err(StoreError::StaleClaim));
            assert!(!renew(store, &model.ended[n]).await);
        }
        Step::Advance { seconds } => harness.advance(Duration::from_secs(seconds)),
        Step::Sweep => {
            for (item, ..) in sweep(store).await.recovered {
                let n = model
                    .claims
                    .iter()
                    .position(|c| c.item.id == item)
                    .expect("only claims are recovered");
                let lost = model.claims.swap_remove(n);
                assert!(!renew(store, &lost).await);
            }
        }
        Step::Pause { agent: n, paused } => {
            store.agents.set_paused(&agent(AGENTS[n]), paused).await.unwrap();
        }
        Step::Command { agent: n, command } => {
            store.agents.command_breaker(&agent(AGENTS[n]), command).await.unwrap();
        }
    }
}

async fn enqueue(store: &Store, model: &mut Model, item: WorkItem) {
    match add(store, &item).await {
        Enqueued::Added(_) => model.added.push(item.id),
        Enqueued::Merged { into, .. } => assert!(model.added.contains(&into)),
        Enqueued::Skipped { .. } | Enqueued::Full { .. } => {
            assert_eq!(store.queue.item(item.id).await.unwrap(), None);
        }
    }
}

async fn all(store: &Store) -> Vec<ItemRecord> {
    let filter = ItemFilter {
        limit: 10_000,
        ..ItemFilter::default()
    };
    store.queue.items(&filter).await.unwrap()
}

/// Claim, and check that no ready item of a healthy agent was passed over (I5 with a share of none).
async fn claim_in_order(store: &Store, model: &mut Model, most: usize) {
    let before = all(store).await;
    let place = |model: &Model, id| model.added.iter().position(|added| *added == id).unwrap();
    let busy: BTreeSet<&AgentId> = model.claims.iter().map(|c| &c.item.agent_id).collect();
    let mut ready = Vec::new();
    for record in before
        .iter()
        .filter(|r| r.state == ItemState::Queued && !busy.contains(&r.item.agent_id))
    {
        let known = store
            .agents
            .agent(record.item.agent_id.as_str())
            .await
            .unwrap()
            .unwrap();
        let runs = matches!(
            known.breaker.state(known.now),
            BreakerState::Closed | BreakerState::Disabled
        );
        let cools = record.item.task_type.hub_remembers() && known.cool_until.is_some_and(|until| until > known.now);
        if runs && !known.paused && !cools {
            ready.push((
                record.item.priority,
                place(model, record.item.id),
                record.item.agent_id.clone(),
            ));
        }
    }
    let claims = claim(store, most).await;
    let taken: BTreeSet<&AgentId> = claims.iter().map(|c| &c.item.agent_id).collect();
    let passed_over = ready.iter().filter(|(_, _, agent)| !taken.contains(agent)).min();
    for claimed in &claims {
        let claimed_at = (claimed.item.priority, place(model, claimed.item.id));
        if let Some((priority, place, agent)) = passed_over {
            assert!(
                claimed_at < (*priority, *place),
                "{claimed:?} overtook an item of {agent}"
            );
        }
    }
    if claims.len() < most {
        let queued: u64 = store.queue.stats().await.unwrap().queued.values().sum();
        assert_eq!(
            (passed_over, queued),
            (None, 0),
            "less than asked for means that nothing is ready"
        );
    }
    model.claims.extend(claims);
}

async fn check(store: &Store, model: &Model) {
    let records = all(store).await;
    // I3: everything acknowledged is there, once, and the statistics say the same.
    let ids: BTreeSet<ItemId> = records.iter().map(|r| r.item.id).collect();
    assert_eq!(ids, model.added.iter().copied().collect());
    assert_eq!(records.len(), ids.len());
    let stats = store.queue.stats().await.unwrap();
    let count = |state| records.iter().filter(|r| r.state == state).count() as u64;
    assert_eq!(stats.queued.values().sum::<u64>(), count(ItemState::Queued));
    let counted = [
        stats.waiting,
        stats.delayed,
        stats.held,
        stats.active,
        stats.done,
        stats.dead,
    ];
    use ItemState::{Active, Dead, Delayed, Done, Held, Waiting};
    assert_eq!(counted, [Waiting, Delayed, Held, Active, Done, Dead].map(count));
    // I4: what is active is what was claimed, one per agent.
    let active: BTreeMap<&AgentId, ItemId> = records
        .iter()
        .filter(|r| r.state == Active)
        .map(|r| (&r.item.agent_id, r.item.id))
        .collect();
    assert_eq!(active.len() as u64, stats.active);
    let claimed: BTreeMap<&AgentId, ItemId> = model.claims.iter().map(|c| (&c.item.agent_id, c.item.id)).collect();
    assert_eq!(active, claimed);
    // Who waits, waits behind one that runs or is about to.
    for waiting in records.iter().filter(|r| r.state == Waiting) {
        let behind = records
            .iter()
            .any(|r| r.item.agent_id == waiting.item.agent_id && matches!(r.state, Active | ItemState::Queued));
        assert!(behind, "{waiting:?} waits behind nothing");
    }
}

/// With every obstacle gone, everything comes to its end.
async fn drain<H: Harness>(harness: &H, store: &Store, model: &mut Model) {
    for name in AGENTS {
        store.agents.set_paused(&agent(name), false).await.unwrap();
        store
            .agents
            .command_breaker(&agent(name), BreakerCommand::Disable)
            .await
            .unwrap();
    }
    for _ in 0..model.added.len() * 2 + 2 {
        for claimed in std::mem::take(&mut model.claims) {
            end(store, &claimed, Reason::Ok).await;
        }
        harness.advance(seconds(60));
        sweep(store).await;
        model.claims = claim(store, AGENTS.len()).await;
    }
    assert_eq!(model.claims, []);
    let left: Vec<_> = all(store).await.into_iter().filter(|r| r.ended_at.is_none()).collect();
    assert_eq!(left, [], "stuck");
}
