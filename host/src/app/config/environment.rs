//! Environment variables: `hub.poll_timeout` is `WARREN_HUB_POLL_TIMEOUT`.
//!
//! Names are derived from the keys, never keys from names, so that underscores need no rule.

use super::{problem::Problem, schema::Schema};
use crate::app::nearest::nearest;

const PREFIX: &str = "WARREN_";
/// Names the file; read by the command line.
const FILE_VARIABLE: &str = "WARREN_CONFIG";

/// The least of all, below the file: every container sets it, and who writes a name into the file means it.
pub const HOST_NAME: (&str, &str) = ("HOSTNAME", "host.name");
/// Familiar names, above the file and below their `WARREN_…` twins.
pub const FAMILIAR: [(&str, &str); 3] = [
    ("HUB_API_KEY", "hub.api_key"),
    ("HUB_URL", "hub.url"),
    ("REDIS_URL", "store.url"),
];

/// The variable that overrides a key.
pub fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_ascii_uppercase())
}

/// The key that a variable sets: nothing if it is none of ours, a problem if it looks like ours and is not.
pub fn key_of(schema: &Schema, name: &str) -> Option<Result<String, Problem>> {
    if !name.starts_with(PREFIX) || name == FILE_VARIABLE || is_service_link(name) {
        return None;
    }
    if let Some(key) = schema.keys().find(|key| variable(key) == name) {
        return Some(Ok(key.to_owned()));
    }
    let names: Vec<String> = schema.keys().map(variable).collect();
    let meant = match nearest(name, names.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!("names are {PREFIX}SECTION_KEY, such as {}", variable("hub.url")),
    };
    Some(Err(Problem {
        place: name.to_owned(),
        key: String::new(),
        message: format!("no key has this environment variable; {meant}"),
    }))
}

/// Kubernetes puts variables of this form into every pod for a service that is called `warren` or `warren-…`.
fn is_service_link(name: &str) -> bool {
    let is_port = |rest: &str| rest.is_empty() || rest.starts_with('_');
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.find("_PORT").is_some_and(|at| {
            let rest = &name[at + "_PORT".len()..];
            is_port(rest) && (rest.is_empty() || rest[1..].starts_with(|c: char| c.is_ascii_digit()))
        })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_key_has_a_variable_of_its_own() {
        let schema = Schema::read();
        let names: BTreeSet<String> = schema.keys().map(variable).collect();
        assert_eq!(names.len(), schema.keys().count());
        assert!(names.iter().all(|name| !is_service_link(name) && name != FILE_VARIABLE));
        assert_eq!(
            key_of(&schema, "WARREN_LIMITS_MAX_MEMORY"),
            Some(Ok("limits.max.memory".to_owned()))
        );
        assert_eq!(
            key_of(&schema, "WARREN_QUEUE_MAX_LENGTH"),
            Some(Ok("queue.max_length".to_owned()))
        );
    }

    #[test]
    fn what_is_nearly_ours_is_a_problem_and_what_is_not_ours_is_not() {
        let schema = Schema::read();
        let problem = key_of(&schema, "WARREN_HUB_POL_TIMEOUT").unwrap().unwrap_err();
        assert!(
            problem.to_string().contains("did you mean WARREN_HUB_POLL_TIMEOUT?"),
            "{problem}"
        );
        for other in [
            "PATH",
            "WARREN_CONFIG",
            "WARREN_SERVICE_HOST",
            "WARREN_API_SERVICE_PORT_HTTP",
            "WARREN_PORT",
            "WARREN_PORT_9090_TCP_ADDR",
        ] {
            assert_eq!(key_of(&schema, other), None, "{other}");
        }
    }
}
