//! The leader's calls: long poll, plain poll, stale agents.

use super::*;
use std::time::Instant;

#[tokio::test]
async fn a_long_poll_answers_at_once_while_anything_is_unread_most_first() {
    let hub = Hub::start().await;
    hub.ada_posts("@echo one").await;
    hub.ada_posts("@scribe one").await;
    hub.ada_posts("@scribe two").await;
    let started = Instant::now();
    for _ in 0..3 {
        let answer = hub.get("/api/v1/notifications/poll?timeout=30&batch_size=100").await;
        assert_eq!(column(&answer["agents"], "name"), ["scribe", "echo"]);
        assert_eq!(answer["agents"][0]["notification_count"], 2);
        assert_eq!(answer["agents"][0]["id"], "scribe");
    }
    assert!(started.elapsed() < Duration::from_secs(10), "the poll waited");
    let answer = hub.get("/api/v1/notifications/poll?timeout=30&batch_size=1").await;
    assert_eq!(column(&answer["agents"], "name"), ["scribe"]);
    assert_eq!(
        hub.get("/api/v1/agents?has_notifications=true").await["agents"][1]["name"],
        "echo"
    );
}

#[tokio::test]
async fn a_long_poll_wakes_on_a_new_notification() {
    let hub = Hub::start().await;
    let poll = hub.request(Method::GET, "/api/v1/notifications/poll?timeout=60").send();
    let poll = tokio::spawn(poll);
    eventually("the poll has arrived", async || {
        hub.requests("GET /api/v1/notifications/poll").await == 1
    })
    .await;
    hub.ada_posts("no agent is meant").await;
    assert!(!poll.is_finished(), "the poll answered without news");
    hub.ada_posts("hello @echo").await;
    let answer = answer(poll.await.unwrap().unwrap(), 200).await;
    assert_eq!(column(&answer["agents"], "id"), ["echo"]);
}

#[tokio::test]
async fn a_long_poll_without_news_ends_empty_after_its_timeout() {
    let hub = Hub::start().await;
    let started = Instant::now();
    let answer = hub.get("/api/v1/notifications/poll?timeout=0.3").await;
    assert_eq!(answer, json!({ "agents": [] }));
    assert!(
        started.elapsed() >= Duration::from_millis(300),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(
        hub.get("/api/v1/agents?has_notifications=true").await,
        json!({ "agents": [] })
    );
}

#[tokio::test]
async fn stale_agents_come_never_ran_first_then_longest_ago() {
    let hub = Hub::start().await;
    hub.post("/api/v1/agents", json!({ "name": "new" }), 201).await;
    hub.post("/api/v1/agents/scribe/activated", json!({}), 204).await;
    hub.post("/api/v1/agents/echo/activated", json!({}), 204).await;
    let stale = hub.get("/api/v1/agents?stale=true&min_staleness=0").await;
    assert_eq!(column(&stale["agents"], "name"), ["new", "scribe", "echo"]);
    assert_eq!(stale["agents"][0]["last_activated_at"], Value::Null);
    let at = text(&stale["agents"][1]["last_activated_at"]);
    assert!(at.ends_with('Z') && at.parse::<jiff::Timestamp>().is_ok(), "{at}");
    let stale = hub.get("/api/v1/agents?stale=true&min_staleness=900").await;
    assert_eq!(column(&stale["agents"], "name"), ["new"]);
    assert_eq!(
        column(&json!(hub.effects("activated").await), "agent_id"),
        ["scribe", "echo"]
    );
}

#[tokio::test]
async fn agents_register_once_and_clashes_are_refused() {
    let hub = Hub::start().await;
    let body = json!({ "name": "mole", "id": "agent-7" });
    assert_eq!(
        hub.post("/api/v1/agents", body.clone(), 201).await,
        json!({ "name": "mole", "id": "agent-7" })
    );
    hub.post("/api/v1/agents", body, 200).await;
    assert_eq!(
        hub.post("/api/v1/agents", json!({ "name": "hare" }), 201).await["id"],
        "hare"
    );
    hub.post("/api/v1/agents", json!({ "name": "mole" }), 409).await;
    hub.post("/api/v1/agents", json!({ "name": "badger", "id": "agent-7" }), 409)
        .await;
    let names = column(&hub.get("/api/v1/agents").await["agents"], "name");
    assert_eq!(names, ["echo", "hare", "mole", "scribe"]);
    hub.ada_posts("@mole dig").await;
    assert_eq!(hub.unread("agent-7").await.len(), 1);
}

#[tokio::test]
async fn a_hundred_thousand_agents_are_seeded_and_polled() {
    let hub = Hub::start().await;
    let started = Instant::now();
    let seeded = hub
        .post(
            "/admin/seed",
            json!({ "agents": 100_000, "notifications_each": 1 }),
            200,
        )
        .await;
    assert_eq!(
        (&seeded["agents"], &seeded["notifications"]),
        (&json!(100_000), &json!(100_000))
    );
    eprintln!("seeded in {:?}", started.elapsed());
    hub.ada_posts("@agent-077777 again").await;

    let started = Instant::now();
    let batch = hub.get("/api/v1/notifications/poll?timeout=30&batch_size=1000").await;
    eprintln!("long poll in {:?}", started.elapsed());
    assert_eq!(batch["agents"].as_array().unwrap().len(), 1_000);
    assert_eq!(batch["agents"][0]["name"], "agent-077777");
    assert_eq!(batch["agents"][0]["notification_count"], 2);

    let started = Instant::now();
    let all = hub.get("/api/v1/agents?has_notifications=true").await;
    eprintln!("plain poll in {:?}", started.elapsed());
    assert_eq!(all["agents"].as_array().unwrap().len(), 100_000);
    assert_eq!(
        hub.unread("agent-000001").await,
        [("mention".to_owned(), "Hello, all of you.".to_owned())]
    );
    let post = text(&seeded["post_id"]);
    assert_eq!(
        hub.get(&format!("/api/v1/posts/{post}")).await["author"]["kind"],
        "person"
    );
}
