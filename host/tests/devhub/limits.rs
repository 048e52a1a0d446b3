//! What is refused, and how it says so.

use super::*;

/// Asserts that the error answer has this code and names these things.
async fn refused(response: Response, status: u16, code: &str, names: &[&str]) {
    let error = answer(response, status).await["error"].clone();
    assert_eq!(error["code"], code, "{error}");
    let message = text(&error["message"]);
    for name in names {
        assert!(message.contains(name), "{message:?} should contain {name:?}");
    }
}

#[tokio::test]
async fn bad_bodies_name_field_value_and_limit() {
    let hub = Hub::start().await;
    let long = "x".repeat(65_537);
    let crowd: String = (0..51).map(|n| format!("@a{n} ")).collect();
    for n in 0..51 {
        hub.post("/api/v1/agents", json!({ "name": format!("a{n}") }), 201)
            .await;
    }
    let cases = [
        (
            "/api/v1/posts",
            json!({ "agent_id": "echo" }),
            "invalid_body",
            vec!["content"],
        ),
        (
            "/api/v1/posts",
            json!({ "agent_id": "echo", "content": 7 }),
            "invalid_body",
            vec!["content"],
        ),
        (
            "/api/v1/posts",
            json!({ "agent_id": "echo", "content": " \n" }),
            "invalid",
            vec!["content is empty"],
        ),
        (
            "/api/v1/posts",
            json!({ "agent_id": "echo", "content": long }),
            "invalid",
            vec!["65537", "65536"],
        ),
        (
            "/api/v1/posts",
            json!({ "agent_id": "echo", "content": crowd }),
            "invalid",
            vec!["51", "50"],
        ),
        (
            "/api/v1/posts",
            json!({ "agent_id": "echo", "content": "x", "title": "t".repeat(301) }),
            "invalid",
            vec!["title", "301", "300"],
        ),
        (
            "/api/v1/posts",
            json!({ "agent_id": "echo", "content": "x", "community": "a b" }),
            "invalid",
            vec!["\"a b\""],
        ),
        (
            "/api/v1/posts",
            json!({ "agent_id": "nobody", "content": "x" }),
            "invalid",
            vec!["nobody", "/api/v1/agents"],
        ),
        (
            "/api/v1/posts",
            json!({ "content": "x" }),
            "invalid",
            vec!["agent_id", "author_name"],
        ),
        (
            "/api/v1/posts",
            json!({ "agent_id": "echo", "author_name": "Ada", "content": "x" }),
            "invalid",
            vec!["both"],
        ),
        (
            "/api/v1/posts",
            json!({ "author_name": "Echo", "content": "x" }),
            "invalid",
            vec!["name of an agent"],
        ),
        (
            "/api/v1/posts",
            json!({ "author_name": "", "content": "x" }),
            "invalid",
            vec!["author_name", "64"],
        ),
        (
            "/api/v1/agents",
            json!({ "name": "Échos" }),
            "invalid",
            vec!["Échos", "a-z 0-9 - _ .", "64"],
        ),
        (
            "/api/v1/agents",
            json!({ "name": "x".repeat(65) }),
            "invalid",
            vec!["64"],
        ),
        (
            "/api/v1/agents",
            json!({ "name": "x", "id": "a b" }),
            "invalid",
            vec!["id is \"a b\""],
        ),
        (
            "/api/v1/notifications/read",
            json!({ "notification_ids": vec!["x"; 10_001] }),
            "invalid",
            vec!["10001", "10000"],
        ),
        (
            "/api/v1/system/consumption",
            json!({ "agent_id": "echo", "tokens_input": 1, "tokens_output": 1, "cost_usd": -1 }),
            "invalid",
            vec!["cost_usd is -1"],
        ),
        (
            "/admin/seed",
            json!({ "agents": 2_000_000 }),
            "invalid",
            vec!["2000000", "1000000"],
        ),
        (
            "/admin/seed",
            json!({ "agents": 1, "type": "poke" }),
            "invalid",
            vec!["poke", "mention"],
        ),
        (
            "/admin/seed",
            json!({ "agents": 1, "oops": 1 }),
            "invalid_body",
            vec!["oops"],
        ),
    ];
    for (path, body, code, names) in cases {
        refused(
            hub.request(Method::POST, path).json(&body).send().await.unwrap(),
            422,
            code,
            &names,
        )
        .await;
    }
    assert_eq!(
        hub.get("/api/v1/posts").await["posts"],
        json!([]),
        "something refused was written"
    );
    assert_eq!(hub.effects("post").await, Vec::<Value>::new());
}

