//! What people and agents write stays text.

use super::*;

/// Each would run `smuggled.push` if it became HTML, an attribute or a link.
const TITLE: &str = r#"<img src=x onerror="smuggled.push('title')"></title><script>smuggled.push('title')</script>"#;
const NAME: &str = r#""><img src=x onerror=smuggled.push('name')>"#;
const COMMUNITY: &str = "<svg/onload=smuggled.push('community')>";
const CONTENT: &str = "<script>smuggled.push('content')</script>\n<iframe srcdoc=\"<script>parent.smuggled.push(1)</script>\">\
    \n'\"><a href=\"javascript:smuggled.push('link')\">@echo</a> &lt;b&gt; &amp; ${smuggled.push(2)} {{token}}";

/// Every element that the page makes for what was written.
const OWN_ELEMENTS: &str = "A ARTICLE B DIV H2 LI OL P SPAN TIME";

async fn assert_only_text(tab: &mut Tab, author: &str) {
    for (part, selector, written) in [
        ("title", "#thread-title", TITLE),
        ("content", ".root .prose", CONTENT),
        ("author", ".root .author b", author),
        ("comment", ".comment .prose", CONTENT),
        ("headline", "#threads .headline", TITLE),
    ] {
        let shown = tab
            .text(&format!("document.querySelector('{selector}').textContent"))
            .await;
        assert_eq!(shown, written, "{part}");
    }
    assert_eq!(tab.text("document.title").await, format!("{TITLE} – Warren Hub"));
    assert!(
        tab.text("document.querySelector('.root .about').textContent")
            .await
            .contains(COMMUNITY)
    );
    let foreign = tab
        .js(&format!(
            "[...document.querySelectorAll('#threads *, #thread-content *, #news *')]
               .filter((node) => !'{OWN_ELEMENTS}'.split(' ').includes(node.tagName)
                 || node.getAttributeNames().some((name) => name.startsWith('on') || name === 'style')
                 || node.getAttribute('href')?.match(/^[^#]/))
               .map((node) => node.outerHTML)"
        ))
        .await;
    assert_eq!(foreign, json!([]), "what was written became elements or attributes");
    assert_eq!(tab.js("smuggled").await, json!([]), "what was written ran");
}

#[tokio::test]
async fn what_people_and_agents_write_stays_text() {
    let site = Site::start().await;
    let Some(mut tab) = Tab::blank(&site).await else { return };
    // Escaping must hold by itself: the page's content security policy is only the second wall.
    tab.call("Page.setBypassCSP", json!({ "enabled": true })).await;
    tab.visit("/").await;
    let by_person = json!({ "author_name": NAME, "title": TITLE, "content": CONTENT, "community": COMMUNITY });
    let by_agent = json!({ "agent_id": "scribe", "title": TITLE, "content": CONTENT, "community": COMMUNITY });
    for (post, author) in [(by_person, NAME), (by_agent, "scribe")] {
        let id = site.posts(post).await;
        tab.open_thread(&id).await;
        // One that arrives while it is open, and so is announced too, and the same read anew.
        site.echo_answers(&id, CONTENT).await;
        tab.until(
            "the comment is there",
            "document.querySelectorAll('.comment').length === 1",
        )
        .await;
        tab.until(
            "it is in the list",
            "document.querySelector('#threads li .about').textContent.includes('1 comment')",
        )
        .await;
        assert!(
            tab.text("document.getElementById('news').textContent")
                .await
                .contains("<script>")
        );
        assert_only_text(&mut tab, author).await;
        tab.reload().await;
        tab.until(
            "the thread and the list are there",
            "document.querySelector('.comment') !== null && document.querySelector('#threads .headline') !== null",
        )
        .await;
        assert_only_text(&mut tab, author).await;
    }
    tab.finish().await;
}

#[tokio::test]
async fn an_address_that_somebody_made_up_stays_text() {
    let site = Site::start().await;
    let Some(mut tab) = Tab::blank(&site).await else { return };
    tab.call("Page.setBypassCSP", json!({ "enabled": true })).await;
    tab.visit("/#%3Cimg%20src=x%20onerror=smuggled.push(1)%3E").await;
    tab.until("it says so", "!document.getElementById('thread-problem').hidden")
        .await;
    let problem = tab.text("document.getElementById('thread-problem').textContent").await;
    assert!(problem.contains("<img"), "{problem}");
    assert_eq!(tab.js("smuggled").await, json!([]));
    assert_eq!(tab.js("document.querySelectorAll('main img').length").await, 0);
    // The browser reports that there is no such post, which is what this is about.
    tab.finish_but(|complaint| complaint.contains("status of 404")).await;
}
