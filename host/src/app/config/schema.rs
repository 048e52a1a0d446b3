//! Which keys there are, read off the defaults; and the key that somebody may have meant.

use serde_json::Value;

use super::Config;
use crate::app::nearest::nearest;

/// Keys whose values are never shown.
pub const SECRETS: [&str; 3] = ["api.token", "hub.api_key", "store.url"];

/// Keys whose value may be written as a table, and is one value all the same: who overrides it replaces all of it.
pub const TABLES: [&str; 1] = ["host.labels"];

/// Every key with its value, in alphabetical order.
pub fn leaves(config: &Config) -> Vec<(String, Value)> {
    let mut leaves = Vec::new();
    match serde_json::to_value(config) {
        Ok(value) => flatten("", &value, &mut leaves),
        Err(error) => unreachable!("the configuration is made of what JSON can hold: {error}"),
    }
    leaves
}

fn flatten(prefix: &str, value: &Value, leaves: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                flatten(&join(prefix, name), value, leaves);
            }
        }
        leaf => leaves.push((prefix.to_owned(), leaf.clone())),
    }
}

pub fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        name.to_owned()
    } else {
        format!("{prefix}.{name}")
    }
}

/// All keys, as the dotted paths that errors and `config show` use.
pub struct Schema(Vec<String>);

impl Schema {
    pub fn read() -> Schema {
        Schema(leaves(&Config::default()).into_iter().map(|(key, _)| key).collect())
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    pub fn has(&self, key: &str) -> bool {
        self.keys().any(|known| known == key)
    }

    pub fn is_section(&self, key: &str) -> bool {
        self.keys()
            .any(|known| known.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
    }

    /// Why there is no such key, and which may have been meant.
    pub fn unknown(&self, key: &str) -> String {
        if self.is_section(key) {
            return format!("it is a section: its keys stand below [{key}]");
        }
        if let Some(leaf) = self
            .keys()
            .find(|leaf| key.strip_prefix(leaf).is_some_and(|rest| rest.starts_with('.')))
        {
            return format!("there is no such key: {leaf} is a value, not a section");
        }
        let name = key.rsplit('.').next().unwrap_or(key);
        let misplaced = self.keys().find(|known| known.rsplit('.').next() == Some(name));
        match misplaced.or_else(|| nearest(key, self.keys())) {
            Some(meant) => format!("there is no such key; did you mean {meant}?"),
            None => "there is no such key (`warren config show` lists all)".to_owned(),
        }
    }
}
