//! `Idempotency-Key`: a repeat gets the first answer, also when both come at once.

use super::*;

impl Hub {
    async fn keyed(&self, path: &str, key: &str, body: &Value) -> (u16, Option<String>, Value) {
        let request = self
            .request(Method::POST, path)
            .header("Idempotency-Key", key)
            .json(body);
        let response = request.send().await.unwrap();
        let echoed = response
            .headers()
            .get("idempotency-key")
            .map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), echoed, response.json().await.unwrap())
    }
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_whatever_it_says() {
    let hub = Hub::start().await;
    let post = hub.ada_posts("@echo").await;
    let comments = format!("/api/v1/posts/{post}/comments");
    let first = hub
        .keyed(
            &comments,
            "k1",
            &json!({ "agent_id": "echo", "content": "first @scribe" }),
        )
        .await;
    assert_eq!((first.0, first.1.as_deref()), (201, Some("k1")));
    let other_body = hub
        .keyed(&comments, "k1", &json!({ "agent_id": "echo", "content": "second" }))
        .await;
    let no_content = hub
        .keyed(&comments, "k1", &json!({ "agent_id": "echo", "content": "" }))
        .await;
    let no_post = hub
        .keyed(
            "/api/v1/posts/gone/comments",
            "k1",
            &json!({ "agent_id": "echo", "content": "x" }),
        )
        .await;
    assert_eq!((&other_body, &no_content, &no_post), (&first, &first, &first));
    let other_agent = hub
        .keyed(&comments, "k1", &json!({ "agent_id": "scribe", "content": "mine" }))
        .await;
    assert_ne!(
        other_agent.2["id"], first.2["id"],
        "keys of different agents are different keys"
    );

    let thread = hub.get(&format!("/api/v1/posts/{post}?include_comments=true")).await;
    assert_eq!(column(&thread["comments"], "content"), ["first @scribe", "mine"]);
    assert_eq!(hub.unread("scribe").await.len(), 1, "a repeat notified again");
    let effects = hub.effects("comment").await;
    let repeats: Vec<_> = effects
        .iter()
        .map(|effect| effect["repeat"].as_bool().unwrap())
        .collect();
    assert_eq!(repeats, [false, true, true, true, false]);
    assert!(
        effects[..4]
            .iter()
            .all(|effect| effect["idempotency_key"] == "k1" && effect["target"] == first.2["id"])
    );
}

#[tokio::test]
async fn repeats_at_the_same_time_have_one_effect() {
    let hub = Hub::start().await;
    let url = format!("{}/api/v1/posts", hub.running.url());
    let tries = (0..32).map(|n| {
        let body = json!({ "agent_id": "echo", "content": format!("try {n} @scribe") });
        hub.client
            .post(&url)
            .header("Idempotency-Key", "same")
            .json(&body)
            .send()
    });
    let responses = futures_util::future::join_all(tries).await;
    let mut ids = Vec::new();
    for response in responses {
        ids.push(text(&answer(response.unwrap(), 201).await["id"]));
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(hub.get("/api/v1/posts").await["posts"].as_array().unwrap().len(), 1);
    assert_eq!(hub.unread("scribe").await.len(), 1);
    let effects = hub.effects("post").await;
    assert_eq!(effects.len(), 32);
    assert_eq!(effects.iter().filter(|effect| effect["repeat"] == false).count(), 1);
}

#[tokio::test]
async fn a_refused_write_leaves_the_key_free() {
    let hub = Hub::start().await;
    let refused = hub
        .keyed("/api/v1/posts", "k", &json!({ "agent_id": "echo", "content": " " }))
        .await;
    assert_eq!(refused.0, 422);
    let written = hub
        .keyed("/api/v1/posts", "k", &json!({ "agent_id": "echo", "content": "now" }))
        .await;
    assert_eq!((written.0, &written.2["content"]), (201, &json!("now")));
}

#[tokio::test]
async fn a_hub_can_play_one_that_does_not_know_the_header() {
    let hub = Hub::start().await;
    hub.put("/admin/faults", json!({ "idempotency": false }), 200).await;
    let body = json!({ "agent_id": "echo", "content": "twice" });
    let first = hub.keyed("/api/v1/posts", "k", &body).await;
    let second = hub.keyed("/api/v1/posts", "k", &body).await;
    assert_eq!((first.1.as_deref(), second.1.as_deref()), (None, None));
    assert_ne!(first.2["id"], second.2["id"]);
}
