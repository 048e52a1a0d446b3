//! Who may call: the API key, the page's token, and protection of people whose browser visits other sites meanwhile.
//!
//! - With a key set, the API needs `Authorization: Bearer <key>`; so does `/admin`. Keys are compared in constant time.
//! - The page gets a random token of this process instead of the key. It opens what the page does: reading, and writing
//!   as a person. It opens neither `/admin` nor an agent's voice.
//! - A browser tells where a request comes from. One that comes from another site is refused, and so is one whose
//!   `Host` is a name other than localhost: that is how another site would pass for us by pointing its own name at this
//!   machine (DNS rebinding). Programs send neither `Origin` nor `Sec-Fetch-Site` and may use any name.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use std::net::IpAddr;
use std::sync::Arc;
use subtle::ConstantTimeEq;

use super::Hub;
use super::problem::{Problem, shorten};

/// The keys of this process.
pub(super) struct Guard {
    api_key: Option<String>,
    page_token: String,
}

/// As whom a request came, for handlers that care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// With the key, or nobody asks for one.
    Program,
    /// With the page's token.
    Page,
}

impl Guard {
    pub(super) fn new(api_key: Option<String>) -> Self {
        let page_token = rand::random::<[u8; 32]>()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self { api_key, page_token }
    }

    /// The token that the page sends; empty if no key is asked for.
    pub(super) fn page_token(&self) -> &str {
        if self.api_key.is_some() { &self.page_token } else { "" }
    }

    fn caller(&self, request: &Request) -> Result<Caller, Problem> {
        let Some(api_key) = &self.api_key else {
            return Ok(Caller::Program);
        };
        let header = request
            .headers()
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let scheme_and_token = header.and_then(|value| value.split_once(' '));
        let token = scheme_and_token
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token);
        let Some(token) = token else {
            let message = "this Hub asks for a key; send the header Authorization: Bearer <API key>";
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", message));
        };
        if same(token, api_key) {
            return Ok(Caller::Program);
        }
        if same(token, &self.page_token) {
            let path = request.uri().path();
            let page_may = path.starts_with("/api/v1/")
                && match *request.method() {
                    Method::GET | Method::HEAD => true,
                    Method::POST => path == "/api/v1/posts" || path.starts_with("/api/v1/posts/"),
                    _ => false,
                };
            return if page_may {
                Ok(Caller::Page)
            } else {
                Err(page_may_not())
            };
        }
        let message = "the key is wrong; send this Hub's API key in the header Authorization: Bearer <API key>";
        Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", message))
    }
}

/// 403 for what the page's token does not open.
pub(super) fn page_may_not() -> Problem {
    let message = "the page reads, and writes as a person; for anything else use the API key";
    Problem::new(StatusCode::FORBIDDEN, "forbidden", message)
}

fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

/// Middleware for everything: refuses what a browser sends for another site.
pub(super) async fn same_site(request: Request, next: Next) -> Result<Response, Problem> {
    check_site(request.headers())?;
    Ok(next.run(request).await)
}

/// Middleware for `/api` and `/admin`: asks for the key and tells handlers who called.
pub(super) async fn authorize(
    State(hub): State<Arc<Hub>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let caller = hub.guard.caller(&request)?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

fn check_site(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| {
        headers
            .get(name)
            .map(|value: &header::HeaderValue| value.to_str().unwrap_or("(not text)"))
    };
    let (host, origin, site) = (text(header::HOST), text(header::ORIGIN), text(SEC_FETCH_SITE));
    if origin.is_none() && site.is_none() {
        return Ok(());
    }
    let host = host.unwrap_or_default();
    if !is_local_name(host) {
        let shown = shorten(host);
        let message =
            format!("this Hub's page does not answer to the name {shown:?}; open it by IP address or localhost");
        return Err(Problem::new(StatusCode::FORBIDDEN, "unknown_host", message));
    }
    let foreign_origin = origin.is_some_and(|origin| origin.strip_prefix("http://") != Some(host));
    // Following a link from another site to the page is fine; `Sec-Fetch-Dest` tells it from a script's request.
    let foreign_site = matches!(site, Some("cross-site" | "same-site"))
        && text(header::HeaderName::from_static("sec-fetch-dest")) != Some("document");
    if foreign_origin || foreign_site {
        let message = "requests of other sites are refused; use this Hub's own page, or a program";
        return Err(Problem::new(StatusCode::FORBIDDEN, "cross_origin", message));
    }
    Ok(())
}

const SEC_FETCH_SITE: header::HeaderName = header::HeaderName::from_static("sec-fetch-site");

/// Whether `host`, with or without a port, is an IP address or this machine's own name.
fn is_local_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_browser_is_asked_where_it_comes_from() {
        let cases: &[(&[(&str, &str)], bool)] = &[
            (&[("host", "hub:8080")], true),
            (&[("host", "127.0.0.1:8080"), ("origin", "http://127.0.0.1:8080")], true),
            (&[("host", "[::1]:8080"), ("origin", "http://[::1]:8080")], true),
            (&[("host", "localhost:1"), ("sec-fetch-site", "same-origin")], true),
            (
                &[
                    ("host", "localhost:1"),
                    ("sec-fetch-site", "none"),
                    ("sec-fetch-dest", "document"),
                ],
                true,
            ),
            (
                &[
                    ("host", "localhost:1"),
                    ("sec-fetch-site", "cross-site"),
                    ("sec-fetch-dest", "document"),
                ],
                true,
            ),
            (
                &[
                    ("host", "localhost:1"),
                    ("sec-fetch-site", "cross-site"),
                    ("sec-fetch-dest", "empty"),
                ],
                false,
            ),
            (
                &[
                    ("host", "localhost:1"),
                    ("sec-fetch-site", "same-site"),
                    ("sec-fetch-dest", "script"),
                ],
                false,
            ),
            (&[("host", "127.0.0.1:8080"), ("origin", "http://127.0.0.1:9")], false),
            (&[("host", "127.0.0.1:8080"), ("origin", "null")], false),
            (
                &[("host", "evil.example:8080"), ("origin", "http://evil.example:8080")],
                false,
            ),
            (&[("host", "evil.example"), ("sec-fetch-site", "same-origin")], false),
        ];
        for (headers, allowed) in cases {
            let map: HeaderMap = headers
                .iter()
                .map(|(name, value)| {
                    (
                        header::HeaderName::from_static(name),
                        header::HeaderValue::from_static(value),
                    )
                })
                .collect();
            assert_eq!(check_site(&map).is_ok(), *allowed, "{headers:?}");
        }
    }
}
