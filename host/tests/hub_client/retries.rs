//! What is tried again, how often, and when.

use std::time::Instant;

use super::{
    player::{Play, Player},
    *,
};

#[tokio::test]
async fn reads_and_repeatable_writes_survive_what_passes() {
    let served = Served::start().await;
    let client = served.client();
    let post = served.person_posts("hello").await;
    for fault in [
        json!({ "kind": "status", "status": 500 }),
        json!({ "kind": "status", "status": 503, "retry_after": 0 }),
        json!({ "kind": "status", "status": 429 }),
        json!({ "kind": "status", "status": 408 }),
        json!({ "kind": "drop" }),
        json!({ "kind": "cut" }),
    ] {
        let mut rule = fault.clone();
        rule["path"] = "/api/".into();
        rule["times"] = 3.into();
        served.fault(rule.clone()).await;
        assert_eq!(client.post(&post).await.unwrap().content, "hello", "{fault}");
        assert_eq!(served.matched().await, 4, "{fault}");
        if fault["kind"] != "cut" {
            served.fault(rule).await;
            client.activated(&agent("echo")).await.unwrap();
            assert_eq!(served.matched().await, 4, "{fault}");
        }
    }
    served
        .fault(json!({ "path": "/api/", "kind": "status", "status": 500, "times": 3 }))
        .await;
    client.mark_read(&["unknown".to_owned()]).await.unwrap();
}

#[tokio::test]
async fn tries_are_bounded_and_what_does_not_pass_is_not_tried_again() {
    let served = Served::start().await;
    let client = served.client();
    served
        .fault(json!({ "path": "/api/", "kind": "status", "status": 500 }))
        .await;
    let error = client.post("x").await.unwrap_err();
    assert!(matches!(error, HubError::Unavailable(_)), "{error:?}");
    says(&error, &["GET ", "/api/v1/posts/x: 500", "4 tries"]);
    assert_eq!(served.matched().await, 4);

    for status in [400, 401, 403, 409, 422] {
        served
            .fault(json!({ "path": "/api/", "kind": "status", "status": status }))
            .await;
        let error = client.post("x").await.unwrap_err();
        says(&error, &[&status.to_string()]);
        assert_eq!(served.matched().await, 1, "{status}");
        // A wrong key is no fault of the agent that asked.
        assert_eq!(error.is_upstream(), status == 401, "{status}");
    }
    says(&client.post("x").await.unwrap_err(), &["422"]);
}

#[tokio::test]
async fn retry_after_is_waited_for_as_seconds_and_as_a_date() {
    let busy = |headers: &str| Play::answer("429 Too Many Requests", headers, "");
    let date = "Date: Wed, 21 Oct 2015 07:28:00 GMT\r\nRetry-After: Wed, 21 Oct 2015 07:28:01 GMT\r\n";
    let good = Play::json("200 OK", r#"{"healthy":true}"#);
    for headers in ["Retry-After: 1\r\n", date] {
        let player = Player::start([busy(headers), good.clone()]).await;
        let started = Instant::now();
        client(&player.url()).budget(&agent("a")).await.unwrap();
        assert!(
            started.elapsed() >= Duration::from_secs(1),
            "{headers}: {:?}",
            started.elapsed()
        );
        assert_eq!(player.requests().len(), 2);
    }
}

#[tokio::test]
async fn a_hub_that_asks_for_more_time_than_there_is_gets_it() {
    let player = Player::start([Play::answer("503 Service Unavailable", "Retry-After: 3600\r\n", "")]).await;
    let error = client(&player.url()).budget(&agent("a")).await.unwrap_err();
    says(&error, &["503", "1 try", "3600s", "60s"]);
    assert_eq!(player.requests().len(), 1);

    // Within 60 s, but past what this call has.
    let player = Player::start([Play::answer("503 Service Unavailable", "Retry-After: 30\r\n", "")]).await;
    let mut config = config(&player.url());
    config.call_budget = Duration::from_secs(5);
    let started = Instant::now();
    let error = HubClient::new(config).unwrap().budget(&agent("a")).await.unwrap_err();
    says(&error, &["503", "5s"]);
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(player.requests().len(), 1);
}

#[tokio::test]
async fn a_hub_that_is_slow_or_silent_costs_a_bounded_time() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n".to_vec();
    let drip = Play::Repeat {
        head,
        piece: b" ".to_vec(),
        times: 100_000,
        pause: Duration::from_millis(10),
        end: Vec::new(),
    };
    for play in [
        drip,
        Play::Hold(Vec::new()),
        Play::Hold(b"HTTP/1.1 200 OK\r\nContent-".to_vec()),
    ] {
        let player = Player::start([play]).await;
        let mut config = config(&player.url());
        config.request_timeout = Duration::from_millis(100);
        let client = HubClient::new(config).unwrap();
        let started = Instant::now();
        let error = client.budget(&agent("a")).await.unwrap_err();
        assert!(matches!(error, HubError::Unavailable(_)), "{error:?}");
        says(
            &error,
            &["/api/v1/system/budget-health: no whole answer within 100ms", "4 tries"],
        );
        assert!(started.elapsed() < Duration::from_secs(10));
        eventually("four requests came and were given up", || player.left() == 4).await;
        assert_eq!(player.requests().len(), 4);
    }
}

