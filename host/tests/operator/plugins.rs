//! Plugins and definitions as a host's API shows them and reads them again.

use serde_json::json;

use super::*;

#[tokio::test]
async fn agents_and_plugins_are_listed_with_what_is_wrong() {
    let served = Served::start().await;
    let (_, agents) = served.get("/api/v1/agents").await;
    let agents = agents["agents"].as_array().unwrap();
    assert_eq!(agents.len(), 3);
    assert!(
        agents
            .iter()
            .any(|a| a["name"] == "wrong" && a["error"].as_str().unwrap().contains("config.yaml")),
        "{agents:?}"
    );
    let (_, plugins) = served.get("/api/v1/plugins").await;
    let plugins = plugins["plugins"].as_array().unwrap();
    assert_eq!(
        (&plugins[0]["error"], &plugins[0]["running"]),
        (&json!("not a component"), &json!(null))
    );
    assert_eq!(
        (&plugins[1]["agents"], &plugins[1]["running"]["generation"]),
        (&json!(["echo"]), &json!(3))
    );
    let (_, lost) = served.get("/api/v1/agents/lost").await;
    assert!(lost["why"][0].as_str().unwrap().contains("no plugin nowhere"), "{lost}");
}

#[tokio::test]
async fn a_reload_is_answered_plugin_by_plugin_and_refused_as_a_whole_where_it_can_t_be_begun() {
    let served = Served::start().await;
    let reload = |body: serde_json::Value| served.post("/api/v1/plugins/reload", body);
    let (status, all) = reload(json!({})).await;
    let results: Vec<_> = all["plugins"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["result"])
        .collect();
    assert_eq!(
        (status, results),
        (200, vec![&json!("refused"), &json!("replaced")]),
        "{all}"
    );
    assert_eq!(
        (&all["host"], &all["plugins"][0]["error"]),
        (&json!("host-1"), &json!("not a component"))
    );
    for (body, expected, words) in [
        (json!({ "plugin": "echo" }), 200, "replaced"),
        (json!({ "plugin": "nope" }), 404, "there is no plugin nope"),
        (json!({ "plugin": "late" }), 503, "this host is stopping"),
        (json!({ "plugin": "Not A Name" }), 422, "Not A Name"),
        (json!({ "plugins": "echo" }), 422, "unknown field"),
    ] {
        let (status, answer) = reload(body.clone()).await;
        assert_eq!(status, expected, "{body}: {answer}");
        assert!(answer.to_string().contains(words), "{body}: {answer}");
    }
    let without = served
        .request(Method::POST, "/api/v1/plugins/reload")
        .json(&json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(without.status(), 401);
}

#[tokio::test]
async fn definitions_are_read_again_by_the_familiar_call() {
    let served = Served::start().await;
    let ask = |query: &'static str| {
        let request = served.request(Method::POST, &format!("/api/v1/cache/invalidate{query}"));
        async move {
            let answer = request.bearer_auth(TOKEN).send().await.unwrap();
            (
                answer.status().as_u16(),
                answer.json::<serde_json::Value>().await.unwrap(),
            )
        }
    };
    let (status, one) = ask("?agent=echo").await;
    assert_eq!((status, &one["agents"][0]["result"]), (200, &json!("new")), "{one}");
    let (status, all) = ask("").await;
    let results: Vec<_> = all["agents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (&one["agent"], &one["result"]))
        .collect();
    let expected = [("echo", "unchanged"), ("lost", "new"), ("wrong", "refused")].map(|(a, b)| (json!(a), json!(b)));
    assert_eq!(
        (status, results),
        (200, expected.iter().map(|(a, b)| (a, b)).collect()),
        "{all}"
    );
    assert!(
        all["agents"][2]["error"].as_str().unwrap().contains("config.yaml"),
        "{all}"
    );
    assert_eq!(ask("?agent=nobody").await.0, 404);
    assert_eq!(ask("?agent=No+Name").await.0, 422);
    assert_eq!(ask("?agnt=echo").await.0, 422);
}
