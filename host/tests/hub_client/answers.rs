//! Answers that are not what the API says.

use warren::domain::hub::NotificationKind;

use super::{
    player::{Play, Player},
    *,
};

#[tokio::test]
async fn html_and_half_a_json_are_malformed_and_not_asked_for_again() {
    let served = Served::start().await;
    let client = served.client();
    let post = served.person_posts("hello").await;
    served.fault(json!({ "path": "/api/", "kind": "html" })).await;
    let error = client.post(&post).await.unwrap_err();
    assert!(matches!(error, HubError::Malformed(_)), "{error:?}");
    says(
        &error,
        &[
            "GET http://",
            "/api/v1/posts/",
            "answered 200 with text/html",
            "line 1 column 1",
        ],
    );
    assert_eq!(served.matched().await, 1);

    served.fault(json!({ "path": "/api/", "kind": "truncate" })).await;
    let error = client.post(&post).await.unwrap_err();
    assert!(matches!(error, HubError::Malformed(_)), "{error:?}");
    says(&error, &["answered 200 with application/json", "EOF"]);
    assert_eq!(served.matched().await, 1);
    let error = client.poll_plain(&mut |_| ControlFlow::Continue(())).await.unwrap_err();
    assert!(matches!(error, HubError::Malformed(_)), "{error:?}");
    assert_eq!(served.matched().await, 2);
}

