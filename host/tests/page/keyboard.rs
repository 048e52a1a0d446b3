//! A person with a keyboard and no mouse: reads, writes, and never loses what was written.

use super::*;

const COMPOSING: &str = "document.getElementById('compose').open";
const NOT_COMPOSING: &str = "!document.getElementById('compose').open";

async fn until_focus(tab: &mut Tab, id: &str) {
    tab.until(
        &format!("{id} has the focus"),
        &format!("document.activeElement.id === '{id}'"),
    )
    .await;
}

async fn focused_headline(tab: &mut Tab) -> Value {
    tab.js("document.activeElement.querySelector('.headline')?.textContent ?? null")
        .await
}

async fn value_of(tab: &mut Tab, id: &str) -> String {
    tab.text(&format!("document.getElementById('{id}').value")).await
}

#[tokio::test]
async fn a_person_writes_a_post_and_a_comment_with_the_keyboard_alone() {
    let site = Site::start().await;
    let Some(mut tab) = Tab::open(&site).await else { return };
    tab.press(&["n"]).await;
    until_focus(&mut tab, "post-name").await;
    tab.type_text("Jack Nkosi").await;
    tab.press(&["Tab"]).await;
    until_focus(&mut tab, "post-title").await;
    tab.type_text("A question").await;
    tab.press(&["Tab"]).await;
    until_focus(&mut tab, "post-content").await;
    // Its letters are commands outside a field.
    tab.type_text("Can you hear me, @echo? njkc").await;
    tab.press(&["Ctrl+Enter"]).await;
    tab.until(
        "the post is open",
        &format!("{NOT_COMPOSING} && document.activeElement.id === 'thread-title'"),
    )
    .await;
    assert_eq!(tab.text("document.activeElement.textContent").await, "A question");
    assert_eq!(
        tab.text("document.querySelector('.root .mention').textContent").await,
        "@echo"
    );

    let posts = site.get("/api/v1/posts").await;
    let [post] = posts["posts"].as_array().unwrap().as_slice() else {
        panic!("one post is wanted: {posts}")
    };
    assert_eq!(post["author"]["name"], "Jack Nkosi");
    assert_eq!(post["content"], "Can you hear me, @echo? njkc");
    let inbox = site.get("/api/v1/notifications?agent_id=echo&unread=true").await;
    assert_eq!(inbox["notifications"].as_array().unwrap().len(), 1, "{inbox}");

    tab.press(&["c"]).await;
    until_focus(&mut tab, "comment-content").await;
    tab.type_text("Hello?").await;
    tab.press(&["Ctrl+Enter"]).await;
    tab.until(
        "the comment is there",
        "document.querySelectorAll('.comment').length === 1",
    )
    .await;
    // The event about one's own comment adds nothing and announces nothing. What comes later has come after it.
    site.echo_answers(post["id"].as_str().unwrap(), "Loud and clear").await;
    tab.until(
        "the answer is there",
        "document.querySelectorAll('.comment.agent').length === 1",
    )
    .await;
    assert_eq!(tab.js("document.querySelectorAll('.comment').length").await, 2);
    assert_eq!(
        tab.text("document.getElementById('news').textContent").await,
        "echo answered: Loud and clear"
    );
    assert_eq!(value_of(&mut tab, "comment-content").await, "");
    tab.finish().await;
}

#[tokio::test]
async fn who_writes_nothing_or_is_nobody_is_told() {
    let site = Site::start().await;
    let Some(mut tab) = Tab::open(&site).await else { return };
    let problem = "document.getElementById('post-problem').textContent";
    tab.press(&["n"]).await;
    until_focus(&mut tab, "post-name").await;
    tab.press(&["Ctrl+Enter"]).await;
    until_focus(&mut tab, "post-content").await;
    assert_eq!(tab.text(problem).await, "Write something first.");
    tab.type_text("Something").await;
    tab.press(&["Ctrl+Enter"]).await;
    until_focus(&mut tab, "post-name").await;
    tab.until("it asks for a name", &format!("{problem}.includes('You are')"))
        .await;
    assert_eq!(value_of(&mut tab, "post-content").await, "Something");
    tab.type_text("Ada").await;
    tab.press(&["Ctrl+Enter"]).await;
    tab.until(
        "the post is open",
        "document.querySelector('.root .prose')?.textContent === 'Something'",
    )
    .await;
    tab.finish().await;
}

#[tokio::test]
async fn drafts_survive_closing_other_threads_and_reloading() {
    let site = Site::start().await;
    let [_, second] = site.ada_posts(["First", "Second"]).await;
    let Some(mut tab) = Tab::open(&site).await else { return };
    tab.press(&["n"]).await;
    until_focus(&mut tab, "post-name").await;
    tab.type_text("Ada").await;
    tab.press(&["Tab", "Tab"]).await;
    until_focus(&mut tab, "post-content").await;
    tab.type_text("half a post").await;
    tab.press(&["Escape"]).await;
    tab.until("Escape closes the dialog", NOT_COMPOSING).await;

    tab.open_thread(&second).await;
    tab.press(&["c"]).await;
    tab.type_text("half a comment").await;
    tab.press(&["Escape", "j"]).await;
    tab.until(
        "the first thread is open",
        "document.getElementById('thread-title')?.textContent === 'First'",
    )
    .await;
    assert_eq!(
        value_of(&mut tab, "comment-content").await,
        "",
        "each thread has a draft of its own"
    );

    tab.reload().await;
    tab.press(&["n"]).await;
    tab.until("n opens the dialog", COMPOSING).await;
    until_focus(&mut tab, "post-content").await;
    assert_eq!(value_of(&mut tab, "post-content").await, "half a post");
    assert_eq!(value_of(&mut tab, "name").await, "Ada", "who one is, is remembered");
    tab.press(&["Escape"]).await;
    tab.until("Escape closes the dialog", NOT_COMPOSING).await;
    tab.open_thread(&second).await;
    assert_eq!(value_of(&mut tab, "comment-content").await, "half a comment");
    tab.press(&["c", "Ctrl+Enter"]).await;
    tab.until(
        "the comment is there",
        "document.querySelectorAll('.comment').length === 1",
    )
    .await;
    tab.reload().await;
    tab.until(
        "the comment is there",
        "document.querySelectorAll('.comment').length === 1",
    )
    .await;
    assert_eq!(
        value_of(&mut tab, "comment-content").await,
        "",
        "what was sent is no draft any more"
    );
    assert_eq!(
        site.comments(&second).await,
        [("Ada".to_owned(), "half a comment".to_owned())]
    );
    tab.finish().await;
}

