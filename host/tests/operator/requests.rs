//! The API over HTTP.

use serde_json::json;

use super::*;

#[tokio::test]
async fn a_submitted_item_is_shown_waited_for_and_explained() {
    let served = Served::start().await;
    let request = json!({ "agent": "echo", "payload": "hello", "agent_id": "a1" });
    let response = served
        .request(Method::POST, "/api/v1/items")
        .bearer_auth(TOKEN)
        .json(&request)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 201);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let submitted: serde_json::Value = response.json().await.unwrap();
    assert_eq!(submitted["state"], "queued");

    let (_, item) = served.get(&location).await;
    assert_eq!(
        (&item["priority"], &item["task_type"], &item["agent_id"]),
        (&json!("high"), &json!("direct"), &json!("a1"))
    );
    let (_, agent) = served.get("/api/v1/agents/echo").await;
    assert!(agent["why"][0].as_str().unwrap().contains("is ready"), "{agent}");

    let waiting_path = format!("{location}?wait=15");
    let (waited, ()) = tokio::join!(served.get(&waiting_path), served.run_one(Reason::Ok, "answered 1"));
    assert_eq!(
        (&waited.1["state"], &waited.1["reason"]),
        (&json!("done"), &json!("ok")),
        "{waited:?}"
    );
    assert_eq!(waited.1["generation"], "echo@3");

    let (_, agent) = served.get("/api/v1/agents/a1").await;
    assert_eq!(
        (&agent["name"], &agent["endings"]),
        (&json!("echo"), &json!({ "ok": 1 })),
        "{agent}"
    );
    assert!(
        agent["why"].to_string().contains("Nothing stands in its way"),
        "{agent}"
    );
    // The store knows the agent now.
    assert_eq!(served.submit(json!({ "agent": "echo", "payload": "" })).await.0, 201);
}

#[tokio::test]
async fn the_same_submit_again_makes_no_second_item() {
    let served = Served::start().await;
    let request = json!({
        "agent": "echo", "payload": "x", "agent_id": "a1", "id": "01890000-0000-7000-8000-000000000001"
    });
    let first = served.submit(request.clone()).await;
    assert_eq!(first.0, 201);
    assert_eq!(served.submit(request).await, first);
    let (_, status) = served.get("/api/v1/status").await;
    assert_eq!(status["queue"]["queued"]["high"], 1, "{status}");
}

