//! Lists of agents.

use super::{
    player::{Play, Player},
    *,
};

#[tokio::test]
async fn a_hundred_thousand_agents_come_through() {
    let served = Served::start().await;
    let seed = json!({ "agents": 100_000, "notifications_each": 1 });
    served.ask(reqwest::Method::POST, "/admin/seed", Some(seed)).await;
    let mut names = std::collections::HashSet::new();
    let mut sink = |agent: PolledAgent| {
        assert_eq!(agent.notification_count, 1);
        names.insert(agent.name);
        ControlFlow::Continue(())
    };
    let polled = served.client().poll_plain(&mut sink).await.unwrap();
    assert_eq!((polled.agents, names.len()), (100_000, 100_000));
}

#[tokio::test]
async fn entries_that_are_not_valid_are_left_out_and_the_rest_is_in_order() {
    let body = r#"{"total": 9, "agents": [
        {"id": "few", "name": "few", "notification_count": 1, "extra": {"agents": []}},
        {"id": "", "name": "empty id"}, {"name": "no id"}, {"id": "no name"}, {"id": 7, "name": "number"}, null, [],
        {"id": "none", "name": "none"},
        {"id": "many", "name": "MANY", "notification_count": 99999999999, "last_activated_at": "garbage"},
        {"id": "null", "name": "null", "notification_count": null},
        {"id": "less", "name": "less", "notification_count": -3}
    ], "next": null}"#;
    let player = Player::start([Play::json("200 OK", body)]).await;
    let mut agents = Vec::new();
    let polled = client(&player.url())
        .poll(DEADLINE, 100, &mut all(&mut agents))
        .await
        .unwrap();
    let seen: Vec<_> = agents
        .iter()
        .map(|agent| (agent.id.as_str(), agent.notification_count))
        .collect();
    assert_eq!(
        seen,
        [("many", u32::MAX), ("few", 1), ("none", 0), ("null", 0), ("less", 0)]
    );
    assert_eq!((polled.agents, agents[0].name.as_str()), (5, "MANY"));
}

#[tokio::test]
async fn the_stalest_come_first() {
    let body = r#"{"agents": [
        {"id": "new", "name": "a", "last_activated_at": "2026-01-01T01:00:00+03:00"},
        {"id": "never", "name": "b"},
        {"id": "newer", "name": "c", "last_activated_at": "2025-12-31T23:00:00Z"},
        {"id": "nor", "name": "d", "last_activated_at": null},
        {"id": "old", "name": "e", "last_activated_at": "1969-01-01T00:00:00Z"}
    ]}"#;
    let player = Player::start([Play::json("200 OK", body)]).await;
    let mut agents = Vec::new();
    let client = client(&player.url());
    client
        .stale(Duration::from_secs(900), &mut all(&mut agents))
        .await
        .unwrap();
    let ids: Vec<_> = agents.iter().map(|agent| agent.id.as_str()).collect();
    assert_eq!(ids, ["never", "nor", "old", "new", "newer"]);
    assert!(player.requests()[0].starts_with("GET /api/v1/agents?stale=true&min_staleness=900 "));
}

#[tokio::test]
async fn lists_may_be_absent_or_null_but_nothing_else() {
    for body in ["{}", r#"{"agents":null}"#, r#"{"agents":[]}"#] {
        let player = Player::start([Play::json("200 OK", body)]).await;
        let polled = client(&player.url())
            .poll_plain(&mut |_| ControlFlow::Continue(()))
            .await;
        assert_eq!(polled.unwrap().agents, 0, "{body}");
    }
    for body in [
        "[]",
        r#"{"agents":{}}"#,
        r#"{"agents":[]} x"#,
        r#"{"agents":[{"id":"a"#,
        "",
        "<html>",
    ] {
        let player = Player::start([Play::json("200 OK", body)]).await;
        let error = client(&player.url())
            .poll_plain(&mut |_| ControlFlow::Continue(()))
            .await
            .unwrap_err();
        assert!(matches!(error, HubError::Malformed(_)), "{body}: {error:?}");
        says(&error, &["/api/v1/agents: answered 200 with application/json"]);
        assert_eq!(player.requests().len(), 1);
    }
}

/// A list without end, as one long chunked answer.
fn endless(times: usize) -> Play {
    let entries = r#"{"id":"a","name":"a","notification_count":1},"#.repeat(2000);
    let piece = format!("{:x}\r\n{entries}\r\n", entries.len());
    Play::Repeat {
        head: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{\"agents\":[\r\n".to_vec(),
        piece: piece.into_bytes(),
        times,
        pause: Duration::ZERO,
        end: Vec::new(),
    }
}

#[tokio::test]
async fn breaking_off_ends_the_reading() {
    let player = Player::start([endless(1_000_000)]).await;
    let mut seen = 0;
    let mut sink = |_| {
        seen += 1;
        if seen < 5000 {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    };
    let polled = client(&player.url()).poll_plain(&mut sink).await.unwrap();
    assert_eq!((polled.agents, seen), (5000, 5000));
    eventually("the connection is closed", || player.left() == 1).await;
}

#[tokio::test]
async fn a_list_that_is_cut_is_asked_for_again_only_while_nothing_was_handed_over() {
    let good = Play::json("200 OK", r#"{"agents":[{"id":"a","name":"a"}]}"#);
    let player = Player::start([endless(0), good.clone()]).await;
    let polled = client(&player.url())
        .poll_plain(&mut |_| ControlFlow::Continue(()))
        .await;
    assert_eq!(polled.unwrap().agents, 1);
    assert_eq!(player.requests().len(), 2);

    let player = Player::start([endless(50), good]).await;
    let mut seen = 0;
    let mut sink = |_| {
        seen += 1;
        ControlFlow::Continue(())
    };
    let error = client(&player.url()).poll_plain(&mut sink).await.unwrap_err();
    assert!(
        matches!(error, HubError::Unavailable(_)) && seen > 1000,
        "{seen}: {error:?}"
    );
    says(&error, &["the answer was cut"]);
    assert_eq!(player.requests().len(), 1);
}
