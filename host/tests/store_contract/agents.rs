//! What is known of agents, and what operators set.

use warren::{
    domain::{
        ending::{Ending, Reason},
        ids::AgentName,
        work_item::{ItemState, WorkItem},
    },
    ports::work_queue::Enqueued,
};

use super::{harness::Harness, support::*};

pub async fn is_found_by_id_and_name<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    assert_eq!(store.agents.agent("a").await.unwrap(), None);
    add_ready(&store, &direct("a")).await;
    let by_id = known(&store, "a").await;
    assert_eq!((&by_id.id, by_id.name.as_str()), (&agent("a"), "a"));
    assert_eq!(store.agents.agent("a").await.unwrap(), Some(by_id));
    let renamed = WorkItem {
        agent_name: AgentName::new("anna").unwrap(),
        ..direct("a")
    };
    add_ready(&store, &renamed).await;
    assert_eq!(known(&store, "a").await.name.as_str(), "anna");
    assert_eq!(store.agents.agent("a").await.unwrap(), None);
    // An item from before does not bring the old name back.
    let older = claim_one(&store).await;
    assert_eq!(older.item.agent_name.as_str(), "a");
    end(&store, &older, Reason::Ok).await;
    assert_eq!(known(&store, "a").await.name.as_str(), "anna");
}

pub async fn lists_in_pages<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    for name in ["c", "a", "b"] {
        add_ready(&store, &direct(name)).await;
    }
    let names = async |after: Option<&str>, limit| -> Vec<String> {
        let page = store.agents.agents(after.map(agent).as_ref(), limit).await.unwrap();
        page.into_iter().map(|record| record.name.to_string()).collect()
    };
    assert_eq!(names(None, 2).await, ["a", "b"]);
    assert_eq!(names(Some("b"), 2).await, ["c"]);
    assert_eq!(names(Some("c"), 2).await, [""; 0]);
}

pub async fn pause_holds_and_resume_releases<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    assert!(
        !store.agents.set_paused(&agent("a"), true).await.unwrap(),
        "there is no such agent"
    );
    let (active, waiting, other) = (direct("a"), direct("a"), direct("b"));
    add_ready(&store, &active).await;
    let claimed = claim_item(&store, &active).await;
    add(&store, &waiting).await;
    add_ready(&store, &other).await;
    for _ in 0..2 {
        assert!(store.agents.set_paused(&agent("a"), true).await.unwrap());
    }
    let submitted = direct("a");
    assert_eq!(add(&store, &submitted).await, Enqueued::Added(ItemState::Held));
    assert!(matches!(add(&store, &inbox("a", 1)).await, Enqueued::Skipped { .. }));
    // What runs goes on; a retry of it is held when it is due.
    end(&store, &claimed, Reason::Trap).await;
    harness.advance(seconds(60));
    sweep(&store).await;
    claim_item(&store, &other).await;
    claim_none(&store).await;
    for item in [&active, &waiting, &submitted] {
        assert_eq!(state(&store, item).await, ItemState::Held);
    }
    assert!(known(&store, "a").await.paused);
    store.agents.set_paused(&agent("a"), false).await.unwrap();
    for item in [&active, &waiting, &submitted] {
        let claimed = claim_item(&store, item).await;
        end(&store, &claimed, Reason::Ok).await;
    }
}

pub async fn counts_endings<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let item = inbox("a", 1);
    add_ready(&store, &item).await;
    assert_eq!(known(&store, "a").await.last_started, None);
    harness.advance(seconds(1));
    let claimed = claim_item(&store, &item).await;
    harness.advance(seconds(2));
    store
        .queue
        .complete(&completion(&claimed, Ending::new(Reason::GuestError, "oh")))
        .await
        .unwrap();
    harness.advance(seconds(3));
    let known_agent = known(&store, "a").await;
    let ago = |time: Option<warren::domain::time::UnixMillis>| known_agent.now.since(time.unwrap());
    assert_eq!(
        (ago(known_agent.last_started), ago(known_agent.last_ended)),
        (seconds(5), seconds(3))
    );
    assert_eq!(
        (known_agent.last_reason, known_agent.last_detail.as_str()),
        (Some(Reason::GuestError), "oh")
    );
    run_direct(&store, "a", Reason::Ok).await;
    run_direct(&store, "a", Reason::Ok).await;
    let endings = known(&store, "a").await.endings;
    assert_eq!(
        endings.into_iter().collect::<Vec<_>>(),
        [(Reason::Ok, 2), (Reason::GuestError, 1)]
    );
}
