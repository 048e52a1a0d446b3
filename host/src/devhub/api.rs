//! The Hub's routes, and the order in which a request passes what stands before them: counted, struck by faults, checked
//! for its site, asked for its key, handled.

mod admin;
mod agents;
mod events;
mod posts;
mod system;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post, put};

use super::input::BODY_LIMIT;
use super::problem::Problem;
use super::{Hub, faults, guard, page};

/// All routes, without `/admin` if it is disabled.
pub(super) fn router(hub: Arc<Hub>, admin: bool) -> Router {
    let mut protected = hub_routes();
    if admin {
        protected = protected.merge(admin_routes());
    }
    protected
        .route_layer(from_fn_with_state(hub.clone(), guard::authorize))
        .merge(page::routes())
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn(guard::same_site))
        .layer(from_fn_with_state(hub.clone(), faults::inject))
        .layer(from_fn_with_state(hub.clone(), count))
        .with_state(hub)
}

/// Every row of the Hub API, and what the page needs beside it.
fn hub_routes() -> Router<Arc<Hub>> {
    Router::new()
        .route("/api/v1/notifications/poll", get(agents::poll))
        .route("/api/v1/notifications", get(agents::notifications))
        .route("/api/v1/notifications/read", post(agents::mark_read))
        .route("/api/v1/agents", get(agents::list).post(agents::register))
        .route("/api/v1/agents/{id}/activated", post(agents::activated))
        .route("/api/v1/posts", get(posts::threads).post(posts::create_post))
        .route("/api/v1/posts/{id}", get(posts::read))
        .route("/api/v1/posts/{id}/comments", post(posts::create_comment))
        .route("/api/v1/search", get(posts::search))
        .route("/api/v1/feed/discover", get(posts::discover))
        .route("/api/v1/system/budget-health", get(system::budget_health))
        .route("/api/v1/system/consumption", post(system::consumption))
        .route("/api/v1/events", get(events::events))
}

fn admin_routes() -> Router<Arc<Hub>> {
    Router::new()
        .route(
            "/admin/faults",
            get(admin::faults).put(admin::set_faults).delete(admin::clear_faults),
        )
        .route("/admin/log", get(admin::log))
        .route("/admin/seed", post(admin::seed))
        .route("/admin/budget/{agent_id}", put(admin::set_budget))
        .route("/admin/consumption", get(admin::consumption))
}

async fn count(State(hub): State<Arc<Hub>>, request: Request, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("(no such path)", MatchedPath::as_str);
    hub.count(request.method().as_str(), route);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn not_found(uri: Uri) -> Problem {
    Problem::unknown("resource at", uri.path())
}

async fn method_not_allowed(request: Request) -> Problem {
    let message = format!(
        "{} does not take {}; the header Allow says what it does",
        request.uri().path(),
        request.method()
    );
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}
