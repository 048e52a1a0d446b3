//! An HTTP client for what this machine itself serves: the API, and the development Hub.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use rustls::{ClientConfig, RootCertStore, crypto::ring};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Plain HTTP, so no certificate is trusted; and a proxy has no business between a host and its commands.
pub fn client() -> anyhow::Result<reqwest::Client> {
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .context("can't make an HTTP client")?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("can't make an HTTP client")
}
