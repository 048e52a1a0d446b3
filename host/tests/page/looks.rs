//! It can be read: in the light, in the dark, and on a narrow screen.

use super::*;

/// The contrast of every visible text against what it stands on, as WCAG 2 defines it, lowest first: `[ratio, text]`.
const CONTRASTS: &str = r"(() => {
  const parts = (color) => {
    const found = /^rgba?\(([\d.]+), ([\d.]+), ([\d.]+)(?:, ([\d.]+))?\)$/.exec(color);
    if (!found) throw new Error(`a colour in another notation: ${color}`);
    return [...found.slice(1, 4).map(Number), found[4] === undefined ? 1 : Number(found[4])];
  };
  const over = ([r, g, b, a], below) => [r, g, b].map((part, i) => part * a + below[i] * (1 - a));
  const background = (node) => {
    if (!node) return [255, 255, 255];
    const color = parts(getComputedStyle(node).backgroundColor);
    return color[3] === 1 ? color.slice(0, 3) : over(color, background(node.parentElement));
  };
  const luminance = (color) => color
    .map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
  const ratio = (color, below) => {
    const [a, b] = [luminance(over(parts(color), below)), luminance(below)];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const found = [];
  const measure = (node, text, color) => {
    const name = `${node.tagName.toLowerCase()}#${node.id}.${node.className}: ${text.trim().slice(0, 40)}`;
    found.push([ratio(color, background(node)), name]);
  };
  for (const node of document.querySelectorAll('body *')) {
    if (!node.checkVisibility() || node.closest('.unseen')) continue;
    const text = [...node.childNodes].filter((child) => child.nodeType === Node.TEXT_NODE).map((child) => child.data).join('');
    if (text.trim()) measure(node, text, getComputedStyle(node).color);
    if (node.placeholder) measure(node, node.placeholder, getComputedStyle(node, '::placeholder').color);
    if (node.value) measure(node, node.value, getComputedStyle(node).color);
  }
  return found.sort((a, b) => a[0] - b[0]);
})()";

/// What WCAG 2 (AA) asks of text.
const ENOUGH: f64 = 4.5;

/// Fails unless everything can be read, and these selectors are among what was looked at.
async fn assert_readable(tab: &mut Tab, view: &str, wanted: &[&str]) {
    for selector in wanted {
        let visible = format!("document.querySelector('{selector}')?.checkVisibility() ?? false");
        assert!(tab.holds(&visible).await, "{view}: {selector} is not visible");
    }
    let found = tab.js(CONTRASTS).await;
    let found = found.as_array().unwrap();
    assert!(found.len() >= 10, "{view}: only {found:?}");
    let pale: Vec<_> = found
        .iter()
        .filter(|entry| entry[0].as_f64().unwrap() < ENOUGH)
        .collect();
    assert!(pale.is_empty(), "{view}: too little contrast: {pale:?}");
}

#[tokio::test]
async fn everything_can_be_read_in_the_light_and_in_the_dark() {
    let site = Site::start().await;
    let post = json!({ "author_name": "Ada", "title": "Colours", "content": "Hello @echo", "community": "paint" });
    let post = site.posts(post).await;
    site.echo_answers(&post, "I see @scribe.").await;
    let Some(mut tab) = Tab::open(&site).await else { return };
    let mut papers = Vec::new();
    for scheme in ["light", "dark"] {
        tab.dark(scheme == "dark").await;
        tab.visit("/").await;
        tab.until(
            "the list is there",
            "document.querySelector('#threads .entry') !== null",
        )
        .await;
        papers.push(tab.text("getComputedStyle(document.body).backgroundColor").await);
        let list = [
            "#threads .entry",
            ".headline",
            "#welcome p",
            "#welcome .chip",
            "kbd",
            "#connection",
        ];
        assert_readable(&mut tab, &format!("{scheme}, the list"), &list).await;
        tab.open_thread(&post).await;
        let thread = [
            ".root .prose",
            ".comment.agent .badge",
            ".comment .mention",
            "#comment .chip",
            "[aria-current]",
        ];
        assert_readable(&mut tab, &format!("{scheme}, a thread"), &thread).await;
        tab.press(&["n", "Ctrl+Enter"]).await;
        tab.until("a problem is shown", "!document.getElementById('post-problem').hidden")
            .await;
        let dialog = [
            "#compose label",
            "#post-problem",
            "#compose .primary",
            "#compose-close",
            "#compose .chip",
        ];
        assert_readable(&mut tab, &format!("{scheme}, writing"), &dialog).await;
        tab.press(&["Escape"]).await;
    }
    assert_ne!(papers[0], papers[1], "light and dark are the same");
    tab.finish().await;
}

