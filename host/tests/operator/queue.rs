//! The queue as operators look at it, and what wrong parameters are answered.

use serde_json::{Value, json};

use super::{commands::assert_ends, *};

fn ids(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap().iter();
    items.map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn stats_tell_what_is_where_and_how_much_fits() {
    let served = Served::with(StorePolicy {
        max_queue: 20,
        ..StorePolicy::default()
    })
    .await;
    served.kill(2).await;
    served
        .store
        .queue
        .enqueue(None, (0..3).map(direct).collect())
        .await
        .unwrap();
    let (status, view) = served.get("/api/v1/queue").await;
    assert_eq!(status, 200, "{view}");
    assert_eq!(
        view["priorities"][0],
        json!({ "priority": "high", "ready": 3, "room": 17, "limit": 20 })
    );
    assert_eq!(
        (&view["priorities"][2]["room"], &view["queue"]["dead"]),
        (&json!(20), &json!(2))
    );
    assert!(view["queue"]["oldest_dead_seconds"].is_number(), "{view}");
    let stats = served.command(&["queue", "stats"], "").await;
    assert_ends(
        &stats,
        0,
        &[
            "high      3      17    20",
            "dead     2, the first for 0s",
            "oldest   ready for",
        ],
    );
}

#[tokio::test]
async fn items_are_listed_by_filter_and_in_pages() {
    let served = Served::start().await;
    let dead: Vec<String> = served.kill(5).await.iter().map(ToString::to_string).collect();
    served
        .store
        .queue
        .enqueue(None, (0..4).map(direct).collect())
        .await
        .unwrap();
    let (_, all) = served.get("/api/v1/items").await;
    assert_eq!((ids(&all).len(), &all["next"]), (9, &Value::Null), "{all}");
    assert!(all["items"][0].get("payload").is_none(), "a list shows no payloads");
    assert_eq!(all["items"][0]["payload_bytes"], 9);

    let (mut path, mut read) = ("/api/v1/items?state=dead&limit=2".to_owned(), Vec::new());
    loop {
        let (_, page) = served.get(&path).await;
        read.extend(ids(&page));
        let Some(next) = page["next"].as_u64() else { break };
        path = format!("/api/v1/items?state=dead&limit=2&after={next}");
    }
    assert_eq!(read, dead.iter().rev().cloned().collect::<Vec<_>>());

    let (_, of_one) = served.get("/api/v1/items?agent=a3&type=direct").await;
    assert_eq!(ids(&of_one).len(), 2);
    let (_, of_one) = served.get("/api/v1/items?agent=id-a3&state=queued").await;
    assert_eq!(ids(&of_one).len(), 1);
    let (_, trapped) = served.get("/api/v1/items?reason=trap").await;
    assert_eq!(ids(&trapped).len(), 0);
    let (_, unmet) = served.get("/api/v1/items?agent=echo").await;
    assert_eq!(
        unmet,
        json!({ "items": [], "next": null }),
        "it has a definition, and no items"
    );

    let shown = served
        .command(&["queue", "list", "--state", "dead", "--limit", "3"], "")
        .await;
    assert_ends(&shown, 0, &["ITEM", "guest_error: no", "There may be more"]);
    let json = served.command(&["queue", "list", "--agent", "a1", "--json"], "").await;
    assert_eq!(ids(&serde_json::from_slice(&json.stdout).unwrap()).len(), 2);
    assert_ends(
        &served.command(&["queue", "list", "--state", "held"], "").await,
        0,
        &["there are no such items"],
    );
}

#[tokio::test]
async fn wrong_parameters_are_named_with_their_value_and_what_is_allowed() {
    let served = Served::start().await;
    for (path, status, parts) in [
        ("/api/v1/items?limit=0", 422, &["limit", "\"0\"", "from 1 to 500"][..]),
        ("/api/v1/items?limit=x", 422, &["limit", "\"x\"", "from 1 to 500"]),
        ("/api/v1/items?limit=501", 422, &["limit", "\"501\"", "from 1 to 500"]),
        ("/api/v1/items?state=foo", 422, &["state", "\"foo\"", "`dead`"]),
        ("/api/v1/items?type=foo", 422, &["type", "\"foo\"", "`inbox`"]),
        ("/api/v1/items?reason=foo", 422, &["reason", "\"foo\"", "`trap`"]),
        ("/api/v1/items?after=-1", 422, &["after", "\"-1\""]),
        ("/api/v1/items?stat=dead", 422, &["\"stat\"", "did you mean state?"]),
        ("/api/v1/items?limit=1&limit=2", 422, &["\"limit\"", "more than once"]),
        (
            "/api/v1/items?agent=ehco",
            404,
            &["no agent ehco", "did you mean echo?"],
        ),
        (
            "/api/v1/items?agent=zzzzzz",
            404,
            &["no agent zzzzzz", "warren agent list"],
        ),
        ("/api/v1/events?limit=0", 422, &["limit", "\"0\"", "from 1 to 1000"]),
        ("/api/v1/events?wait=61", 422, &["wait", "\"61\"", "from 0 to 60"]),
        ("/api/v1/events?kind=Foo!", 422, &["kind", "\"Foo!\"", "breaker_opened"]),
        ("/api/v1/events/stream?after=x", 422, &["after", "\"x\""]),
        ("/api/v1/events/stream?agent=ehco", 404, &["did you mean echo?"]),
        ("/api/v1/agents?after=x", 422, &["after", "\"x\"", "`next`"]),
        ("/api/v1/agents?limit=1000", 422, &["limit", "from 1 to 500"]),
        (
            "/api/v1/items/01890000-0000-7000-8000-000000000001?wait=x",
            422,
            &["wait", "\"x\""],
        ),
    ] {
        let (got, error) = served.get(path).await;
        let message = error["error"]["message"].as_str().unwrap_or_default();
        assert_eq!(got, status, "{path}: {message}");
        for part in parts {
            assert!(message.contains(part), "{path}: {part:?} is not in {message:?}");
        }
    }
}

#[tokio::test]
async fn wrong_arguments_end_with_usage_or_not_found() {
    let served = Served::start().await;
    for (args, code, parts) in [
        (
            &["queue", "list", "--state", "foo"][..],
            2,
            &["--state", "\"foo\"", "`dead`"][..],
        ),
        (&["queue", "list", "--limit", "0"], 2, &["--limit", "0"]),
        (&["queue", "list", "--agent", "ehco"], 3, &["did you mean echo?"]),
        (&["queue", "dead", "show", "7"], 2, &["\"7\" is not a UUID"]),
        (&["queue", "dead", "list", "--reason", "bad"], 2, &["\"bad\"", "`trap`"]),
        (&["queue", "dead", "requeue"], 2, &["--all", "--agent"]),
        (
            &["queue", "dead", "requeue", "--all", "--agent", "echo"],
            2,
            &["cannot be used with"],
        ),
        (
            &["queue", "dead", "requeue", "--agent", "ehco"],
            3,
            &["did you mean echo?"],
        ),
        (
            &["queue", "dead", "show", "01890000-0000-7000-8000-000000000001"],
            3,
            &["there is no item 01890000"],
        ),
        (&["agent", "pause", "ehco"], 3, &["did you mean echo?"]),
        (
            &["agent", "breaker", "reset", "echo"],
            3,
            &["has no breaker yet", "warren agent pause echo"],
        ),
        (&["agent", "breaker", "explode", "echo"], 2, &["explode"]),
        (&["agent", "list", "--limit", "0"], 2, &["--limit"]),
        (&["agent", "show", "ehco"], 3, &["did you mean echo?"]),
        (&["events", "--after", "x"], 2, &["--after"]),
        (&["events", "--kind", "FOO"], 2, &["kind", "\"FOO\""]),
        (&["events", "--agent", "ehco"], 3, &["did you mean echo?"]),
        (&["submit", "ehco", "--payload", "x"], 3, &["did you mean echo?"]),
    ] {
        assert_ends(&served.command(args, "").await, code, parts);
    }
}
