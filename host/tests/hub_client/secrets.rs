//! Where the API key goes, and where it does not.

use warren::adapters::hub_http::Idempotency;

use super::{
    player::{Play, Player},
    *,
};

#[tokio::test]
async fn the_key_is_in_one_header_only() {
    let player = Player::start([Play::json("200 OK", "{}")]).await;
    client(&player.url()).budget(&agent("a")).await.unwrap();
    let request = &player.requests()[0];
    assert!(
        request.contains(&format!("authorization: Bearer {KEY}\r\n")),
        "{request}"
    );
    assert_eq!(request.matches(KEY).count(), 1);
    assert!(request.contains("user-agent: warren/"), "{request}");
    let mut without = config(&player.url());
    without.api_key = None;
    HubClient::new(without).unwrap().budget(&agent("a")).await.unwrap();
    assert!(!player.requests()[1].contains("authorization"));
}

#[tokio::test]
async fn a_redirect_takes_the_key_nowhere() {
    let other = Player::start([Play::json("200 OK", "{}")]).await;
    let location = format!(
        "Location: {}/api/v1/system/budget-health?token=hunter2\r\n",
        other.url()
    );
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let player = Player::start([Play::answer(status, &location, "")]).await;
        let client = client(&player.url());
        let error = client.budget(&agent("a")).await.unwrap_err();
        says(&error, &[&status[..3], "redirects are not followed", &other.url()]);
        assert!(error.is_upstream() && !error.to_string().contains("hunter2"), "{error}");
        let error = client
            .create_post(&agent("a"), &new_post("x"), "k", false)
            .await
            .unwrap_err();
        assert!(matches!(error, HubError::Unavailable(_)), "{error:?}");
    }
    assert_eq!(other.requests().len(), 0);
}

#[tokio::test]
async fn a_wrong_key_is_named_as_the_cause_and_not_shown() {
    let served = Served::start().await;
    let mut config = config(&served.running.url());
    config.api_key = Some(Secret::new("wrong-secret"));
    assert!(!format!("{config:?}").contains("wrong-secret"));
    let client = HubClient::new(config).unwrap();
    for error in [
        client.notifications(&agent("echo")).await.unwrap_err(),
        client
            .create_post(&agent("echo"), &new_post("x"), "k", false)
            .await
            .unwrap_err(),
        client
            .poll(DEADLINE, 1, &mut |_| ControlFlow::Continue(()))
            .await
            .unwrap_err(),
    ] {
        says(&error, &["401", "check the Hub's API key"]);
        assert!(!format!("{error:?} {error}").contains("wrong-secret"), "{error}");
        assert!(matches!(error, HubError::Unavailable(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_hub_that_repeats_the_key_does_not_get_it_into_an_error() {
    let body = format!(r#"{{"error":{{"message":"bad header: Bearer {KEY}\u0007"}}}}"#);
    let player = Player::start([Play::json("400 Bad Request", &body)]).await;
    let error = client(&player.url()).budget(&agent("a")).await.unwrap_err();
    says(&error, &["400 Bad Request: bad header: Bearer …"]);
    assert!(!error.to_string().contains('\u{7}'));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let refused = |url: &str, key: Option<&str>| {
        let mut config = HubClientConfig::new(url);
        config.api_key = key.map(Secret::new);
        config.idempotency = Idempotency::Detect;
        match HubClient::new(config) {
            Ok(_) => panic!("{url} {key:?} was accepted"),
            Err(error) => error.to_string(),
        }
    };
    assert!(refused("ftp://hub", None).contains("http and https are allowed"));
    let error = refused("http://user:hunter2@hub", None);
    assert!(error.contains("credentials") && !error.contains("hunter2"), "{error}");
    for key in ["", "hunter2\n", " hunter2", "hunter2\u{1}x", "hunter2ü"] {
        let error = refused("http://hub", Some(key));
        assert!(
            error.contains("API key") && !error.contains("hunter2"),
            "{key:?}: {error}"
        );
    }
}
