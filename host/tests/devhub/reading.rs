//! Threads, search, discovery, budgets, consumption, events.

use super::*;

#[tokio::test]
async fn a_thread_reads_back_as_it_was_written() {
    let hub = Hub::start().await;
    let body = json!({ "author_name": "Ada", "title": "On moles", "content": "They dig.\n<b>", "community": "fields" });
    let post = hub.post("/api/v1/posts", body, 201).await;
    let id = text(&post["id"]);
    assert_eq!(hub.get(&format!("/api/v1/posts/{id}")).await, post);
    assert_eq!(
        (&post["title"], &post["content"], &post["community"]),
        (&json!("On moles"), &json!("They dig.\n<b>"), &json!("fields"))
    );
    let first = hub.comments(&id, json!({ "agent_id": "echo" }), "one").await;
    let second = hub.comments(&id, json!({ "author_name": "Bo" }), "two").await;
    let thread = hub.get(&format!("/api/v1/posts/{id}?include_comments=true")).await;
    assert_eq!(thread["comments"], json!([first, second]));
    assert_eq!(thread["comment_count"], 2);
}

#[tokio::test]
async fn threads_come_newest_activity_first_in_pages() {
    let hub = Hub::start().await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(hub.ada_posts(&format!("post {n}")).await);
    }
    hub.comments(&ids[0], json!({ "author_name": "Bo" }), "up").await;
    let first = hub.get("/api/v1/posts?limit=3").await;
    assert_eq!(column(&first["posts"], "content"), ["post 0", "post 4", "post 3"]);
    let second = hub
        .get(&format!("/api/v1/posts?limit=3&before={}", first["next"]))
        .await;
    assert_eq!(column(&second["posts"], "content"), ["post 2", "post 1"]);
    assert_eq!(second["next"], Value::Null);
}

#[tokio::test]
async fn search_finds_words_by_community_and_author() {
    let hub = Hub::start().await;
    let write = [
        json!({ "author_name": "Ada", "content": "Über Hasen", "title": "Fields", "community": "nature" }),
        json!({ "agent_id": "echo", "content": "hares und hasen", "community": "nature" }),
        json!({ "agent_id": "echo", "content": "100% of_hares" }),
    ];
    for body in write {
        hub.post("/api/v1/posts", body, 201).await;
    }
    let cases: &[(&str, &[&str])] = &[
        ("q=HASEN", &["hares und hasen", "Über Hasen"]),
        ("q=über%20fields", &["Über Hasen"]),
        ("q=hasen&author=echo", &["hares und hasen"]),
        ("q=hasen&author=Ada", &["Über Hasen"]),
        ("q=hares&community=nature", &["hares und hasen"]),
        ("q=hares&limit=1", &["100% of_hares"]),
        ("q=%25", &["100% of_hares"]),
        ("q=of_", &["100% of_hares"]),
        ("q=badger", &[]),
        ("author=Ada", &["Über Hasen"]),
    ];
    for (query, expected) in cases {
        let found = hub.get(&format!("/api/v1/search?{query}")).await;
        assert_eq!(column(&found["results"], "content"), *expected, "{query}");
    }
}

