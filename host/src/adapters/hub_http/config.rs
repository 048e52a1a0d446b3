//! How a client of the Hub is set up, and what of that can't work.

use std::{sync::Arc, time::Duration};

use reqwest::header::HeaderValue;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use thiserror::Error;

use crate::domain::{backoff::Backoff, secret::Secret};

/// Whether the Hub answers a repeated `Idempotency-Key` with the first result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Idempotency {
    /// It does from the moment that it echoed the header in an answer to a write, until it leaves it out of a good one. Until
    /// then it counts as not honouring it: there is no call that would tell without writing something.
    #[default]
    Detect,
    Yes,
    No,
}

/// How a [`HubClient`](super::HubClient) works.
#[derive(Clone, Debug)]
pub struct HubClientConfig {
    /// Base URL: http or https, without credentials; what stands before `/api/v1` in each call.
    pub url: String,
    /// Sent as `Authorization: Bearer …`.
    pub api_key: Option<Secret>,
    /// For one try, its answer's body included. Default 15 s.
    pub request_timeout: Duration,
    /// How much longer than its own timeout a long poll may take. Default 10 s.
    pub poll_margin: Duration,
    /// For one call with all its tries and waits; a try that would start later is not made. Default 60 s.
    pub call_budget: Duration,
    /// Between tries. Default 200 ms, doubling to 5 s.
    pub retry: Backoff,
    /// Tries of one call. Default 4; 1 means no retry.
    pub max_attempts: u32,
    pub idempotency: Idempotency,
    /// The largest answer in bytes. Default 64 MiB.
    pub max_body: u64,
    /// Default `warren/<version>`.
    pub user_agent: String,
}

impl HubClientConfig {
    /// The defaults for the Hub at `url`.
    pub fn new(url: impl Into<String>) -> HubClientConfig {
        HubClientConfig {
            url: url.into(),
            api_key: None,
            request_timeout: Duration::from_secs(15),
            poll_margin: Duration::from_secs(10),
            call_budget: Duration::from_secs(60),
            retry: Backoff {
                base: Duration::from_millis(200),
                max: Duration::from_secs(5),
            },
            max_attempts: 4,
            idempotency: Idempotency::Detect,
            max_body: 64 * 1024 * 1024,
            user_agent: concat!("warren/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Why there can be no client: the setting that is wrong and what it should be.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct HubConfigError(pub(super) String);

pub(super) fn bearer(key: &Secret) -> Result<HeaderValue, HubConfigError> {
    let value = key.expose();
    let header = if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        None
    } else {
        HeaderValue::from_str(&format!("Bearer {value}")).ok()
    };
    let mut header = header.ok_or_else(|| {
        HubConfigError(
            "the Hub's API key is empty or has blanks, line breaks or other characters that can't be sent: visible ASCII \
             is allowed; set no key if the Hub wants none"
                .to_owned(),
        )
    })?;
    header.set_sensitive(true);
    Ok(header)
}

/// TLS with the ring provider, handed over explicitly so that nothing depends on a process-wide default. The certificates
/// are this machine's; over plain http none are loaded, so that a machine without any can still talk to its own Hub.
pub(super) fn tls(https: bool) -> Result<ClientConfig, HubConfigError> {
    let failed = |error: rustls::Error| {
        HubConfigError(format!(
            "TLS for the Hub can't be set up: {error}; install the system's CA certificates, or name a file with SSL_CERT_FILE"
        ))
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    let builder = if https {
        builder.with_platform_verifier().map_err(failed)?
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    Ok(builder.with_no_client_auth())
}
