//! Every kind of fault, as a client meets it.

use super::*;
use std::time::Instant;

impl Hub {
    async fn fault(&self, rule: Value) {
        self.put("/admin/faults", json!({ "rules": [rule] }), 200).await;
    }

    async fn send(&self, path: &str) -> reqwest::Result<Response> {
        self.request(Method::GET, path).send().await
    }
}

#[tokio::test]
async fn latency_delays_the_answer() {
    let hub = Hub::start().await;
    hub.fault(json!({ "path": "/api/v1/agents", "kind": "latency", "ms": 250 }))
        .await;
    let started = Instant::now();
    hub.get("/api/v1/agents").await;
    assert!(started.elapsed() >= Duration::from_millis(250));
    let started = Instant::now();
    hub.get("/api/v1/posts").await;
    assert!(
        started.elapsed() < Duration::from_millis(250),
        "another path was struck"
    );
}

#[tokio::test]
async fn status_answers_with_retry_after() {
    let hub = Hub::start().await;
    for status in [401, 429, 500, 503] {
        hub.fault(json!({ "path": "/api/", "kind": "status", "status": status, "retry_after": 7 }))
            .await;
        let response = hub.send("/api/v1/agents").await.unwrap();
        assert_eq!(response.headers()["retry-after"], "7");
        assert_eq!(answer(response, status).await["error"]["code"], "fault");
    }
    hub.fault(json!({ "path": "/api/", "kind": "status" })).await;
    assert_eq!(hub.send("/api/v1/agents").await.unwrap().status(), 500);
}

#[tokio::test]
async fn a_fault_before_the_effect_prevents_it_and_one_after_does_not() {
    let hub = Hub::start().await;
    let write = async || {
        hub.request(Method::POST, "/api/v1/posts")
            .json(&json!({ "agent_id": "echo", "content": "x" }))
            .send()
            .await
    };
    for (kind, after, effects) in [
        ("status", false, 0),
        ("drop", false, 0),
        ("status", true, 1),
        ("drop", true, 2),
        ("drop_after", false, 3),
        ("hang", true, 4),
    ] {
        hub.fault(json!({ "path": "/api/v1/posts", "method": "post", "kind": kind, "after": after, "ms": 50 }))
            .await;
        match write().await {
            Ok(response) => assert_eq!((kind, response.status().as_u16()), ("status", 500)),
            Err(error) => assert!(kind != "status" && error.is_request(), "{kind}: {error:?}"),
        }
        // The fault is gone for this question: it would strike GET too if it minded no method.
        assert_eq!(
            hub.get("/api/v1/posts").await["posts"].as_array().unwrap().len(),
            effects,
            "{kind} after={after}"
        );
        assert_eq!(hub.effects("post").await.len(), effects);
    }
}

#[tokio::test]
async fn truncated_and_cut_answers_break_differently() {
    let hub = Hub::start().await;
    hub.fault(json!({ "path": "/api/v1/agents", "kind": "truncate" })).await;
    let half = hub.send("/api/v1/agents").await.unwrap().text().await.unwrap();
    assert!(
        half.starts_with("{\"agents\":[") && serde_json::from_str::<Value>(&half).is_err(),
        "{half}"
    );
    hub.fault(json!({ "path": "/api/v1/agents", "kind": "cut" })).await;
    let response = hub.send("/api/v1/agents").await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.text().await.is_err(), "the body should have broken off");
}

#[tokio::test]
async fn html_comes_instead_of_json() {
    let hub = Hub::start().await;
    hub.fault(json!({ "path": "/api/v1/agents", "kind": "html", "status": 502 }))
        .await;
    let response = hub.send("/api/v1/agents").await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (502, &"text/html; charset=utf-8".parse().unwrap())
    );
    assert!(response.text().await.unwrap().starts_with("<!doctype html>"));
}

#[tokio::test]
async fn a_hang_lasts_until_the_faults_are_replaced() {
    let hub = Hub::start().await;
    hub.fault(json!({ "path": "/api/v1/agents", "kind": "hang" })).await;
    let hanging = tokio::spawn(hub.request(Method::GET, "/api/v1/agents").send());
    eventually("the request hangs", async || {
        hub.get("/admin/faults").await["counts"][0]["struck"] == 1
    })
    .await;
    assert!(!hanging.is_finished());
    let cleared = hub.request(Method::DELETE, "/admin/faults").send().await.unwrap();
    assert_eq!(cleared.status(), 204);
    assert!(
        hanging.await.unwrap().is_err(),
        "a request that hung is answered by a closed connection"
    );
    hub.get("/api/v1/agents").await;
}

#[tokio::test]
async fn faults_strike_by_times_rate_and_pattern() {
    let hub = Hub::start().await;
    hub.fault(json!({ "path": "/api/v1/*ents", "method": "GET", "kind": "status", "times": 2 }))
        .await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(hub.send("/api/v1/agents").await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [500, 500, 200]);

    let rule = json!({ "path": "/api/", "kind": "status", "rate": 0.5, "seed": 3 });
    let mut rounds = Vec::new();
    for _ in 0..2 {
        hub.fault(rule.clone()).await;
        let mut struck = Vec::new();
        for _ in 0..24 {
            struck.push(hub.send("/api/v1/agents").await.unwrap().status() == 500);
        }
        rounds.push(struck);
    }
    assert_eq!(rounds[0], rounds[1], "the same seed should strike the same requests");
    assert!(rounds[0].contains(&true) && rounds[0].contains(&false));
    let report = hub.get("/admin/faults").await;
    let struck = rounds[1].iter().filter(|struck| **struck).count();
    assert_eq!(report["counts"], json!([{ "matched": 24, "struck": struck }]));
    assert_eq!(report["rules"][0]["seed"], 3);
}

#[tokio::test]
async fn a_hub_can_have_no_long_poll() {
    let hub = Hub::start().await;
    hub.put("/admin/faults", json!({ "no_long_poll": true }), 200).await;
    assert_eq!(
        hub.send("/api/v1/notifications/poll?timeout=1").await.unwrap().status(),
        404
    );
    hub.get("/api/v1/agents?has_notifications=true").await;
}

#[tokio::test]
async fn wrong_rules_are_refused_and_change_nothing() {
    let hub = Hub::start().await;
    hub.put(
        "/admin/faults",
        json!([{ "path": "/api/v1/posts", "kind": "status" }]),
        200,
    )
    .await;
    let cases = [
        (json!([{ "path": "/", "kind": "earthquake" }]), "earthquake"),
        (
            json!([{ "path": "/", "kind": "drop", "rate": 2 }]),
            "rules[0].rate is 2",
        ),
        (
            json!([{ "path": "/", "kind": "status", "status": 99 }]),
            "rules[0].status is 99",
        ),
        (json!([{ "path": "/", "kind": "latency" }]), "rules[0].ms is missing"),
        (json!([{ "path": "api", "kind": "drop" }]), "rules[0].path"),
        (json!({ "no_long_polls": true }), "no_long_polls"),
    ];
    for (body, names) in cases {
        let error = hub.put("/admin/faults", body, 422).await;
        assert!(text(&error["error"]["message"]).contains(names), "{error}");
    }
    assert_eq!(hub.send("/api/v1/posts").await.unwrap().status(), 500);
}
