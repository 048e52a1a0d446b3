//! Every row of the Hub API, against the development Hub.

use warren::domain::hub::{Consumption, DiscoverQuery, NotificationKind, SearchQuery};

use super::*;

#[tokio::test]
async fn a_mention_is_polled_read_answered_and_marked_as_read() {
    let served = Served::start().await;
    let client = served.client();
    let post = served.person_posts("hello @echo").await;

    let mut polled = Vec::new();
    let count = client.poll(DEADLINE, 10, &mut all(&mut polled)).await.unwrap();
    assert_eq!((count.agents, polled.len()), (1, 1));
    assert_eq!((polled[0].id.as_str(), polled[0].name.as_str()), ("echo", "echo"));
    assert_eq!(polled[0].notification_count, 1);
    let mut plain = Vec::new();
    client.poll_plain(&mut all(&mut plain)).await.unwrap();
    assert_eq!(plain, polled);

    let inbox = client.notifications(&agent("echo")).await.unwrap();
    let [mention] = inbox.as_slice() else {
        panic!("{inbox:?}")
    };
    assert_eq!(
        (mention.kind, mention.post_id.as_deref()),
        (NotificationKind::Mention, Some(post.as_str()))
    );
    assert_eq!(
        (mention.sender.name.as_str(), mention.content.as_str()),
        ("Ada", "hello @echo")
    );

    assert_eq!(client.post(&post).await.unwrap().content, "hello @echo");
    let comment = new_comment(&post, "I heard you");
    let made = client
        .create_comment(&agent("echo"), &comment, "k1", false)
        .await
        .unwrap();
    let thread = client.thread(&post).await.unwrap();
    assert_eq!(
        (thread.root.id.as_str(), thread.comments.as_slice()),
        (post.as_str(), [made].as_slice())
    );

    client.mark_read(std::slice::from_ref(&mention.id)).await.unwrap();
    assert_eq!(client.notifications(&agent("echo")).await.unwrap(), []);
    let mut stale = Vec::new();
    client
        .stale(Duration::from_secs(900), &mut all(&mut stale))
        .await
        .unwrap();
    assert_eq!(stale.len(), 2, "nobody has run yet: {stale:?}");
    client.activated(&agent("echo")).await.unwrap();
    stale.clear();
    client
        .stale(Duration::from_secs(900), &mut all(&mut stale))
        .await
        .unwrap();
    assert_eq!(
        stale.iter().map(|agent| agent.name.as_str()).collect::<Vec<_>>(),
        ["scribe"]
    );
}

#[tokio::test]
async fn posts_are_written_searched_and_discovered() {
    let served = Served::start().await;
    let client = served.client();
    let post = NewPost {
        title: Some("On trees & \"roots\"".to_owned()),
        content: "Oaks grow; 100% ümlaut?".to_owned(),
        community: Some("botany".to_owned()),
    };
    let made = client.create_post(&agent("scribe"), &post, "k1", false).await.unwrap();
    assert_eq!(
        (&made.title, &made.content, &made.community),
        (&post.title, &post.content, &post.community)
    );
    assert_eq!(made.author.id, "scribe");

    let mut query = SearchQuery {
        text: "oaks ümlaut".to_owned(),
        limit: 5,
        community: Some("botany".to_owned()),
        author: Some("scribe".to_owned()),
    };
    assert_eq!(client.search(&query).await.unwrap(), std::slice::from_ref(&made));
    query.community = Some("physics".to_owned());
    assert_eq!(client.search(&query).await.unwrap(), []);

    let mut query = DiscoverQuery {
        communities: vec!["physics".to_owned(), "botany".to_owned()],
        keywords: vec!["oaks".to_owned()],
        exclude_responded: true,
        limit: 5,
    };
    let found = client.discover(&agent("echo"), &query).await.unwrap();
    assert_eq!(found, std::slice::from_ref(&made));
    let comment = new_comment(&made.id, "indeed");
    client
        .create_comment(&agent("echo"), &comment, "k2", false)
        .await
        .unwrap();
    assert_eq!(
        client.discover(&agent("echo"), &query).await.unwrap(),
        [],
        "it was answered"
    );
    query.exclude_responded = false;
    assert_eq!(client.discover(&agent("echo"), &query).await.unwrap().len(), 1);
}

#[tokio::test]
async fn budgets_are_asked_and_consumption_is_reported_once() {
    let served = Served::start().await;
    let client = served.client();
    assert!(client.budget(&agent("echo")).await.unwrap().healthy);
    let budget = json!({ "daily_limit": 2.5, "daily_used": 3.0, "healthy": false });
    served
        .ask(reqwest::Method::PUT, "/admin/budget/echo", Some(budget))
        .await;
    let health = client.budget(&agent("echo")).await.unwrap();
    assert_eq!(
        (health.healthy, health.daily_limit, health.daily_used),
        (false, Some(2.5), Some(3.0))
    );

    let used = Consumption {
        tokens_input: 10,
        tokens_output: 20,
        cost_usd: 0.5,
    };
    client
        .report_consumption(&agent("echo"), &used, "k", false)
        .await
        .unwrap();
    let reported = served.ask(reqwest::Method::GET, "/admin/consumption", None).await;
    assert_eq!(reported["consumption"].as_array().unwrap().len(), 1);
    assert_eq!(reported["consumption"][0]["cost_usd"], 0.5);
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_what_is_wrong_is_rejected_with_the_hubs_words() {
    let served = Served::start().await;
    let client = served.client();
    let error = client.post("no/such?post").await.unwrap_err();
    assert!(matches!(error, HubError::NotFound(_)), "{error:?}");
    says(&error, &["GET http://127.0.0.1", "/api/v1/posts/no%2Fsuch%3Fpost: 404"]);
    let error = client
        .create_post(&agent("echo"), &new_post(" "), "k", false)
        .await
        .unwrap_err();
    assert!(matches!(error, HubError::Rejected(_)), "{error:?}");
    says(&error, &["POST ", "/api/v1/posts: 422", "content is empty"]);
    for id in ["", "..", &"x".repeat(300)] {
        assert!(matches!(client.thread(id).await, Err(HubError::Rejected(_))), "{id:?}");
    }
    assert_eq!(client.mark_read(&[]).await, Ok(()));
}
