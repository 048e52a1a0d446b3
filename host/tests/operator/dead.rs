//! Dead letters: looked at, put back, deleted.

use serde_json::{Value, json};

use super::{commands::assert_ends, *};

async fn states(served: &Served) -> (u64, u64) {
    let stats = served.store.queue.stats().await.unwrap();
    (stats.queued.values().sum(), stats.dead)
}

#[tokio::test]
async fn they_are_listed_and_shown_with_the_payload_for_the_token_only() {
    let served = Served::start().await;
    let dead = served.kill(3).await;
    let list = served.command(&["queue", "dead", "list", "--agent", "a1"], "").await;
    assert_ends(&list, 0, &["DIED", &dead[1].to_string(), "guest_error: no"]);
    assert!(!String::from_utf8_lossy(&list.stdout).contains(&dead[0].to_string()));
    let id = dead[2].to_string();
    let shown = served.command(&["queue", "dead", "show", &id], "").await;
    assert_ends(&shown, 0, &["a2 (id-a2)", "guest_error: no", "  payload 2"]);
    let (_, without) = served.get(&format!("/api/v1/items/{id}")).await;
    assert!(
        without.get("payload").is_none() && without["payload_bytes"] == 9,
        "{without}"
    );
    assert_ends(
        &served.command(&["queue", "dead", "list", "--reason", "trap"], "").await,
        0,
        &["there are no such dead letters"],
    );
}

#[tokio::test]
async fn some_are_put_back_and_some_deleted() {
    let served = Served::start().await;
    let dead: Vec<String> = served.kill(6).await.iter().map(ToString::to_string).collect();
    let requeue = served
        .command(&["queue", "dead", "requeue", &dead[0], &dead[1]], "")
        .await;
    assert_ends(&requeue, 0, &["2 dead letters were put back into the queue"]);
    assert_eq!(states(&served).await, (2, 4));
    let again = served.command(&["queue", "dead", "requeue", &dead[0]], "").await;
    assert_ends(&again, 3, &["0 dead letters", "1 are not dead, or not there"]);
    let agent = served.command(&["queue", "dead", "requeue", "--agent", "a2"], "").await;
    assert_ends(&agent, 0, &["1 dead letter was put back"]);
    let none = served
        .command(&["queue", "dead", "requeue", "--all", "--reason", "trap"], "")
        .await;
    assert_ends(&none, 0, &["there are no such dead letters"]);
    let purge = served.command(&["queue", "dead", "purge", &dead[3]], "").await;
    assert_ends(&purge, 0, &["1 dead letter was deleted"]);

    let unasked = served.command(&["queue", "dead", "purge", "--all"], "y\n").await;
    assert_ends(&unasked, 2, &["all dead letters", "--yes"]);
    let unasked = served
        .command(&["queue", "dead", "purge", "--agent", "a4"], "y\n")
        .await;
    assert_ends(&unasked, 2, &["all dead letters of agent a4", "--yes"]);
    assert_eq!(states(&served).await, (3, 2));
    let all = served
        .command(&["queue", "dead", "purge", "--all", "--yes", "--json"], "")
        .await;
    let answer: Value = serde_json::from_slice(&all.stdout).unwrap();
    assert_eq!((&answer["done"], &answer["no_room"]), (&json!(2), &json!(0)));
    assert_eq!(states(&served).await, (3, 0));

    let (_, events) = served.get("/api/v1/events?kind=dead").await;
    let told: Vec<_> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            (
                event["kind"].as_str().unwrap(),
                event["agent"].as_str(),
                event["detail"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("dead_requeued", None, "2 dead letters put back into the queue"),
            ("dead_requeued", Some("a2"), "1 dead letters put back into the queue"),
            ("dead_purged", None, "1 dead letters deleted"),
            ("dead_purged", None, "2 dead letters deleted"),
        ]
    );
}

