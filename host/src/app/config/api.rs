//! `[api]`: the one port for metrics, probes and the JSON API.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::{
    formats::{address, optional, optional_path},
    problem::Checks,
};
use crate::domain::secret::Secret;

pub const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);
/// The token's file in `host.data_dir`.
pub const TOKEN_FILE: &str = "api-token";
/// Shorter tokens can be guessed.
const SHORTEST_TOKEN: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// On loopback reading is open and changing needs the token; elsewhere all but metrics and probes needs it.
    #[serde(with = "address")]
    pub listen: SocketAddr,
    /// Names under which this host is called besides loopback and the listened address, as in `Host:` headers. A request
    /// for any other name is refused, so that a page of somebody else's can't reach it through a name of its own.
    pub hosts: Vec<String>,
    /// Under which address the other hosts of a cluster, and people, reach this API. Unset: `http://` and the listened
    /// address, or the host's name where that is every address.
    #[serde(with = "optional")]
    pub advertise: Option<String>,
    /// At least 16 characters. The hosts of one cluster have the same, and use it among each other.
    #[serde(with = "optional")]
    pub token: Option<Secret>,
    /// A file that holds the token instead. Unset: `api-token` in `host.data_dir`, made at the first start.
    #[serde(with = "optional_path")]
    pub token_file: Option<PathBuf>,
}

impl Default for ApiConfig {
    fn default() -> ApiConfig {
        ApiConfig {
            listen: LISTEN,
            hosts: Vec::new(),
            advertise: None,
            token: None,
            token_file: None,
        }
    }
}

impl ApiConfig {
    pub(super) fn check(&self, checks: &mut Checks) {
        if let Some(token) = &self.token {
            let length = token.expose().len();
            checks.require(length >= SHORTEST_TOKEN, &["api.token"], || {
                format!("it has {length} characters; at least {SHORTEST_TOKEN} are needed")
            });
            checks.require(
                token.expose().bytes().all(|b| b.is_ascii_graphic()),
                &["api.token"],
                || "it has characters that a header can't carry: printable ASCII without spaces is allowed".to_owned(),
            );
        }
        if let Some(address) = &self.advertise {
            let good = Url::parse(address).is_ok_and(|url| {
                url.scheme() == "http" && url.has_host() && matches!(url.path(), "" | "/") && url.query().is_none()
            });
            checks.require(good, &["api.advertise"], || {
                format!("{address:?} is not the address of an API: it is written http://NAME:PORT")
            });
        }
        for host in &self.hosts {
            checks.require(
                !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || matches!(c, '/' | ':' | '@')),
                &["api.hosts"],
                || format!("{host:?} is not a host name: it is written without scheme, port and path"),
            );
        }
    }
}
