//! Agents in a list, and what operators do to them.

use serde_json::{Value, json};
use warren::{domain::work_item::ItemState, ports::work_queue::ItemFilter};

use super::{commands::assert_ends, *};

fn row<'a>(list: &'a Value, name: &str) -> &'a Value {
    let rows = list["agents"].as_array().unwrap();
    rows.iter().find(|row| row["name"] == name).unwrap()
}

#[tokio::test]
async fn all_are_listed_those_that_are_known_and_those_that_are_defined() {
    let served = Served::start().await;
    served.kill(1).await;
    let submit = json!({ "agent": "echo", "payload": "", "agent_id": "e1" });
    assert_eq!(served.submit(submit).await.0, 201);
    let (mut path, mut agents) = ("/api/v1/agents?limit=1".to_owned(), Vec::new());
    loop {
        let (status, page) = served.get(&path).await;
        assert_eq!(status, 200, "{page}");
        agents.extend(page["agents"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/agents?limit=1&after={next}");
    }
    let list = json!({ "agents": agents });
    let states: Vec<_> = ["echo", "a0", "lost", "wrong"]
        .iter()
        .map(|name| row(&list, name)["state"].as_str().unwrap())
        .collect();
    assert_eq!(
        (agents.len(), states),
        (4, vec!["ready", "undefined", "no_plugin", "undefined"]),
        "{list}"
    );
    let echo = row(&list, "echo");
    assert_eq!(
        (
            &echo["id"],
            &echo["plugin"],
            &echo["breaker"],
            &echo["ready"],
            &echo["paused"]
        ),
        (&json!("e1"), &json!("echo"), &json!("closed"), &json!(1), &json!(false))
    );
    assert_eq!(row(&list, "a0")["reason"], "guest_error");
    let shown = served.command(&["agent", "list"], "").await;
    assert_ends(
        &shown,
        0,
        &[
            "AGENT",
            "lost: this host has no plugin nowhere",
            "config.yaml",
            "guest_error: no",
        ],
    );
    let json = served.command(&["agent", "list", "--json", "--limit", "2"], "").await;
    let list: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(list["agents"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn pause_and_resume_tell_what_became_of_the_items() {
    let served = Served::start().await;
    let submit = json!({ "agent": "echo", "payload": "", "agent_id": "e1" });
    for _ in 0..2 {
        served.submit(submit.clone()).await;
    }
    let pause = served.command(&["agent", "pause", "echo"], "").await;
    assert_ends(
        &pause,
        0,
        &["echo is paused: of its items 2 held", "warren agent resume echo"],
    );
    let again = served.command(&["agent", "pause", "e1"], "").await;
    assert_ends(&again, 0, &["echo was paused already; of its items 2 held"]);
    assert_ends(&served.command(&["agent", "list"], "").await, 0, &["paused"]);
    assert_ends(
        &served.command(&["agent", "show", "echo"], "").await,
        0,
        &["An operator paused it"],
    );
    let resume = served.command(&["agent", "resume", "echo", "--json"], "").await;
    let change: Value = serde_json::from_slice(&resume.stdout).unwrap();
    assert_eq!(
        (&change["before"], &change["after"], &change["agent_id"]),
        (&json!("paused"), &json!("running"), &json!("e1"))
    );
    let again = served.command(&["agent", "resume", "echo"], "").await;
    assert_ends(&again, 0, &["echo was not paused; of its items 2 ready"]);
    let events = served.command(&["events", "--agent", "echo"], "").await;
    assert_ends(&events, 0, &["agent_paused", "agent_resumed", "echo"]);
}

/// An operator pauses a broken new agent before it has run at all.
#[tokio::test]
async fn one_that_was_never_met_is_paused_before_its_first_item() {
    let served = Served::start().await;
    let pause = served.command(&["agent", "pause", "echo"], "").await;
    assert_ends(
        &pause,
        0,
        &["echo is paused ahead", "its first item will find it paused"],
    );
    assert_ends(&served.command(&["agent", "list"], "").await, 0, &["paused"]);
    let show = served.command(&["agent", "show", "echo"], "").await;
    assert_ends(&show, 0, &["An operator paused it before anything was enqueued"]);
    let (_, submitted) = served
        .submit(json!({ "agent": "echo", "payload": "", "agent_id": "e1" }))
        .await;
    assert_eq!(submitted["state"], "held");
    let resume = served.command(&["agent", "resume", "echo"], "").await;
    assert_ends(&resume, 0, &["echo is resumed: of its items 1 ready"]);

    served.command(&["agent", "pause", "lost"], "").await;
    let resume = served.command(&["agent", "resume", "lost"], "").await;
    assert_ends(&resume, 0, &["lost is resumed"]);
    let again = served.command(&["agent", "resume", "lost"], "").await;
    assert_ends(&again, 0, &["lost was not paused; nothing was ever enqueued"]);
}

#[tokio::test]
async fn the_breaker_tells_its_transition_in_words() {
    let served = Served::start().await;
    let submit = json!({ "agent": "echo", "payload": "", "agent_id": "e1" });
    for _ in 0..5 {
        served.submit(submit.clone()).await;
        served.run_one(Reason::Trap, "unreachable").await;
    }
    served.submit(submit.clone()).await;
    let breaker = async |command: &str| served.command(&["agent", "breaker", command, "echo"], "").await;
    let reset = breaker("reset").await;
    assert_ends(
        &reset,
        0,
        &[
            "the breaker of echo was open for another",
            "after 5 failures in a row",
            "is closed now",
            "1 ready",
        ],
    );
    assert_ends(
        &breaker("force-open").await,
        0,
        &["was closed, and is forced open now", "1 held"],
    );
    assert_ends(&served.command(&["agent", "list"], "").await, 0, &["forced_open"]);
    assert_ends(
        &breaker("disable").await,
        0,
        &["was forced open, and is disabled now", "1 ready"],
    );
    assert_ends(
        &breaker("reset").await,
        0,
        &["was disabled, and is closed now", "works by itself again"],
    );
    let (_, change) = served.post("/api/v1/agents/e1/breaker/force-open", json!({})).await;
    assert_eq!(
        (&change["before"], &change["after"]),
        (&json!("closed"), &json!("forced_open"))
    );
    let newest = ItemFilter {
        limit: 1,
        ..ItemFilter::default()
    };
    let items = served.store.queue.items(&newest).await.unwrap();
    assert_eq!(items[0].state, ItemState::Held);
    assert_eq!(served.post("/api/v1/agents/e1/breaker/explode", json!({})).await.0, 404);
    let refused = served
        .request(Method::POST, "/api/v1/agents/e1/pause")
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 401);
}
