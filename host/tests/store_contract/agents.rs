//! What is known of agents, and what operators set.

use warren::{
    domain::{
        ending::{Ending, Reason},
        ids::AgentName,
        work_item::{ItemState, WorkItem},
    },
    ports::{
        agent_records::AgentItems,
        work_queue::{Completion, Enqueued},
    },
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

pub async fn changes_of_pause_are_events<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    add_ready(&store, &direct("a")).await;
    for paused in [true, true, false, false] {
        store.agents.set_paused(&agent("a"), paused).await.unwrap();
    }
    let events = store.events.after(0, 10, seconds(0)).await.unwrap();
    assert!(
        events.iter().all(|event| event.detail == "by an operator"),
        "{events:?}"
    );
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.kind.as_str(), event.agent.clone()))
        .collect();
    assert_eq!(
        told,
        [("agent_paused", Some(agent("a"))), ("agent_resumed", Some(agent("a")))]
    );
}

pub async fn one_that_is_not_known_is_paused_ahead<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let name = |text: &str| AgentName::new(text).unwrap();
    let ahead = async |text: &str, paused| store.agents.set_paused_ahead(&name(text), paused).await.unwrap();
    let is_ahead = async |text: &str| store.agents.paused_ahead(&name(text)).await.unwrap();
    assert!(!is_ahead("a").await);
    for text in ["a", "a", "b", "c"] {
        assert!(ahead(text, true).await);
    }
    assert!(ahead("b", false).await && ahead("never", false).await);
    assert!(is_ahead("a").await && !is_ahead("b").await);

    assert!(matches!(add(&store, &inbox("a", 1)).await, Enqueued::Skipped { .. }));
    assert_eq!(add(&store, &direct("c")).await, Enqueued::Added(ItemState::Held));
    add_ready(&store, &direct("b")).await;
    let met = known(&store, "a").await;
    assert!(met.paused && known(&store, "c").await.paused && !known(&store, "b").await.paused);

    // Now it is known: what holds is its own pause, and the word of before is used up.
    assert!(!is_ahead("a").await);
    assert!(!ahead("a", true).await && !ahead("a", false).await);
    store.agents.set_paused(&met.id, false).await.unwrap();
    add_ready(&store, &inbox("a", 1)).await;
}

pub async fn tells_how_many_items_are_where<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    let items = async || known(&store, "a").await.items;
    add_ready(&store, &direct("a")).await;
    add_ready(&store, &direct("a")).await;
    add_ready(&store, &direct("b")).await;
    let expected = |active, queued, waiting, held, behind_breaker| AgentItems {
        active,
        queued,
        waiting,
        held,
        behind_breaker,
    };
    assert_eq!(items().await, expected(false, 2, 0, 0, 0));
    let claimed = claim_one(&store).await;
    add(&store, &direct("a")).await;
    assert_eq!(items().await, expected(true, 1, 1, 0, 0));
    store.agents.set_paused(&agent("a"), true).await.unwrap();
    assert_eq!(items().await, expected(true, 0, 0, 2, 0));
    end(&store, &claimed, Reason::Ok).await;
    let claimed = claim_one(&store).await;
    end(&store, &claimed, Reason::Ok).await;

    for _ in 0..5 {
        let item = inbox("d", 1);
        add_ready(&store, &item).await;
        let claimed = claim_item(&store, &item).await;
        end(&store, &claimed, Reason::Trap).await;
    }
    add(&store, &direct("d")).await;
    assert_eq!(known(&store, "d").await.items, expected(false, 0, 0, 0, 1));
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

pub async fn remembers_what_a_good_end_said<H: Harness>() {
    let harness = H::fresh(policy()).await;
    let store = harness.store();
    for (said, noted) in [
        ("said hello", "said hello"),
        ("", "ok"),
        ("two\n\tlines", "lines"),
        ("and\tmore", "more"),
        ("", "ok"),
    ] {
        let item = direct("a");
        add_ready(&store, &item).await;
        let claimed = claim_item(&store, &item).await;
        let end = Completion {
            generation: Some("echo@1".to_owned()),
            ..completion(&claimed, Ending::new(Reason::Ok, said))
        };
        store.queue.complete(&end).await.unwrap();
        let agent = known(&store, "a").await;
        assert_eq!(
            (agent.last_reason, agent.last_detail.as_str()),
            (Some(Reason::Ok), said)
        );
        let record = record(&store, item.id).await;
        assert!(record.note.contains(noted), "{said:?}: {record:?}");
        assert_eq!((record.state, record.reason), (ItemState::Done, Some(Reason::Ok)));
    }
    assert_eq!(known(&store, "a").await.endings.get(&Reason::Ok), Some(&5));
}
