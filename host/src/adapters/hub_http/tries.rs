//! When a call is tried again: bounded in number and in time, with backoff, and never before the Hub wants to be asked.

use std::time::Duration;

use tokio::time::Instant;

use super::{HubClientConfig, failure::Failure};

/// The longest `Retry-After` that is waited for within one call. A Hub that asks for more gets its peace: the call ends, and
/// whoever made it comes back later.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

/// The tries of one call.
pub(super) struct Tries<'a> {
    config: &'a HubClientConfig,
    deadline: Instant,
    failed: u32,
}

impl<'a> Tries<'a> {
    pub(super) fn begin(config: &'a HubClientConfig) -> Tries<'a> {
        Tries {
            config,
            deadline: Instant::now() + config.call_budget,
            failed: 0,
        }
    }

    /// How long the next try may take.
    pub(super) fn time_limit(&self) -> Duration {
        self.config
            .request_timeout
            .min(self.deadline.saturating_duration_since(Instant::now()))
    }

    /// Waits until the call may be tried again; or gives the failure back, which then is the call's, with the number of tries
    /// in its words.
    pub(super) async fn again(&mut self, failure: Failure) -> Result<(), Failure> {
        self.failed += 1;
        if !failure.may_pass() {
            return Err(failure);
        }
        if self.failed >= self.config.max_attempts {
            return Err(self.give_up(failure, ""));
        }
        let jittered = self.config.retry.wait(self.failed - 1, rand::random());
        let wait = match failure.retry_after {
            Some(asked) if asked > LONGEST_RETRY_AFTER => {
                let why =
                    format!("it asks to be left alone for {asked:?}, a call waits at most {LONGEST_RETRY_AFTER:?}");
                return Err(self.give_up(failure, &why));
            }
            // The jitter comes on top, so that those who were told the same time don't return in the same moment.
            Some(asked) => asked + jittered,
            None => jittered,
        };
        if Instant::now() + wait >= self.deadline {
            let why = format!(
                "the call's {:?} would be over before the next try",
                self.config.call_budget
            );
            return Err(self.give_up(failure, &why));
        }
        tracing::debug!(failure = %failure.message, tries = self.failed, ?wait, "a call to the Hub is tried again");
        tokio::time::sleep(wait).await;
        Ok(())
    }

    fn give_up(&self, mut failure: Failure, why: &str) -> Failure {
        let tries = if self.failed == 1 {
            "1 try".to_owned()
        } else {
            format!("{} tries", self.failed)
        };
        let why = if why.is_empty() {
            String::new()
        } else {
            format!(": {why}")
        };
        failure.message.push_str(&format!(" (gave up after {tries}{why})"));
        failure
    }
}
