//! Writes that must not happen twice.

use warren::adapters::hub_http::Idempotency;

use super::{
    player::{Play, Player},
    *,
};

const COMMENT: &str = r#"{"id":"c","author":{"id":"a","name":"n"},"content":"x","created_at":"2026-01-01T00:00:00Z"}"#;

fn with(url: &str, idempotency: Idempotency) -> HubClient {
    let mut config = config(url);
    config.idempotency = idempotency;
    HubClient::new(config).unwrap()
}

/// Faults that leave it open whether the write happened; with a development Hub it did.
fn open_ends() -> [Value; 4] {
    [
        json!({ "kind": "status", "status": 500, "after": true }),
        json!({ "kind": "drop_after" }),
        json!({ "kind": "cut" }),
        json!({ "kind": "html", "after": true }),
    ]
}

/// The fault, for the first write from now on.
async fn strike(served: &Served, mut rule: Value, idempotency: bool) {
    rule["path"] = "/api/v1/posts".into();
    rule["method"] = "POST".into();
    rule["times"] = 1.into();
    served
        .switch(json!({ "rules": [rule], "idempotency": idempotency }))
        .await;
}

#[tokio::test]
async fn an_open_end_is_not_repeated_towards_an_unknown_hub() {
    for fault in open_ends() {
        for idempotency in [Idempotency::Detect, Idempotency::No] {
            let served = Served::start().await;
            let client = with(&served.running.url(), idempotency);
            strike(&served, fault.clone(), false).await;
            let error = client
                .create_post(&agent("echo"), &new_post("x"), "k", false)
                .await
                .unwrap_err();
            assert!(matches!(error, HubError::Ambiguous(_)), "{fault}: {error:?}");
            says(&error, &["POST ", "/api/v1/posts", "Idempotency-Key"]);
            assert_eq!(served.matched().await, 1, "{fault}");
            assert_eq!(served.effects("post").await.len(), 1);
        }
    }
}

#[tokio::test]
async fn an_open_end_is_repeated_with_the_same_key_towards_a_hub_that_is_said_to_honour_it() {
    for fault in open_ends() {
        // An unreadable answer is no reason to ask again: it would be as unreadable.
        let html = fault["kind"] == "html";
        let served = Served::start().await;
        let client = with(&served.running.url(), Idempotency::Yes);
        strike(&served, fault.clone(), true).await;
        let outcome = client.create_post(&agent("echo"), &new_post("x"), "k", false).await;
        assert_eq!(outcome.is_ok(), !html, "{fault}: {outcome:?}");
        // The effect is there once; asked again with another body, the first result comes back.
        let post = client
            .create_post(&agent("echo"), &new_post("another"), "k", true)
            .await
            .unwrap();
        assert_eq!(post.content, "x");
        let effects = served.effects("post").await;
        assert_eq!(
            effects.iter().filter(|effect| effect["repeat"] == false).count(),
            1,
            "{fault}: {effects:?}"
        );
        let keys: std::collections::HashSet<_> = effects.iter().map(|e| e["idempotency_key"].to_string()).collect();
        assert_eq!(keys.len(), 1);
    }
}

#[tokio::test]
async fn an_echoed_key_is_remembered_and_forgotten_when_it_is_left_out() {
    let served = Served::start().await;
    let client = served.client();
    let post = new_post("x");
    let echo = agent("echo");
    // Nothing known: an unsure write is not even sent.
    let error = client.create_post(&echo, &post, "a", true).await.unwrap_err();
    assert!(matches!(error, HubError::Ambiguous(_)), "{error:?}");
    says(&error, &["not sent", "this host's configuration"]);
    assert_eq!(served.effects("post").await.len(), 0);

    client.create_post(&echo, &post, "b", false).await.unwrap();
    client.create_post(&echo, &post, "a", true).await.unwrap();
    strike(&served, json!({ "kind": "status", "status": 502, "after": true }), true).await;
    client.create_post(&echo, &post, "c", false).await.unwrap();
    assert_eq!(served.matched().await, 2);

    // The Hub is replaced by one that does not know the header.
    served.switch(json!({ "idempotency": false })).await;
    client.create_post(&echo, &post, "d", false).await.unwrap();
    strike(
        &served,
        json!({ "kind": "status", "status": 502, "after": true }),
        false,
    )
    .await;
    let error = client.create_post(&echo, &post, "e", false).await.unwrap_err();
    assert!(matches!(error, HubError::Ambiguous(_)), "{error:?}");
    assert_eq!(served.matched().await, 1);
    assert_eq!(
        served
            .effects("post")
            .await
            .iter()
            .filter(|effect| effect["repeat"] == false)
            .count(),
        5
    );
}