#[tokio::test]
async fn what_has_no_room_stays_dead_and_is_told() {
    let served = Served::with(StorePolicy {
        max_queue: 3,
        ..StorePolicy::default()
    })
    .await;
    let mut dead = Vec::new();
    for _ in 0..2 {
        dead.extend(served.kill(3).await);
    }
    let requeue = served.command(&["queue", "dead", "requeue", "--all"], "").await;
    assert_ends(
        &requeue,
        1,
        &[
            "3 dead letters were put back",
            "3 stay dead, because their queue is full",
            "queue.max_length",
        ],
    );
    assert_eq!(states(&served).await, (3, 3));
    // Those that were enqueued first went first.
    for (n, id) in dead.iter().enumerate() {
        let state = served.store.queue.item(*id).await.unwrap().unwrap().state;
        assert_eq!(state.as_str(), if n < 3 { "queued" } else { "dead" });
    }
}

#[tokio::test]
async fn ten_thousand_are_put_back_at_once_while_the_host_stays_there() {
    const ALL: usize = 10_000;
    let served = Served::start().await;
    served.kill(ALL).await;
    let requeue = served.command(&["queue", "dead", "requeue", "--all", "--json"], "");
    tokio::pin!(requeue);
    let mut slowest = Duration::ZERO;
    let output = loop {
        tokio::select! {
            output = &mut requeue => break output,
            () = tokio::time::sleep(Duration::from_millis(20)) => {
                let started = Instant::now();
                // Somebody else's change, and what monitoring asks.
                let submit = json!({ "agent": "echo", "payload": "", "agent_id": "e1", "priority": "low" });
                assert_eq!(served.submit(submit).await.0, 201);
                assert_eq!(served.get("/health").await.0, 200);
                slowest = slowest.max(started.elapsed());
            }
        }
    };
    assert_ends(&output, 0, &["\"done\": 10000"]);
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
}

/// A request that was made and whose answer was lost is made again by going on with what is still dead.
#[tokio::test]
async fn a_cut_connection_loses_no_progress_and_what_died_meanwhile_is_left_alone() {
    let served = Served::start().await;
    served.kill(2_500).await;
    let (status, first) = served.post("/api/v1/dead/requeue", json!({ "all": true })).await;
    assert_eq!((status, &first["done"]), (200, &json!(1000)), "{first}");
    assert!(first["next"].is_u64(), "{first}");
    // The answer is lost: the whole is begun again.
    let again = served.command(&["queue", "dead", "requeue", "--all"], "").await;
    assert_ends(&again, 0, &["1500 dead letters were put back"]);
    assert_eq!(states(&served).await, (2_500, 0));

    // Going on as of the first request touches nothing that died since.
    served.run_one(Reason::GuestError, "again").await;
    let next = json!({ "all": true, "as_of": first["as_of"], "after": first["next"] });
    let (_, rest) = served.post("/api/v1/dead/requeue", next).await;
    assert_eq!((&rest["done"], &rest["next"]), (&json!(0), &Value::Null), "{rest}");
}

#[tokio::test]
async fn requests_that_say_nothing_or_too_much_change_nothing() {
    let served = Served::start().await;
    let dead = served.kill(2).await;
    let id = dead[0].to_string();
    for (body, part) in [
        (json!({}), "exactly one"),
        (json!({ "all": true, "agent": "a0" }), "exactly one"),
        (json!({ "all": true, "ids": [id] }), "exactly one"),
        (json!({ "ids": ["7"] }), "\"7\" is not a UUID"),
        (json!({ "ids": vec![id.clone(); 1001] }), "1001 are too many"),
        (json!({ "ids": [id], "reason": "trap" }), "not among `ids`"),
        (json!({ "all": true, "reason": "bad" }), "`trap`"),
        (json!({ "al": true }), "unknown field `al`"),
    ] {
        for deed in ["requeue", "purge"] {
            let (status, error) = served.post(&format!("/api/v1/dead/{deed}"), body.clone()).await;
            let message = error["error"]["message"].as_str().unwrap_or_default();
            assert!(status == 422 && message.contains(part), "{body}: {status} {error}");
        }
    }
    let (status, _) = served.post("/api/v1/dead/purge", json!({ "agent": "nobody" })).await;
    assert_eq!(status, 404);
    let request = served
        .request(Method::POST, "/api/v1/dead/purge")
        .json(&json!({ "all": true }));
    assert_eq!(request.send().await.unwrap().status(), 401, "a change needs the token");
    assert_eq!(states(&served).await, (0, 2));
}
