//! `[hub]`: where the Hub is and how it is spoken to.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    formats::{format_span, optional, optional_path, span},
    problem::Checks,
    secret,
};
use crate::domain::secret::Secret;

pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// What the Hub's existing clients ask for.
pub const POLL_TIMEOUT: Duration = Duration::from_secs(30);
/// What the Hub's existing clients ask for.
pub const POLL_BATCH: u32 = 100;
pub const RETRIES: u32 = 3;
/// What the Hub's existing clients call stale.
pub const STALENESS: Duration = Duration::from_secs(900);
pub const DISCOVERY_INTERVAL: Duration = Duration::from_secs(60);
pub const BUDGET_TTL: Duration = Duration::from_secs(30);

const LONGEST_POLL: Duration = Duration::from_secs(300);
const LARGEST_BATCH: u32 = 10_000;

/// Whether the Hub honours `Idempotency-Key`, so that a write with an unknown outcome may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Idempotency {
    /// It does once it has echoed the header.
    Detect,
    Yes,
    No,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct HubConfig {
    /// The base URL, such as `https://hub.example.org`. `warren run` needs it. Also `HUB_URL`.
    #[serde(with = "optional")]
    pub url: Option<String>,
    /// Sent as `Authorization: Bearer`. Also `HUB_API_KEY`.
    #[serde(with = "optional")]
    pub api_key: Option<Secret>,
    /// A file that holds the key instead.
    #[serde(with = "optional_path")]
    pub api_key_file: Option<PathBuf>,
    /// For every try of every request but the long poll.
    #[serde(with = "span")]
    pub request_timeout: Duration,
    /// How long the Hub may hold a poll open while there is nothing new.
    #[serde(with = "span")]
    pub poll_timeout: Duration,
    /// Agents per poll.
    pub poll_batch: u32,
    /// Tries after the first, of what is safe to repeat.
    pub retries: u32,
    pub idempotency: Idempotency,
    /// Discovery brings agents that have not run for this long.
    #[serde(with = "span")]
    pub staleness: Duration,
    /// Between two looks for stale agents.
    #[serde(with = "span")]
    pub discovery_interval: Duration,
    /// How long a budget answer is relied on.
    #[serde(with = "span")]
    pub budget_ttl: Duration,
}

impl Default for HubConfig {
    fn default() -> HubConfig {
        HubConfig {
            url: None,
            api_key: None,
            api_key_file: None,
            request_timeout: REQUEST_TIMEOUT,
            poll_timeout: POLL_TIMEOUT,
            poll_batch: POLL_BATCH,
            retries: RETRIES,
            idempotency: Idempotency::Detect,
            staleness: STALENESS,
            discovery_interval: DISCOVERY_INTERVAL,
            budget_ttl: BUDGET_TTL,
        }
    }
}

impl HubConfig {
    /// The key, wherever it is kept; an error names the file.
    pub fn load_api_key(&self) -> Result<Option<Secret>, String> {
        match (&self.api_key, &self.api_key_file) {
            (Some(key), _) => Ok(Some(key.clone())),
            (None, Some(path)) => secret::read(path).map(Some),
            (None, None) => Ok(None),
        }
    }

    pub(super) fn check(&self, checks: &mut Checks) {
        if let Some(url) = &self.url
            && let Err(message) = check_url(url)
        {
            checks.require(false, &["hub.url"], || message);
        }
        if let (None, Err(message)) = (&self.api_key, self.load_api_key()) {
            checks.require(false, &["hub.api_key_file"], || message);
        }
        checks.require(
            self.api_key.is_none() || self.api_key_file.is_none(),
            &["hub.api_key_file", "hub.api_key"],
            || "hub.api_key is set as well: keep one of the two".to_owned(),
        );
        let nonzero = |checks: &mut Checks, span: Duration, key| {
            checks.require(!span.is_zero(), &[key], || {
                "0s is too short: more than nothing is needed".to_owned()
            });
        };
        nonzero(checks, self.request_timeout, "hub.request_timeout");
        nonzero(checks, self.staleness, "hub.staleness");
        nonzero(checks, self.discovery_interval, "hub.discovery_interval");
        checks.require(
            (Duration::from_secs(1)..=LONGEST_POLL).contains(&self.poll_timeout),
            &["hub.poll_timeout"],
            || {
                format!(
                    "{} is outside 1s to {}",
                    format_span(self.poll_timeout),
                    format_span(LONGEST_POLL)
                )
            },
        );
        checks.require(
            (1..=LARGEST_BATCH).contains(&self.poll_batch),
            &["hub.poll_batch"],
            || format!("{} is outside 1 to {LARGEST_BATCH}", self.poll_batch),
        );
        checks.require(self.retries <= 10, &["hub.retries"], || {
            format!("{} is outside 0 to 10", self.retries)
        });
    }
}

fn check_url(text: &str) -> Result<(), String> {
    const EXPECTED: &str = "an address such as \"https://hub.example.org\" is expected";
    // Without the URL in the message: it may hold a password.
    let url = reqwest::Url::parse(text).map_err(|error| format!("not a URL ({error}); {EXPECTED}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL holds a user or password: use hub.api_key instead".to_owned());
    }
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(format!("{text:?} is neither http nor https; {EXPECTED}"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("the URL has a query or fragment; {EXPECTED}"));
    }
    Ok(())
}