#[tokio::test]
async fn what_certainly_did_not_happen_is_tried_again_or_unavailable() {
    let served = Served::start().await;
    let client = with(&served.running.url(), Idempotency::No);
    for status in [408, 429] {
        strike(&served, json!({ "kind": "status", "status": status }), false).await;
        client
            .create_post(&agent("echo"), &new_post("x"), "k", false)
            .await
            .unwrap();
        assert_eq!(served.matched().await, 2, "{status}");
    }
    served
        .fault(json!({ "path": "/api/", "kind": "status", "status": 429 }))
        .await;
    let error = client
        .create_post(&agent("echo"), &new_post("x"), "k", false)
        .await
        .unwrap_err();
    assert!(matches!(error, HubError::Unavailable(_)), "{error:?}");
    assert_eq!(served.matched().await, 4);
}

#[tokio::test]
async fn once_open_a_write_that_runs_out_of_tries_stays_open() {
    let lost = Play::Say(Vec::new());
    let busy = Play::answer("429 Too Many Requests", "", "");
    let player = Player::start([lost, busy]).await;
    let client = with(&player.url(), Idempotency::Yes);
    let comment = new_comment("p/1", "x");
    let error = client
        .create_comment(&agent("a"), &comment, "k", false)
        .await
        .unwrap_err();
    assert!(
        matches!(error, HubError::Ambiguous(_)),
        "the first try may have happened: {error:?}"
    );
    says(&error, &["429", "4 tries"]);
    let requests = player.requests();
    assert_eq!(requests.len(), 4);
    assert!(
        requests[0].starts_with("POST /api/v1/posts/p%2F1/comments HTTP/1.1"),
        "{}",
        requests[0]
    );

    // Afterwards, what the Hub says of the target is an answer; what may come from somewhere else, or be about the key, is not.
    for (status, open) in [
        ("400 Bad Request", false),
        ("404 Not Found", false),
        ("401 Unauthorized", true),
        ("409 Conflict", true),
        ("422 Unprocessable Entity", true),
    ] {
        let refused = Play::json(status, r#"{"detail":"because"}"#);
        let player = Player::start([Play::Say(Vec::new()), refused]).await;
        let client = with(&player.url(), Idempotency::Yes);
        let error = client
            .create_comment(&agent("a"), &comment, "k", false)
            .await
            .unwrap_err();
        assert_eq!(matches!(error, HubError::Ambiguous(_)), open, "{status}: {error:?}");
        says(&error, &[status, "because"]);
        assert_eq!(player.requests().len(), 2);
    }
}

#[tokio::test]
async fn a_key_is_the_same_for_every_try_and_fits_a_header() {
    let busy = Play::answer("429 Too Many Requests", "", "");
    // The draft standard quotes the key.
    let player = Player::start([busy, Play::json("201 Created", COMMENT)]).await;
    let client = client(&player.url());
    let key = format!("n:5:ü\n:{}", "x".repeat(10_000));
    client
        .create_comment(&agent("a"), &new_comment("p", "x"), &key, false)
        .await
        .unwrap();
    let keys: Vec<String> = player
        .requests()
        .iter()
        .map(|request| {
            let line = request.lines().find_map(|line| line.strip_prefix("idempotency-key: "));
            line.unwrap().to_owned()
        })
        .collect();
    assert_eq!(keys[0], keys[1]);
    assert!(
        keys[0].len() == 64 && keys[0].bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{}",
        keys[0]
    );

    let echo = format!("Idempotency-Key: \"{}\"\r\n", keys[0]);
    let player = Player::start([Play::answer("201 Created", &echo, COMMENT)]).await;
    let client = self::client(&player.url());
    client
        .create_comment(&agent("a"), &new_comment("p", "x"), &key, false)
        .await
        .unwrap();
    client
        .create_comment(&agent("a"), &new_comment("p", "x"), &key, true)
        .await
        .unwrap();
}
