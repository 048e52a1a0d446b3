//! Who is told what: mentions, replies, and what marking as read does.

use super::*;

fn entry(kind: &str, content: &str) -> (String, String) {
    (kind.to_owned(), content.to_owned())
}

#[tokio::test]
async fn a_post_tells_whom_it_mentions_once() {
    let hub = Hub::start().await;
    let cases = [
        ("@echo, hi", 1),
        ("(@echo)", 1),
        ("is that you, @echo.", 1),
        ("@Echo @echo @echo", 1),
        ("write to a@echo or ada@echo.org", 0),
        ("@echoes @ech", 0),
        ("@echo's answer, or …@echo", 1),
        ("ask @echo...", 1),
        ("-@echo- and _@echo_", 1),
        ("@echo@example.org, é@echo, https://example.org/@echo", 0),
        ("@ echo, @. and @", 0),
    ];
    // What authors test their agents with follows the same rules.
    let mut in_memory = warren_guest_sdk::testing::Host::new("echo");
    for (content, expected) in cases {
        let before = (hub.unread("echo").await.len(), in_memory.unread().len());
        hub.ada_posts(content).await;
        in_memory.post("Ada", content);
        let after = (hub.unread("echo").await.len(), in_memory.unread().len());
        assert_eq!(
            (after.0 - before.0, after.1 - before.1),
            (expected, expected),
            "{content}"
        );
    }
    let inbox = hub.get("/api/v1/notifications?agent_id=echo&unread=true").await;
    let first = &inbox["notifications"][0];
    assert_eq!(
        (&first["type"], &first["content"], &first["read"]),
        (&json!("mention"), &json!("@echo, hi"), &json!(false))
    );
    assert_eq!(first["from_agent"]["name"], "Ada");
    assert!(text(&first["created_at"]).parse::<jiff::Timestamp>().is_ok());
    let post = hub.get(&format!("/api/v1/posts/{}", text(&first["post_id"]))).await;
    assert_eq!(post["content"], "@echo, hi");
}

#[tokio::test]
async fn a_title_mentions_too() {
    let hub = Hub::start().await;
    let post = json!({ "author_name": "Ada", "title": "For @scribe", "content": "please write" });
    hub.post("/api/v1/posts", post, 201).await;
    assert_eq!(hub.unread("scribe").await, [entry("mention", "please write")]);
}

#[tokio::test]
async fn a_comment_on_an_agents_post_is_a_reply_unless_it_mentions_the_agent() {
    let hub = Hub::start().await;
    let post = hub
        .post(
            "/api/v1/posts",
            json!({ "agent_id": "echo", "content": "I am here" }),
            201,
        )
        .await;
    assert_eq!(
        (&post["author"]["id"], &post["author"]["kind"]),
        (&json!("echo"), &json!("agent"))
    );
    let post = text(&post["id"]);
    hub.comments(&post, json!({ "author_name": "Ada" }), "plain").await;
    hub.comments(&post, json!({ "author_name": "Ada" }), "for @echo").await;
    hub.comments(&post, json!({ "author_name": "Ada" }), "for @scribe")
        .await;
    hub.comments(&post, json!({ "agent_id": "scribe" }), "from an agent")
        .await;
    hub.comments(&post, json!({ "agent_id": "echo" }), "@echo talks to itself")
        .await;
    assert_eq!(
        hub.unread("echo").await,
        [
            entry("reply", "plain"),
            entry("mention", "for @echo"),
            entry("reply", "for @scribe"),
            entry("reply", "from an agent")
        ]
    );
    assert_eq!(hub.unread("scribe").await, [entry("mention", "for @scribe")]);
}

#[tokio::test]
async fn a_persons_post_has_no_inbox_and_an_agent_does_not_notify_itself() {
    let hub = Hub::start().await;
    let post = hub.ada_posts("nobody is meant").await;
    hub.comments(&post, json!({ "agent_id": "echo" }), "I, @echo, answer")
        .await;
    hub.post("/api/v1/posts", json!({ "agent_id": "echo", "content": "@echo" }), 201)
        .await;
    assert_eq!(
        hub.get("/api/v1/agents?has_notifications=true").await,
        json!({ "agents": [] })
    );
}

#[tokio::test]
async fn marking_as_read_is_exact_and_safe_to_repeat() {
    let hub = Hub::start().await;
    hub.ada_posts("@echo one").await;
    hub.ada_posts("@echo two").await;
    let inbox = hub.get("/api/v1/notifications?agent_id=echo&unread=true").await;
    let ids = column(&inbox["notifications"], "id");
    let body = json!({ "notification_ids": [ids[0], "no-such-id"] });
    let marked = hub.post("/api/v1/notifications/read", body.clone(), 200).await;
    assert_eq!(
        marked,
        json!({ "marked": 1, "already_read": 0, "unknown": ["no-such-id"] })
    );
    let marked = hub.post("/api/v1/notifications/read", body, 200).await;
    assert_eq!(
        marked,
        json!({ "marked": 0, "already_read": 1, "unknown": ["no-such-id"] })
    );
    assert_eq!(hub.unread("echo").await, [entry("mention", "@echo two")]);
    let all = hub.get("/api/v1/notifications?agent_id=echo").await;
    assert_eq!(all["notifications"].as_array().unwrap().len(), 2);
    assert_eq!(all["notifications"][0]["read"], true);
    let poll = hub.get("/api/v1/notifications/poll?timeout=5").await;
    assert_eq!(poll["agents"][0]["notification_count"], 1);
    let effects = hub.effects("notifications_read").await;
    assert_eq!((effects.len(), &effects[0]["detail"]), (1, &json!([ids[0]])));
}
