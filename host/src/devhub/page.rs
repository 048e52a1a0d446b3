//! The page: one HTML file, one style sheet, four scripts, all compiled in; nothing is loaded from elsewhere.
//!
//! The content security policy allows no inline script and no inline style at all, so text that somebody wrote can't
//! become either, even if a script put it in the wrong place.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse};
use axum::routing::get;

use super::Hub;

const INDEX: &str = include_str!("page/index.html");
/// Where the page's token goes in [`INDEX`]; the token is hexadecimal, so it needs no escaping.
const TOKEN_PLACE: &str = "{{token}}";

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const SCRIPT: &str = "text/javascript; charset=utf-8";
/// (path, content type, content)
const ASSETS: [(&str, &str, &str); 6] = [
    (
        "/page/page.css",
        "text/css; charset=utf-8",
        include_str!("page/page.css"),
    ),
    ("/page/app.js", SCRIPT, include_str!("page/app.js")),
    ("/page/hub.js", SCRIPT, include_str!("page/hub.js")),
    ("/page/view.js", SCRIPT, include_str!("page/view.js")),
    ("/page/compose.js", SCRIPT, include_str!("page/compose.js")),
    ("/page/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
];

pub(super) fn routes() -> Router<Arc<Hub>> {
    ASSETS
        .into_iter()
        .fold(Router::new().route("/", get(index)), |router, (path, kind, content)| {
            let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")];
            router.route(path, get(move || async move { (headers, content) }))
        })
}

async fn index(State(hub): State<Arc<Hub>>) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        // The page holds this process's token: no copy of it may outlive the process.
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, Html(INDEX.replace(TOKEN_PLACE, hub.guard.page_token())))
}
