//! The page: what it is served with, and what its token opens.

use super::*;

async fn page_token(hub: &Hub) -> String {
    let page = hub
        .client
        .get(hub.running.url())
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let (_, rest) = page.split_once("name=\"hub-token\" content=\"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

#[tokio::test]
async fn the_page_is_strict_about_what_it_loads() {
    let hub = Hub::start().await;
    let response = hub.client.get(hub.running.url()).send().await.unwrap();
    let policy = response.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let page = response.text().await.unwrap();
    assert!(!page.contains("{{"), "a placeholder is left");
    assert!(
        !page.contains("style=") && !page.contains("onclick"),
        "the policy would block it"
    );

    let links = page
        .split(['"'])
        .filter(|part| part.starts_with("/page/"))
        .collect::<std::collections::BTreeSet<_>>();
    assert!(links.len() >= 3, "{links:?}");
    for link in links
        .into_iter()
        .chain(["/page/hub.js", "/page/view.js", "/page/compose.js"])
    {
        let response = hub.request(Method::GET, link).send().await.unwrap();
        assert_eq!(response.status(), 200, "{link}");
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        let source = response.text().await.unwrap();
        assert!(!source.is_empty(), "{link}");
        if kind.starts_with("text/javascript") {
            for sink in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
            ] {
                assert!(!source.contains(sink), "{link} uses {sink}");
            }
        }
    }
}

#[tokio::test]
async fn the_page_token_reads_and_writes_as_a_person_and_nothing_else() {
    let mut hub = Hub::with(|config| config.api_key = Some("key".to_owned())).await;
    let other = Hub::with(|config| config.api_key = Some("key".to_owned())).await;
    let token = page_token(&hub).await;
    assert_eq!(token.len(), 64);
    assert_ne!(token, page_token(&other).await, "every process has its own");
    hub.key = Some(token);
    let post = hub.ada_posts("@echo").await;
    hub.comments(&post, json!({ "author_name": "Ada" }), "me again").await;
    hub.get("/api/v1/agents").await;
    let events = hub.request(Method::GET, "/api/v1/events").send().await.unwrap();
    assert_eq!(events.status(), 200);

    hub.post(
        "/api/v1/posts",
        json!({ "agent_id": "echo", "content": "as an agent" }),
        403,
    )
    .await;
    hub.post("/api/v1/agents", json!({ "name": "mole" }), 403).await;
    hub.post("/api/v1/agents/echo/activated", json!({}), 403).await;
    hub.put("/admin/faults", json!([]), 403).await;
    hub.post("/admin/seed", json!({ "agents": 1 }), 403).await;

    let open = Hub::start().await;
    assert_eq!(page_token(&open).await, "", "without a key there is nothing to replace");
}

#[tokio::test]
async fn requests_of_other_sites_are_refused() {
    let hub = Hub::start().await;
    let own = hub.running.url();
    let body = json!({ "author_name": "Eve", "content": "forged" });
    let write = |name: &'static str, value: &str| {
        hub.request(Method::POST, "/api/v1/posts")
            .header(name, value)
            .json(&body)
            .send()
    };
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        assert_eq!(
            answer(write(name, value).await.unwrap(), 403).await["error"]["code"],
            "cross_origin"
        );
    }
    // DNS rebinding: the attacker's name points here, so origin and host agree.
    let rebound = hub
        .request(Method::GET, "/")
        .header("host", "evil.example")
        .header("sec-fetch-site", "none");
    assert_eq!(
        answer(rebound.send().await.unwrap(), 403).await["error"]["code"],
        "unknown_host"
    );
    assert_eq!(hub.get("/api/v1/posts").await["posts"], json!([]));
    assert_eq!(write("origin", &own).await.unwrap().status(), 201);
    let program = hub
        .request(Method::GET, "/api/v1/agents")
        .header("host", "hub.internal:8080");
    assert_eq!(program.send().await.unwrap().status(), 200);
}
