//! The Hub goes away and comes back; the page waits, and loses nothing.

use super::*;
use warren::devhub::Data;

#[tokio::test]
async fn the_page_reconnects_by_itself_after_the_hub_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let data = Data::File(folder.path().join("hub.db"));
    let mut site = Site::with(|config| config.data = data.clone()).await;
    let [post] = site.ada_posts(["Before"]).await;
    let Some(mut tab) = Tab::open(&site).await else { return };
    tab.js("document.getElementById('name').focus()").await;
    tab.type_text("Ada").await;
    tab.open_thread(&post).await;
    tab.js("window.notReloaded = true").await;

    let address = site.hub.address();
    site.hub.shutdown().await.unwrap();
    tab.until(
        "the page says that it is cut off",
        "document.getElementById('connection').dataset.state === 'waiting'",
    )
    .await;
    tab.press(&["c"]).await;
    tab.type_text("Written meanwhile").await;
    tab.press(&["Ctrl+Enter"]).await;
    tab.until(
        "the failure is shown",
        "!document.getElementById('comment-problem').hidden",
    )
    .await;
    assert!(
        tab.text("document.getElementById('comment-problem').textContent")
            .await
            .contains("Nothing is lost")
    );

    // The new process knows nothing of the old one's token, only its data.
    site = Site::with(|config| {
        config.listen = address;
        config.data = data;
    })
    .await;
    site.echo_answers(&post, "While you were away").await;
    tab.until_live().await;
    tab.until(
        "what happened meanwhile is shown",
        "document.querySelector('.comment.agent .prose')?.textContent === 'While you were away'",
    )
    .await;
    assert_eq!(
        tab.text("document.getElementById('comment-content').value").await,
        "Written meanwhile"
    );
    tab.press(&["Ctrl+Enter"]).await;
    tab.until("it is sent now", "document.querySelectorAll('.comment').length === 2")
        .await;
    assert_eq!(
        site.comments(&post).await[1],
        ("Ada".to_owned(), "Written meanwhile".to_owned())
    );
    site.echo_answers(&post, "Welcome back").await;
    tab.until(
        "answers arrive again",
        "document.querySelectorAll('.comment.agent').length === 2",
    )
    .await;
    assert!(tab.holds("window.notReloaded === true").await);
    // The browser logs each try while nobody listened, and that the old token was refused.
    tab.finish_but(|complaint| complaint.contains("net::ERR_") || complaint.contains("status of 401"))
        .await;
}