#[tokio::test]
async fn an_error_names_the_place_and_not_the_value() {
    let from = r#""from_agent":{"id":"i","name":"n"},"created_at":"2026-01-01T00:00:00Z""#;
    let cases = [
        (
            format!(
                r#"{{"notifications":[{{"id":"a","type":"dm",{from}}},{{"type":"dm","content":"hunter2",{from}}}]}}"#
            ),
            "missing field `id` at",
        ),
        (
            format!(
                r#"{{"notifications":[{{"id":"a","type":"dm",{from}}},{{"id":"b","type":"dm","content":["hunter2"],{from}}}]}}"#
            ),
            "notifications[1].content",
        ),
        (
            r#"{"notifications":"hunter2, expected a cake"}"#.to_owned(),
            "something else than a sequence",
        ),
        (
            format!(
                r#"{{"notifications":[{{"id":"a","type":"dm",{}}}]}}"#,
                from.replace("2026-01-01T00:00:00Z", "hunter2")
            ),
            "a time of RFC 3339",
        ),
        (r#"["hunter2"]"#.to_owned(), "answered 200"),
        (r#"{"notifications":[]} hunter2"#.to_owned(), "trailing characters"),
        (String::new(), "EOF"),
    ];
    for (body, part) in cases {
        let player = Player::start([Play::json("200 OK", &body)]).await;
        let error = client(&player.url()).notifications(&agent("a")).await.unwrap_err();
        assert!(matches!(error, HubError::Malformed(_)), "{error:?}");
        says(&error, &["/api/v1/notifications: answered 200", part]);
        assert!(
            !error.to_string().contains("hunter2") && !error.to_string().contains("cake"),
            "{error}"
        );
        assert_eq!(player.requests().len(), 1);
    }
}

#[tokio::test]
async fn notifications_are_sorted_and_those_of_unknown_types_are_left_out() {
    let entry = |id: &str, kind: &str, at: &str, more: &str| {
        format!(
            r#"{{"id":"{id}","type":"{kind}","from_agent":{{"id":"i","name":"n","x":1}},"created_at":"{at}"{more}}}"#
        )
    };
    let body = [
        entry(
            "late",
            "reply",
            "2026-01-01T12:00:00Z",
            r#","post_id":null,"content":null"#,
        ),
        entry("poll", "poll-vote", "2026-01-01T11:00:00Z", ""),
        // 10:30 in UTC, though its text sorts last.
        entry(
            "early",
            "dm",
            "2026-01-01T20:30:00.5+10:00",
            r#","post_id":"p","read":false"#,
        ),
        entry("seen", "like", "2026-01-01T09:00:00Z", r#","read":true"#),
    ];
    let body = format!(r#"{{"notifications":[{}],"total":4}}"#, body.join(","));
    let player = Player::start([Play::json("200 OK", &body)]).await;
    let inbox = client(&player.url()).notifications(&agent("a b/ü")).await.unwrap();
    let ids: Vec<_> = inbox.iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!(ids, ["early", "late"]);
    assert_eq!(
        (inbox[0].kind, inbox[0].post_id.as_deref()),
        (NotificationKind::Dm, Some("p"))
    );
    assert_eq!((inbox[1].post_id.as_deref(), inbox[1].content.as_str()), (None, ""));
    assert_eq!(inbox[0].created_at, "2026-01-01T20:30:00.5+10:00");
    assert!(player.requests()[0].starts_with("GET /api/v1/notifications?agent_id=a+b%2F%C3%BC&unread=true "));
}

#[tokio::test]
async fn what_may_be_absent_may_be_null() {
    let bare = r#"{"id":"p","author":{"id":"a","name":"n"},"content":"c","created_at":"2026-01-01T00:00:00Z""#;
    let nulls = r#","title":null,"community":null,"parent_id":null,"updated_at":null,"comments":null}"#;
    for body in [format!("{bare}}}"), format!("{bare}{nulls}")] {
        let player = Player::start([Play::json("200 OK", &body)]).await;
        let thread = client(&player.url()).thread("p").await.unwrap();
        assert_eq!((thread.root.title, thread.comments), (None, Vec::new()));
    }
    for body in ["{}", r#"{"healthy":null,"daily_limit":null}"#] {
        let player = Player::start([Play::json("200 OK", body)]).await;
        assert!(client(&player.url()).budget(&agent("a")).await.unwrap().healthy);
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_refused_with_the_limit() {
    let mut piece = b"100000\r\n".to_vec();
    piece.extend_from_slice(&[b' '; 0x10_0000]);
    piece.extend_from_slice(b"\r\n");
    let chunked = Play::Repeat {
        head: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
        piece: piece.clone(),
        times: 100,
        pause: Duration::ZERO,
        end: b"0\r\n\r\n".to_vec(),
    };
    let announced = Play::Hold(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n".to_vec());
    for play in [chunked, announced] {
        let player = Player::start([play]).await;
        let mut config = config(&player.url());
        config.max_body = 2 << 20;
        let client = HubClient::new(config).unwrap();
        let error = client.budget(&agent("a")).await.unwrap_err();
        assert!(matches!(error, HubError::Malformed(_)), "{error:?}");
        says(&error, &["budget-health: answered 200", "more than the 2097152 bytes"]);
        let error = client.poll_plain(&mut |_| ControlFlow::Continue(())).await.unwrap_err();
        says(&error, &["/api/v1/agents: answered 200", "more than the 2097152 bytes"]);
        eventually("the connections are closed", || player.left() == 2).await;
    }
}

#[tokio::test]
async fn an_answer_of_another_length_than_it_says_is_a_failure() {
    let body = r#"{"healthy":false}"#;
    // Too long a length: the answer is cut. That may pass.
    let cut = format!("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{body}");
    let good = Play::json("200 OK", body);
    let player = Player::start([Play::Say(cut.clone().into_bytes()), good]).await;
    assert!(!client(&player.url()).budget(&agent("a")).await.unwrap().healthy);
    assert_eq!(player.requests().len(), 2);
    let player = Player::start([Play::Say(cut.into_bytes())]).await;
    let error = client(&player.url()).budget(&agent("a")).await.unwrap_err();
    assert!(matches!(error, HubError::Unavailable(_)), "{error:?}");
    says(&error, &["the answer was cut", "4 tries"]);
    // Too short a length: what is left is half a JSON.
    let short = format!("HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\n{body}");
    let player = Player::start([Play::Say(short.into_bytes())]).await;
    let error = client(&player.url()).budget(&agent("a")).await.unwrap_err();
    assert!(matches!(error, HubError::Malformed(_)), "{error:?}");
    // Not HTTP at all.
    let player = Player::start([Play::Say(b"220 mail.example ESMTP\r\n".to_vec())]).await;
    let error = client(&player.url()).budget(&agent("a")).await.unwrap_err();
    assert!(matches!(error, HubError::Unavailable(_)), "{error:?}");
}
