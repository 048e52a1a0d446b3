//! What clients write to switch faults, checked.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::devhub::problem::Problem;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Latency,
    Status,
    Hang,
    Html,
    Drop,
    DropAfter,
    Truncate,
    Cut,
}

/// One rule, as clients write it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::devhub) struct Rule {
    /// The beginning of the path; with a `*` in it, a pattern for the whole path, `*` standing for any characters.
    pub(super) path: String,
    /// Default: every method.
    #[serde(default)]
    pub(super) method: Option<String>,
    pub(super) kind: Kind,
    #[serde(default)]
    pub(super) ms: Option<u64>,
    #[serde(default)]
    pub(super) status: Option<u16>,
    #[serde(default)]
    pub(super) retry_after: Option<u64>,
    /// The share of matching requests that is struck, 0 to 1; default 1.
    #[serde(default = "always")]
    pub(super) rate: f64,
    #[serde(default)]
    pub(super) seed: u64,
    /// Only the first this many matching requests can be struck; default: all.
    #[serde(default)]
    pub(super) times: Option<u64>,
    #[serde(default)]
    pub(super) after: bool,
}

fn always() -> f64 {
    1.0
}

impl Rule {
    fn check(&self, index: usize) -> Result<(), Problem> {
        let refuse = |what: String| Err(Problem::invalid("rules", format!("rules[{index}].{what}")));
        if !(0.0..=1.0).contains(&self.rate) {
            return refuse(format!("rate is {}; it must be between 0 and 1", self.rate));
        }
        if let Some(status) = self.status
            && !(200..=599).contains(&status)
        {
            return refuse(format!("status is {status}; it must be between 200 and 599"));
        }
        if self.kind == Kind::Latency && self.ms.is_none() {
            return refuse("ms is missing; say how many milliseconds of latency".to_owned());
        }
        if !self.path.starts_with(['/', '*']) {
            return refuse(format!("path is {:?}; it must begin with / or *", self.path));
        }
        Ok(())
    }

    pub(super) fn matches(&self, method: &str, path: &str) -> bool {
        self.method
            .as_ref()
            .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && if self.path.contains('*') {
                glob(&self.path, path)
            } else {
                path.starts_with(&self.path)
            }
    }

    pub(super) fn takes_effect_first(&self) -> bool {
        self.after || matches!(self.kind, Kind::DropAfter | Kind::Truncate | Kind::Cut)
    }
}

/// Whether `*`, standing for any characters, makes the pattern equal to the path.
fn glob(pattern: &str, path: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == path;
    };
    let Some(rest) = path.strip_prefix(head) else {
        return false;
    };
    if !tail.contains('*') {
        return rest.ends_with(tail);
    }
    rest.char_indices()
        .map(|(at, _)| &rest[at..])
        .chain([""])
        .any(|rest| glob(tail, rest))
}

/// Everything that can be switched, as clients write it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::devhub) struct Switches {
    pub(super) rules: Vec<Rule>,
    /// The long poll answers 404, as on a Hub that has none.
    pub(super) no_long_poll: bool,
    /// False: `Idempotency-Key` is ignored and not echoed, as on a Hub that doesn't know it.
    pub(super) idempotency: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            no_long_poll: false,
            idempotency: true,
        }
    }
}

impl Switches {
    /// From an object of switches or a bare list of rules.
    pub(in crate::devhub) fn parse(value: serde_json::Value) -> Result<Self, Problem> {
        let value = if value.is_array() {
            serde_json::json!({ "rules": value })
        } else {
            value
        };
        let switches: Self = serde_json::from_value(value)
            .map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", error.to_string()))?;
        switches
            .rules
            .iter()
            .enumerate()
            .try_for_each(|(index, rule)| rule.check(index))?;
        Ok(switches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_beginning_or_a_pattern() {
        let cases = [
            ("/api/v1/posts/*/comments", "/api/v1/posts/1/comments", true),
            ("/api/v1/posts/*/comments", "/api/v1/posts/1", false),
            ("*/read", "/api/v1/notifications/read", true),
            ("/api/*/po*ts", "/api/v1/posts", true),
            ("/api/*/po*ts", "/api/v1/agents", false),
            ("*", "/", true),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(glob(pattern, path), expected, "{pattern} {path}");
        }
    }
}