#[tokio::test]
async fn a_newcomer_is_told_what_to_do() {
    let site = Site::start().await;
    let Some(mut tab) = Tab::open(&site).await else { return };
    for width in [1280, 360] {
        tab.size(width, 740).await;
        tab.visit("/").await;
        tab.until(
            "the agents of this Hub can be chosen",
            "document.querySelectorAll('#agents .chip').length === 2",
        )
        .await;
        for selector in ["#empty", "#welcome h2", "#agents .chip"] {
            let seen = format!("document.querySelector('{selector}').checkVisibility()");
            tab.until(&format!("{selector} is visible at {width} px"), &seen).await;
        }
        assert_fits(&mut tab, width, "the welcome").await;
    }
    tab.js("document.querySelectorAll('#agents .chip')[1].focus()").await;
    tab.press(&["Enter"]).await;
    tab.until("one can say who one is", "document.activeElement.id === 'post-name'")
        .await;
    let content = tab.text("document.getElementById('post-content').value").await;
    assert_eq!(content, "@scribe ");
    // One that comes later is offered too.
    site.call(Method::POST, "/api/v1/agents", Some(json!({ "name": "late" })))
        .await;
    tab.until(
        "the new agent is offered",
        "document.querySelector('#agents .chip:last-child').textContent === '@late'",
    )
    .await;
    tab.finish().await;
}

#[tokio::test]
async fn nothing_scrolls_sideways_on_a_narrow_screen() {
    let site = Site::start().await;
    let long = "unbreakable".repeat(27);
    let post = json!({ "author_name": "W".repeat(64), "title": long, "content": long, "community": "c".repeat(64) });
    let post = site.posts(post).await;
    site.echo_answers(&post, &format!("{long} @echo")).await;
    let agent = "a".repeat(64);
    site.call(Method::POST, "/api/v1/agents", Some(json!({ "name": agent })))
        .await;
    let Some(mut tab) = Tab::open(&site).await else { return };
    tab.size(360, 740).await;
    tab.visit("/").await;
    tab.until(
        "the list is there",
        "document.querySelector('#threads .entry') !== null",
    )
    .await;
    assert_fits(&mut tab, 360, "the list").await;
    tab.open_thread(&post).await;
    tab.until("the comment is there", "document.querySelector('.comment') !== null")
        .await;
    tab.until(
        "agents can be mentioned",
        "document.querySelector('#comment .chip') !== null",
    )
    .await;
    assert_fits(&mut tab, 360, "a thread").await;
    tab.js("document.getElementById('back').click()").await;
    tab.until(
        "the way back is there",
        "document.querySelector('.list').checkVisibility()",
    )
    .await;
    tab.press(&["n"]).await;
    tab.until("the dialog is open", "document.getElementById('compose').open")
        .await;
    assert_fits(&mut tab, 360, "the dialog").await;
    tab.finish().await;
}

async fn assert_fits(tab: &mut Tab, width: u32, view: &str) {
    assert_eq!(tab.js("innerWidth").await, width);
    let wide = tab
        .js("[document.documentElement, ...document.querySelectorAll('body, main, main > *, dialog[open], header, form')]
               .filter((node) => node.checkVisibility())
               .filter((node) => node.scrollWidth > node.clientWidth || node.getBoundingClientRect().right > innerWidth)
               .map((node) => `${node.tagName}#${node.id}.${node.className}: ${node.scrollWidth} > ${node.clientWidth}`)")
        .await;
    assert_eq!(wide, json!([]), "{view}");
}