#[tokio::test]
async fn bad_queries_are_refused() {
    let hub = Hub::start().await;
    let cases = [
        ("/api/v1/notifications/poll?batch_size=0", 422, "between 1 and 1000"),
        ("/api/v1/notifications/poll?batch_size=1001", 422, "between 1 and 1000"),
        ("/api/v1/notifications/poll?timeout=-1", 422, "timeout is -1"),
        ("/api/v1/notifications/poll?timeout=NaN", 422, "timeout is NaN"),
        ("/api/v1/notifications/poll?timeout=soon", 422, "timeout"),
        ("/api/v1/agents?stale=true&has_notifications=true", 422, "one of them"),
        ("/api/v1/notifications?unread=true", 422, "agent_id"),
        ("/api/v1/notifications?agent_id=nobody", 404, "nobody"),
        ("/api/v1/posts/nothing", 404, "nothing"),
        ("/api/v1/search", 422, "q is empty"),
        ("/api/v1/search?q=x&limit=101", 422, "between 1 and 100"),
        ("/api/v1/feed/discover?agent_id=nobody", 404, "nobody"),
        ("/api/v1/system/budget-health?agent_id=nobody", 404, "nobody"),
        ("/api/v2/agents", 404, "/api/v2/agents"),
    ];
    for (path, status, names) in cases {
        let error = answer(hub.request(Method::GET, path).send().await.unwrap(), status).await;
        assert!(text(&error["error"]["message"]).contains(names), "{path}: {error}");
    }
    for path in ["/api/v1/agents/nobody/activated", "/api/v1/posts/nothing/comments"] {
        hub.post(path, json!({ "agent_id": "echo", "content": "x" }), 404).await;
    }
}

#[tokio::test]
async fn wrong_methods_types_and_sizes_are_refused_cleanly() {
    let hub = Hub::start().await;
    let response = hub.request(Method::DELETE, "/api/v1/posts").send().await.unwrap();
    let allow = response.headers()["allow"].to_str().unwrap().to_owned();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    refused(response, 405, "method_not_allowed", &["DELETE", "/api/v1/posts"]).await;

    let post = || hub.request(Method::POST, "/api/v1/posts");
    let form = post()
        .header("content-type", "text/plain")
        .body(r#"{"author_name":"Ada","content":"x"}"#);
    refused(form.send().await.unwrap(), 415, "not_json", &["application/json"]).await;
    let broken = post().header("content-type", "application/json").body("{\"content\": ");
    refused(broken.send().await.unwrap(), 400, "invalid_body", &[]).await;
    let huge = json!({ "agent_id": "echo", "content": "x".repeat(1 << 20) });
    refused(
        post().json(&huge).send().await.unwrap(),
        413,
        "body_too_large",
        &["1048576"],
    )
    .await;
    let key = post()
        .header("idempotency-key", "k".repeat(256))
        .json(&json!({ "agent_id": "echo", "content": "x" }));
    refused(key.send().await.unwrap(), 422, "invalid", &["Idempotency-Key", "255"]).await;
    let most = json!({ "agent_id": "echo", "content": "x".repeat(65_536), "title": "é".repeat(300) });
    hub.post("/api/v1/posts", most, 201).await;
}

#[tokio::test]
async fn a_key_is_asked_for_everywhere_but_on_the_page() {
    let hub = Hub::with(|config| config.api_key = Some("right".to_owned())).await;
    let send = |method: Method, path: &str, auth: Option<&str>| {
        let request = hub.client.request(method, format!("{}{path}", hub.running.url()));
        let request = match auth {
            Some(auth) => request.header("authorization", auth),
            None => request,
        };
        request.send()
    };
    for auth in [
        None,
        Some("Bearer wrong"),
        Some("Bearer rightly"),
        Some("Bearer "),
        Some("right"),
        Some("Basic right"),
    ] {
        for (method, path) in [
            (Method::GET, "/api/v1/agents"),
            (Method::GET, "/api/v1/events"),
            (Method::POST, "/api/v1/posts"),
            (Method::GET, "/admin/log"),
        ] {
            let response = send(method, path, auth).await.unwrap();
            assert_eq!(response.headers()["www-authenticate"], "Bearer");
            let error = answer(response, 401).await;
            assert_eq!(error["error"]["code"], "unauthorized");
            assert!(!error.to_string().contains("right,"), "the key leaked");
        }
    }
    assert_eq!(
        send(Method::GET, "/api/v1/agents", Some("Bearer right"))
            .await
            .unwrap()
            .status(),
        200
    );
    assert_eq!(send(Method::GET, "/", None).await.unwrap().status(), 200);
}

#[tokio::test]
async fn admin_can_be_left_out() {
    let hub = Hub::with(|config| config.admin = false).await;
    hub.put("/admin/faults", json!([]), 404).await;
    hub.post("/admin/seed", json!({ "agents": 1 }), 404).await;
    hub.get("/api/v1/agents").await;
}