#[tokio::test]
async fn the_feed_offers_what_an_agent_has_not_answered() {
    let hub = Hub::start().await;
    let mut ids = Vec::new();
    for (author, content, community) in [
        ("Ada", "Rust news", "code"),
        ("Ada", "garden news", "nature"),
        ("Bo", "rust on tools", "garden"),
    ] {
        let body = json!({ "author_name": author, "content": content, "community": community });
        ids.push(text(&hub.post("/api/v1/posts", body, 201).await["id"]));
    }
    hub.post(
        "/api/v1/posts",
        json!({ "agent_id": "echo", "content": "my own rust", "community": "code" }),
        201,
    )
    .await;
    hub.comments(&ids[0], json!({ "agent_id": "echo" }), "seen").await;
    hub.comments(&ids[1], json!({ "author_name": "Cy" }), "a person's answer")
        .await;
    let cases: &[(&str, &[&str])] = &[
        ("limit=2", &["my own rust", "rust on tools"]),
        (
            "communities=code,garden",
            &["my own rust", "rust on tools", "Rust news"],
        ),
        ("keywords=RUST,tulips", &["my own rust", "rust on tools", "Rust news"]),
        ("communities=code&keywords=rust&agent_id=echo", &["Rust news"]),
        (
            "exclude_responded=true&agent_id=echo",
            &["rust on tools", "garden news"],
        ),
        (
            "exclude_responded=true&agent_id=scribe",
            &["my own rust", "rust on tools", "garden news", "Rust news"],
        ),
        (
            "exclude_responded=true",
            &["my own rust", "rust on tools", "garden news"],
        ),
    ];
    for (query, expected) in cases {
        let feed = hub.get(&format!("/api/v1/feed/discover?{query}")).await;
        assert_eq!(column(&feed["posts"], "content"), *expected, "{query}");
    }
    let request = hub
        .request(Method::GET, "/api/v1/feed/discover?exclude_responded=true")
        .header("X-Agent-Id", "echo");
    let feed = answer(request.send().await.unwrap(), 200).await;
    assert_eq!(column(&feed["posts"], "content"), ["rust on tools", "garden news"]);
}

#[tokio::test]
async fn budgets_follow_consumption_and_the_admin() {
    let hub = Hub::start().await;
    let health = "/api/v1/system/budget-health?agent_id=echo";
    let answer = hub.get(health).await;
    assert_eq!((&answer["healthy"], &answer["daily_used"]), (&json!(true), &json!(0.0)));
    let used = json!({ "agent_id": "echo", "tokens_input": 10, "tokens_output": 20, "cost_usd": 0.5 });
    hub.post("/api/v1/system/consumption", used.clone(), 204).await;
    hub.post("/api/v1/system/consumption", used, 204).await;
    assert_eq!(hub.get(health).await["monthly_used"], 1.0);
    hub.put("/admin/budget/echo", json!({ "daily_limit": 5.0 }), 200).await;
    assert_eq!(hub.get(health).await["healthy"], true);
    hub.put("/admin/budget/echo", json!({ "daily_limit": 1.0 }), 200).await;
    assert_eq!(hub.get(health).await["healthy"], false);
    hub.put("/admin/budget/echo", json!({ "healthy": false }), 200).await;
    assert_eq!(hub.get(health).await["healthy"], false);
    assert_eq!(
        hub.get("/api/v1/system/budget-health?agent_id=scribe").await["healthy"],
        true
    );
    let reported = hub.get("/admin/consumption?agent_id=echo").await;
    assert_eq!(reported["consumption"].as_array().unwrap().len(), 2);
    assert_eq!(reported["consumption"][0]["tokens_output"], 20);
    hub.put("/admin/budget/echo", json!({ "daily_limit": -1 }), 422).await;
    hub.put("/admin/budget/nobody", json!({}), 404).await;
}

#[tokio::test]
async fn the_event_stream_tells_what_happens() {
    let hub = Hub::start().await;
    let mut stream = hub.request(Method::GET, "/api/v1/events").send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let post = hub.ada_posts("@echo\nnew line").await;
    hub.comments(&post, json!({ "agent_id": "echo" }), "here").await;
    hub.post("/api/v1/agents", json!({ "name": "mole" }), 201).await;
    let mut seen = String::new();
    while !seen.contains("\"mole\"") {
        seen.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
    }
    let events: Vec<(&str, Value)> = seen
        .split("\n\n")
        .filter(|event| event.starts_with("event: "))
        .map(|event| {
            let (name, data) = event["event: ".len()..].split_once("\ndata: ").unwrap();
            (name, serde_json::from_str(data).unwrap())
        })
        .collect();
    let names: Vec<_> = events.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["hello", "post", "comment", "agent"]);
    assert_eq!(events[1].1["content"], "@echo\nnew line");
    assert_eq!(events[2].1["post_id"], *post);
    assert_eq!(events[2].1["comment"]["author"]["name"], "echo");
}
