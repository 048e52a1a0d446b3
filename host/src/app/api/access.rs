//! Who may call the API.
//!
//! On loopback reading is open, for whoever has a shell on the machine; a browser on it is not trusted, so `Host` must be
//! a name of this host (a foreign page can point a name of its own at 127.0.0.1) and `Origin`, where there is one, the
//! API's own. Changing needs the token, everywhere. On any other address all but the probes and metrics needs it.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::error::ApiError;
use crate::domain::secret::Secret;

/// What monitoring reads: open on every address.
const OPEN: [&str; 3] = ["/metrics", "/health", "/ready"];

pub struct Access {
    /// The address that is listened on.
    listen: SocketAddr,
    /// Further names of this host.
    names: Vec<String>,
    /// The token's hash, so that comparing takes the same time for every length.
    token: [u8; 32],
}

impl Access {
    pub fn new(listen: SocketAddr, names: Vec<String>, token: &Secret) -> Access {
        Access {
            listen,
            names,
            token: hash(token.expose()),
        }
    }

    /// Whether a request may be served, judged by its head alone.
    pub fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        let local = self.listen.ip().is_loopback();
        let open = OPEN.contains(&uri.path());
        // Probes and scrapes reach a cluster's hosts under names that nobody lists, and tell nothing that is secret.
        let host = host_of(uri, headers);
        if local || !open {
            self.check_host(host)?;
        }
        check_origin(host, headers)?;
        let reads = method == Method::GET || method == Method::HEAD;
        if open || (local && reads) {
            return Ok(());
        }
        self.check_token(headers)
    }

    fn check_host(&self, host: Option<&str>) -> Result<(), ApiError> {
        let host = host.ok_or_else(|| ApiError::misdirected("the request has no Host header".to_owned()))?;
        let name = host_name(host).trim_end_matches('.');
        let known = match name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            // Nobody can point a number at somebody else's address.
            Ok(ip) => !self.listen.ip().is_loopback() || ip.is_loopback() || ip == self.listen.ip(),
            Err(_) => {
                name.eq_ignore_ascii_case("localhost")
                    || self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
            }
        };
        if known {
            return Ok(());
        }
        Err(ApiError::misdirected(format!(
            "{name:?} is not a name of this host; if it should be, add it to api.hosts of its configuration"
        )))
    }

    /// Whether the request shows the token.
    pub fn check_token(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| {
                let (scheme, token) = value.split_once(' ')?;
                scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
            });
        match given {
            None => Err(ApiError::unauthorized(
                "this needs the header Authorization: Bearer TOKEN; the token is in the host's api.token or api.token_file",
            )),
            Some(token) if bool::from(hash(token).ct_eq(&self.token)) => Ok(()),
            Some(_) => Err(ApiError::unauthorized(
                "the token is not this host's; compare api.token and api.token_file",
            )),
        }
    }
}

/// What every request passes first.
pub async fn guard(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let mut response = match access.check(request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    // Nothing here is worth keeping, and none of it is a page.
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The host that a request is for: the target's, where it names one, else the header's.
fn host_of<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Option<&'r str> {
    match uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => headers.get(header::HOST).and_then(|host| host.to_str().ok()),
    }
}

/// Without the port.
fn host_name(host: &str) -> &str {
    match host.rfind(':') {
        Some(colon) if !host[colon..].contains(']') => &host[..colon],
        _ => host,
    }
}