#[tokio::test]
async fn the_long_poll_is_not_tried_again() {
    let served = Served::start().await;
    let client = served.client();
    served
        .fault(json!({ "path": "/api/", "kind": "status", "status": 500 }))
        .await;
    let error = client
        .poll(DEADLINE, 10, &mut |_| ControlFlow::Continue(()))
        .await
        .unwrap_err();
    assert!(matches!(error, HubError::Unavailable(_)), "{error:?}");
    assert_eq!(served.matched().await, 1);

    served.switch(json!({ "no_long_poll": true })).await;
    let error = client
        .poll(DEADLINE, 10, &mut |_| ControlFlow::Continue(()))
        .await
        .unwrap_err();
    assert!(
        matches!(error, HubError::NotFound(_)),
        "the leader falls back on this: {error:?}"
    );
    client.poll_plain(&mut |_| ControlFlow::Continue(())).await.unwrap();
}

#[tokio::test]
async fn a_long_poll_lasts_its_timeout_and_a_margin_and_is_cut_by_dropping_it() {
    let player = Player::start([Play::Hold(Vec::new())]).await;
    let mut config = config(&player.url());
    config.poll_margin = Duration::from_millis(50);
    config.request_timeout = Duration::from_millis(1);
    let client = HubClient::new(config).unwrap();
    let started = Instant::now();
    let mut sink = |_| ControlFlow::Continue(());
    let error = client.poll(Duration::from_secs(1), 7, &mut sink).await.unwrap_err();
    says(&error, &["/api/v1/notifications/poll: no whole answer within 1.05s"]);
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert!(player.requests()[0].starts_with("GET /api/v1/notifications/poll?timeout=1&batch_size=7 HTTP/1.1"));
    eventually("the connection is closed", || player.left() == 1).await;

    tokio::select! {
        ended = client.poll(DEADLINE, 7, &mut sink) => panic!("{ended:?}"),
        () = eventually("the poll is under way", || player.requests().len() == 2) => {}
    }
    eventually("the dropped poll's connection is closed", || player.left() == 2).await;
}

#[tokio::test]
async fn a_hub_that_is_down_is_unavailable() {
    // A port that was free a moment ago, with nobody behind it.
    let address = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let client = client(&format!("http://{address}"));
    let error = client.notifications(&agent("a")).await.unwrap_err();
    assert!(matches!(error, HubError::Unavailable(_)), "{error:?}");
    says(&error, &["/api/v1/notifications: no connection", "refused", "4 tries"]);
    // A write was certainly not sent either.
    let error = client
        .create_post(&agent("a"), &new_post("x"), "k", false)
        .await
        .unwrap_err();
    assert!(matches!(error, HubError::Unavailable(_)), "{error:?}");
    says(&error, &["no connection", "4 tries"]);
}
