//! Writes that must not happen twice.
//!
//! Every try of one effect carries the same `Idempotency-Key`. A failure that proves that nothing happened (no connection,
//! 408, 429) is tried again like a read. One that leaves it open (timeout, 5xx, a cut or unreadable answer) is tried again
//! only towards a Hub that is known to honour the header, else it ends as `Ambiguous`; so does what follows on such a
//! failure, unless it settles the question.

use std::sync::atomic::Ordering;

use reqwest::Response;
use sha2::{Digest, Sha256};

use super::{
    HubClient, Idempotency,
    address::Call,
    body::{self, Answer},
    failure::{Failure, Kind},
    tries::Tries,
    within,
};
use crate::ports::hub::HubError;

pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";

impl HubClient {
    /// Makes the write and understands its answer with `parse`. `unsure`: an earlier call may have done it already.
    pub(super) async fn write<T>(
        &self,
        call: &Call,
        body: &serde_json::Value,
        key: &str,
        unsure: bool,
        parse: impl Fn(&Answer) -> Result<T, Failure>,
    ) -> Result<T, HubError> {
        if unsure && !self.honours_keys() {
            return Err(HubError::Ambiguous(format!(
                "{call}: not sent, because an earlier try may have happened and this Hub is not known to honour \
                 Idempotency-Key; if it does, say so in this host's configuration"
            )));
        }
        let key = header_value(key);
        let mut ambiguous = unsure;
        let mut tries = Tries::begin(&self.config);
        loop {
            let sending = async {
                let response = self.send(call, Some(body), Some(&key)).await?;
                parse(&body::read(call, response, self.config.max_body).await?)
            };
            let failure = match within(call, tries.time_limit(), sending).await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            if failure.may_have_happened() {
                ambiguous = true;
                if !self.honours_keys() {
                    return Err(HubError::Ambiguous(format!(
                        "{}; it may have happened, and this Hub is not known to honour Idempotency-Key",
                        failure.message
                    )));
                }
            }
            if let Err(failure) = tries.again(failure).await {
                // What a Hub that honours keys says of the target proves that it had no first result to repeat.
                let settled = matches!(failure.kind, Kind::NotFound | Kind::Rejected);
                return Err(match HubError::from(failure) {
                    error if !ambiguous || settled => error,
                    error => HubError::Ambiguous(format!("{error}; it may have happened")),
                });
            }
        }
    }

    /// Whether a write may be repeated.
    fn honours_keys(&self) -> bool {
        match self.config.idempotency {
            Idempotency::Yes => true,
            Idempotency::No => false,
            Idempotency::Detect => self.honours_keys.load(Ordering::Relaxed),
        }
    }

    /// Takes from the answer to a write whether the Hub honours keys. A good answer without the echo takes it back: the Hub
    /// was replaced by an older one.
    pub(super) fn learn(&self, response: &Response, key: &str) {
        let echo = response.headers().get(IDEMPOTENCY_KEY);
        let echo = echo.and_then(|value| value.to_str().ok());
        // The header's draft standard writes the key as a quoted string.
        let honoured = echo.is_some_and(|echo| echo.trim().trim_matches('"') == key);
        if honoured || response.status().is_success() {
            self.honours_keys.store(honoured, Ordering::Relaxed);
        }
    }
}

/// The key as a header may carry it: effect keys hold ids, and ids may hold anything and be of any length.
fn header_value(key: &str) -> String {
    let digest = Sha256::digest(key.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
