//! `[log]`: what is logged, and how it looks.

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use super::problem::Checks;

pub const LEVEL: &str = "info";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Console,
    /// One JSON object per line.
    Json,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    pub format: LogFormat,
    /// A level, and levels by target, such as `info,warren::services=debug,guest=warn`.
    pub level: String,
}

impl Default for LogConfig {
    fn default() -> LogConfig {
        LogConfig {
            format: LogFormat::Console,
            level: LEVEL.to_owned(),
        }
    }
}

impl LogConfig {
    pub fn filter(&self) -> Result<EnvFilter, String> {
        EnvFilter::try_new(&self.level).map_err(|error| {
            format!(
                "{:?} is not a list of levels ({error}): `off`, `error`, `warn`, `info`, `debug` and `trace` are \
                 allowed, alone or as `target=level`, separated by commas",
                self.level
            )
        })
    }

    pub(super) fn check(&self, checks: &mut Checks) {
        if let Err(message) = self.filter() {
            checks.require(false, &["log.level"], || message);
        }
    }
}