fn check_origin(host: Option<&str>, headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().unwrap_or_default();
    let authority = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    match (authority, host) {
        (Some(authority), Some(host)) if authority.eq_ignore_ascii_case(host) => Ok(()),
        _ => Err(ApiError::forbidden("pages of other origins may not use this API")),
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    /// Listen address, method, target, headers, and the status that is expected.
    type Case<'c> = (&'c str, &'c Method, &'c str, &'c [(&'c str, &'c str)], u16);

    fn verdict(listen: &str, method: Method, target: &str, headers: &[(&str, &str)]) -> u16 {
        let token = Secret::from(TOKEN.to_owned());
        let access = Access::new(listen.parse().unwrap(), vec!["warren.example".into()], &token);
        let headers = headers
            .iter()
            .map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap()))
            .collect::<HeaderMap>();
        match access.check(&method, &target.parse().unwrap(), &headers) {
            Ok(()) => 200,
            Err(error) => error.status().as_u16(),
        }
    }

    #[test]
    fn the_matrix_of_address_method_path_host_origin_and_token() {
        const LOCAL: &str = "127.0.0.1:9090";
        const ANY: &str = "0.0.0.0:9090";
        const ITEMS: &str = "/api/v1/items";
        const STATUS: &str = "/api/v1/status";
        let good = ("authorization", "Bearer 0123456789abcdef");
        let bad = ("authorization", "Bearer 0123456789abcdeF");
        let basic = ("authorization", "Basic 0123456789abcdef");
        let host = ("host", "127.0.0.1:9090");
        let origin = ("origin", "http://127.0.0.1:9090");
        let (get, post) = (Method::GET, Method::POST);
        let matrix: &[Case<'_>] = &[
            // On loopback reading is open...
            (LOCAL, &get, STATUS, &[host], 200),
            (LOCAL, &Method::HEAD, STATUS, &[host], 200),
            (LOCAL, &get, STATUS, &[("host", "localhost:9090")], 200),
            (LOCAL, &get, STATUS, &[("host", "LOCALHOST.")], 200),
            (LOCAL, &get, STATUS, &[("host", "[::1]:9090")], 200),
            (LOCAL, &get, STATUS, &[("host", "warren.example")], 200),
            // ...and changing is not.
            (LOCAL, &post, ITEMS, &[host], 401),
            (LOCAL, &post, ITEMS, &[host, bad], 401),
            (LOCAL, &post, ITEMS, &[host, basic], 401),
            (LOCAL, &post, ITEMS, &[host, ("authorization", "Bearer ")], 401),
            (LOCAL, &post, ITEMS, &[host, good], 200),
            (LOCAL, &Method::DELETE, STATUS, &[host], 401),
            (
                LOCAL,
                &post,
                ITEMS,
                &[host, ("authorization", "bearer 0123456789abcdef")],
                200,
            ),
            // Names that aren't this host's.
            (LOCAL, &get, STATUS, &[], 421),
            (LOCAL, &get, STATUS, &[("host", "evil.example:9090")], 421),
            (LOCAL, &get, STATUS, &[("host", "localhost.evil.example")], 421),
            (LOCAL, &get, STATUS, &[("host", "10.0.0.1:9090")], 421),
            (LOCAL, &get, "/metrics", &[("host", "evil.example")], 421),
            (LOCAL, &post, ITEMS, &[("host", "evil.example"), good], 421),
            (LOCAL, &get, "http://evil.example/api/v1/status", &[host], 421),
            // Pages of others.
            (LOCAL, &get, STATUS, &[host, origin], 200),
            (LOCAL, &get, STATUS, &[host, ("origin", "http://evil.example")], 403),
            (LOCAL, &get, STATUS, &[host, ("origin", "http://127.0.0.1:8080")], 403),
            (LOCAL, &get, STATUS, &[host, ("origin", "null")], 403),
            (
                LOCAL,
                &post,
                ITEMS,
                &[host, good, ("origin", "https://evil.example")],
                403,
            ),
            (LOCAL, &post, ITEMS, &[host, good, origin], 200),
            // On another address all but monitoring needs the token.
            (ANY, &get, STATUS, &[host], 401),
            (ANY, &get, STATUS, &[host, good], 200),
            (ANY, &get, STATUS, &[("host", "10.0.0.1:9090"), good], 200),
            (ANY, &get, STATUS, &[("host", "evil.example"), good], 421),
            (ANY, &get, STATUS, &[("host", "warren.example"), good], 200),
            (ANY, &post, ITEMS, &[host], 401),
            (ANY, &post, ITEMS, &[host, good], 200),
            (ANY, &get, "/metrics", &[("host", "warren.svc")], 200),
            (ANY, &get, "/health", &[], 200),
            (
                ANY,
                &get,
                "/ready",
                &[("host", "warren.svc"), ("origin", "http://evil.example")],
                403,
            ),
            (ANY, &get, "/metrics/", &[("host", "warren.svc")], 421),
        ];
        for (listen, method, target, headers, expected) in matrix {
            let status = verdict(listen, (*method).clone(), target, headers);
            assert_eq!(status, *expected, "{listen} {method} {target} {headers:?}");
        }
    }
}
