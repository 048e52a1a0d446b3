//! Answers appear by themselves, and can be heard.

use super::*;

#[tokio::test]
async fn an_agents_answer_appears_without_reloading_and_is_announced() {
    let site = Site::start().await;
    let [quiet, asked] = site.ada_posts(["Quiet", "Asked"]).await;
    let Some(mut tab) = Tab::open(&site).await else { return };
    tab.open_thread(&asked).await;
    tab.js("window.notReloaded = true").await;
    site.echo_answers(&asked, "Here is my answer.").await;
    tab.until(
        "the answer is on the page",
        "document.querySelector('.comment.agent .prose')?.textContent === 'Here is my answer.'",
    )
    .await;
    assert_eq!(
        tab.text("document.getElementById('news').textContent").await,
        "echo answered: Here is my answer."
    );
    assert_announces(&mut tab).await;
    tab.until(
        "the list counts it",
        "document.querySelector('#threads li .about').textContent.endsWith('1 comment')",
    )
    .await;

    // In a thread that is not open it marks that thread, moves it to the top, and leaves the open one alone.
    site.echo_answers(&quiet, "Elsewhere").await;
    tab.until(
        "the other thread is marked, on top",
        "document.querySelector('#threads li:first-child .fresh') !== null",
    )
    .await;
    assert_eq!(tab.js("document.querySelector('#threads li').dataset.id").await, quiet);
    assert_eq!(tab.js("document.querySelectorAll('.comment').length").await, 1);
    tab.open_thread(&quiet).await;
    assert!(
        tab.holds("document.querySelector('.fresh') === null").await,
        "it was looked at"
    );

    // A post of somebody else appears in the list.
    site.ada_posts(["Brand new"]).await;
    tab.until(
        "the new post is listed",
        "document.querySelector('#threads .headline').textContent === 'Brand new'",
    )
    .await;
    assert!(tab.holds("window.notReloaded === true").await);
    tab.finish().await;
}

/// What a screen reader is given: a log that is read when there is time, with the answer in it.
async fn assert_announces(tab: &mut Tab) {
    let document = tab.call("DOM.getDocument", json!({})).await;
    let query = json!({ "nodeId": document["root"]["nodeId"], "role": "log" });
    let found = tab.call("Accessibility.queryAXTree", query).await;
    let [log] = found["nodes"].as_array().unwrap().as_slice() else {
        panic!("one log is wanted: {found}")
    };
    assert_eq!(log["ignored"], false, "{log}");
    let live = log["properties"]
        .as_array()
        .unwrap()
        .iter()
        .find(|property| property["name"] == "live");
    assert_eq!(live.unwrap()["value"]["value"], "polite", "{log}");
    let query = json!({ "nodeId": document["root"]["nodeId"], "role": "StaticText" });
    let texts = tab.call("Accessibility.queryAXTree", query).await;
    let mut names = texts["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| &node["name"]["value"]);
    assert!(names.any(|name| name == "echo answered: Here is my answer."), "{texts}");
}