#[tokio::test]
async fn bad_submits_are_refused_with_words() {
    let served = Served::start().await;
    let big = "x".repeat(warren::domain::work_item::MAX_PAYLOAD + 1);
    let bigger = "x".repeat(8 * warren::domain::work_item::MAX_PAYLOAD);
    let cases = [
        (json!({ "agent": "nobody", "payload": "" }), 404, "no definition"),
        (json!({ "agent": "wrong", "payload": "" }), 422, "config.yaml"),
        (json!({ "agent": "../etc", "payload": "" }), 422, "a-z 0-9"),
        (json!({ "agent": "echo", "payload": "" }), 422, "agent_id"),
        (
            json!({ "agent": "echo", "payload": "", "agent_id": "a1", "priority": "urgent" }),
            422,
            "`low`",
        ),
        (
            json!({ "agent": "echo", "payload": "", "agent_id": "a1", "id": "7" }),
            422,
            "UUID",
        ),
        (
            json!({ "agent": "echo", "payload": "", "colour": "red" }),
            422,
            "colour",
        ),
        (json!({ "agent": "echo" }), 422, "payload"),
        (json!([]), 422, "not valid"),
        (
            json!({ "agent": "echo", "payload": big, "agent_id": "a1" }),
            413,
            "1048576",
        ),
        (
            json!({ "agent": "echo", "payload": bigger, "agent_id": "a1" }),
            413,
            "1048576",
        ),
    ];
    for (body, status, words) in cases {
        let shown: String = body.to_string().chars().take(100).collect();
        let (got, error) = served.submit(body).await;
        let message = error["error"]["message"].as_str().unwrap_or_default();
        assert!(got == status && message.contains(words), "{shown}: {got} {error}");
    }
    let form = served
        .request(Method::POST, "/api/v1/items")
        .bearer_auth(TOKEN)
        .body(r#"{"agent":"echo","payload":""}"#);
    assert_eq!(form.send().await.unwrap().status(), 415);
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_back() {
    let served = Served::with(StorePolicy {
        max_queue: 1,
        ..StorePolicy::default()
    })
    .await;
    assert_eq!(
        served
            .submit(json!({ "agent": "echo", "payload": "", "agent_id": "a1" }))
            .await
            .0,
        201
    );
    let body = json!({ "agent": "echo", "payload": "", "agent_id": "a2" });
    let response = served
        .request(Method::POST, "/api/v1/items")
        .bearer_auth(TOKEN)
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (
            response.status().as_u16(),
            response.headers()["retry-after"].to_str().unwrap()
        ),
        (429, "5")
    );
    assert!(response.text().await.unwrap().contains("queue_full"));
}

#[tokio::test]
async fn access_is_checked_before_anything_else() {
    let served = Served::start().await;
    let post = || served.request(Method::POST, "/api/v1/items").json(&json!({}));
    let refused = post().send().await.unwrap();
    assert_eq!(
        (
            refused.status().as_u16(),
            refused.headers()["www-authenticate"].to_str().unwrap()
        ),
        (401, "Bearer")
    );
    assert_eq!(
        post()
            .bearer_auth("a-token-of-somebody-else")
            .send()
            .await
            .unwrap()
            .status(),
        401
    );
    let rebound = served
        .request(Method::GET, "/api/v1/status")
        .header("host", "evil.example");
    assert_eq!(rebound.send().await.unwrap().status(), 421);
    let foreign = served
        .request(Method::GET, "/api/v1/status")
        .header("origin", "http://evil.example");
    assert_eq!(foreign.send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn what_does_not_exist_is_a_json_error() {
    let served = Served::start().await;
    for (path, status, code) in [
        ("/nowhere", 404, "not_found"),
        ("/api/v1/agents/nobody", 404, "not_found"),
        ("/api/v1/agents/NOBODY", 404, "not_found"),
        ("/api/v1/items/7", 422, "invalid"),
        ("/api/v1/items/01890000-0000-7000-8000-000000000001", 404, "not_found"),
        (
            "/api/v1/items/01890000-0000-7000-8000-000000000001?wait=soon",
            422,
            "invalid",
        ),
        ("/api/v1/events?limit=-1", 422, "invalid"),
    ] {
        let (got, error) = served.get(path).await;
        assert_eq!(
            (got, error["error"]["code"].as_str()),
            (status, Some(code)),
            "{path}: {error}"
        );
    }
    let delete = served
        .request(Method::DELETE, "/api/v1/status")
        .bearer_auth(TOKEN)
        .send()
        .await
        .unwrap();
    assert_eq!(delete.status(), 405);
    assert!(delete.text().await.unwrap().contains("method_not_allowed"));
}

#[tokio::test]
async fn events_are_listed_from_where_one_was() {
    let served = Served::start().await;
    for _ in 0..5 {
        served
            .submit(json!({ "agent": "echo", "payload": "", "agent_id": "a1" }))
            .await;
        served.run_one(Reason::Trap, "unreachable").await;
    }
    let (_, list) = served.get("/api/v1/events").await;
    let events = list["events"].as_array().unwrap();
    let opened = events.iter().find(|event| event["kind"] == "breaker_opened").unwrap();
    assert_eq!(opened["agent_id"], "a1");
    let (_, rest) = served.get(&format!("/api/v1/events?after={}", list["next"])).await;
    assert_eq!(
        (rest["events"].as_array().unwrap().len(), &rest["next"]),
        (0, &list["next"])
    );

    let (_, status) = served.get("/api/v1/status").await;
    assert_eq!(
        (&status["breakers"][0]["agent"], &status["breakers"][0]["state"]),
        (&json!("echo"), &json!("open"))
    );
}

#[tokio::test]
async fn stopping_ends_requests_that_wait() {
    let served = Served::start().await;
    let path = "/api/v1/events?wait=60&after=999999";
    let request = served.request(Method::GET, path).send();
    let stop = async {
        // Whether the request is there already or comes too late, it is not waited for.
        tokio::time::sleep(Duration::from_millis(100)).await;
        served.stop.cancel();
    };
    let started = Instant::now();
    let (response, ()) = tokio::join!(request, stop);
    assert_eq!(response.unwrap().status(), 503);
    served.server.await.unwrap().unwrap();
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_port_that_is_taken_is_told_with_the_way_out() {
    let served = Served::start().await;
    let error = api::listen(served.address).await.unwrap_err().to_string();
    assert!(
        error.contains(&served.address.to_string()) && error.contains("WARREN_API_LISTEN"),
        "{error}"
    );
}