#[tokio::test]
async fn a_comment_whose_answer_was_lost_is_kept_and_sent_once() {
    let site = Site::start().await;
    let [post] = site.ada_posts(["Lossy"]).await;
    let Some(mut tab) = Tab::open(&site).await else { return };
    tab.js("document.getElementById('name').focus()").await;
    tab.type_text("Ada").await;
    tab.open_thread(&post).await;
    let rule = json!([{ "path": "/api/v1/posts/", "method": "POST", "kind": "status", "after": true, "times": 1 }]);
    site.call(Method::PUT, "/admin/faults", Some(rule)).await;
    tab.press(&["c"]).await;
    tab.type_text("Only once").await;
    tab.press(&["Ctrl+Enter"]).await;
    tab.until(
        "the failure is shown",
        "!document.getElementById('comment-problem').hidden",
    )
    .await;
    assert_eq!(value_of(&mut tab, "comment-content").await, "Only once");
    tab.press(&["Ctrl+Enter"]).await;
    tab.until(
        "it is sent",
        "document.getElementById('comment-content').value === '' && document.getElementById('comment-problem').hidden",
    )
    .await;
    assert_eq!(site.comments(&post).await, [("Ada".to_owned(), "Only once".to_owned())]);
    assert_eq!(tab.js("document.querySelectorAll('.comment').length").await, 1);
    tab.finish_but(|complaint| complaint.contains("status of 500")).await;
}

#[tokio::test]
async fn j_and_k_move_and_escape_closes() {
    let site = Site::start().await;
    site.ada_posts(["Third", "Second", "First"]).await;
    let Some(mut tab) = Tab::open(&site).await else { return };
    tab.until(
        "the list is there",
        "document.querySelectorAll('#threads li').length === 3",
    )
    .await;
    for (key, expected) in [
        ("j", "First"),
        ("j", "Second"),
        ("j", "Third"),
        ("j", "Third"),
        ("k", "Second"),
    ] {
        tab.press(&[key]).await;
        assert_eq!(focused_headline(&mut tab).await, expected, "{key}");
    }
    tab.press(&["Enter"]).await;
    tab.until(
        "Enter opens",
        "document.getElementById('thread-title')?.textContent === 'Second'",
    )
    .await;
    until_focus(&mut tab, "thread-title").await;
    // With a thread open, moving opens the next one.
    tab.press(&["k"]).await;
    tab.until(
        "k opens",
        "document.getElementById('thread-title')?.textContent === 'First'",
    )
    .await;
    assert_eq!(
        tab.text("document.querySelector('[aria-current] .headline').textContent")
            .await,
        "First"
    );

    tab.press(&["c"]).await;
    until_focus(&mut tab, "comment-content").await;
    tab.press(&["Escape"]).await;
    assert!(
        tab.holds("document.activeElement === document.body && location.hash !== ''")
            .await
    );
    tab.press(&["Escape"]).await;
    tab.until(
        "Escape closes the thread",
        "location.hash === '' && document.getElementById('thread-title') === null",
    )
    .await;
    assert_eq!(
        focused_headline(&mut tab).await,
        "First",
        "the focus goes back to where one was"
    );
    tab.js("history.back()").await;
    tab.until(
        "back opens it again",
        "document.getElementById('thread-title')?.textContent === 'First'",
    )
    .await;
    tab.finish().await;
}

#[tokio::test]
async fn tab_reaches_everything_and_shows_where_it_is() {
    let site = Site::start().await;
    let [post] = site.ada_posts(["A thread"]).await;
    let Some(mut tab) = Tab::open(&site).await else { return };
    tab.until(
        "the list is there",
        "document.querySelectorAll('#threads li').length === 1",
    )
    .await;
    tab.js(&format!("location.hash = '{post}'")).await;
    until_focus(&mut tab, "thread-title").await;
    tab.until(
        "agents can be mentioned",
        "document.querySelectorAll('#comment .chip').length === 2",
    )
    .await;
    tab.js("document.activeElement.blur()").await;
    let mut reached = Vec::new();
    for _ in 0..30 {
        tab.press(&["Tab"]).await;
        let here = tab
            .text("document.activeElement === document.body ? '' : document.activeElement.id || document.activeElement.textContent")
            .await;
        if here.is_empty() {
            // Behind the last control comes the browser itself, then the first control.
            continue;
        }
        if reached.contains(&here) {
            break;
        }
        assert!(
            tab.holds("getComputedStyle(document.activeElement).outlineStyle === 'solid'")
                .await,
            "{here} has the focus and does not look like it"
        );
        reached.push(here);
    }
    let controls = tab
        .js(
            "[...document.querySelectorAll('a, button, input, textarea')].filter((node) => node.checkVisibility())
               .map((node) => node.id || node.textContent).sort()",
        )
        .await;
    reached.sort();
    assert_eq!(json!(reached), controls);
    tab.finish().await;
}
