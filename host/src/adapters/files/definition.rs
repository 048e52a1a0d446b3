//! `config.yaml` of an agent: its shape, and how it becomes a definition.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use serde::{Deserialize, Deserializer};
use serde_path_to_error::Track;

use super::values::{CapabilityName, Limits, located};
use crate::domain::{
    agent::{AgentDefinition, BehaviorLimits},
    ids::{AgentName, PluginName},
};

/// How long a definition is used without looking at its file again, where it does not say. In seconds.
const DEFAULT_CACHE_TTL: u64 = 300;

/// How much of a wrong line is repeated, in characters.
const SHOWN: usize = 80;

/// The key under which `wasi:config` answers with the text of `system-prompt.md`.
pub(super) const SYSTEM_PROMPT: &str = "system_prompt";

/// A section, which may also be left empty.
fn section<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    name: String,
    #[serde(rename = "type", default)]
    kind: String,
    plugin: String,
    #[serde(default)]
    description: String,
    cache_ttl: Option<u64>,
    #[serde(default, deserialize_with = "section")]
    capabilities: Capabilities,
    #[serde(default, deserialize_with = "section")]
    behavior: Behavior,
    #[serde(default, deserialize_with = "section")]
    limits: Limits,
    #[serde(default, deserialize_with = "section")]
    workspace: Workspace,
    #[serde(default, deserialize_with = "section")]
    config: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Capabilities {
    #[serde(default, deserialize_with = "section")]
    grants: Vec<CapabilityName>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Behavior {
    #[serde(default, deserialize_with = "section")]
    discovery: Discovery,
    #[serde(default, deserialize_with = "section")]
    limits: HubLimits,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Discovery {
    #[serde(default)]
    enabled: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct HubLimits {
    max_daily_posts: Option<u32>,
    max_daily_comments: Option<u32>,
    max_responses_per_thread: Option<u32>,
    min_interval_seconds: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Workspace {
    #[serde(default)]
    wipe: bool,
}

impl From<HubLimits> for BehaviorLimits {
    fn from(limits: HubLimits) -> BehaviorLimits {
        let default = BehaviorLimits::default();
        BehaviorLimits {
            max_daily_posts: limits.max_daily_posts.unwrap_or(default.max_daily_posts),
            max_daily_comments: limits.max_daily_comments.unwrap_or(default.max_daily_comments),
            max_responses_per_thread: limits
                .max_responses_per_thread
                .unwrap_or(default.max_responses_per_thread),
            min_interval: limits
                .min_interval_seconds
                .map_or(default.min_interval, Duration::from_secs),
        }
    }
}

/// The definition that `text`, the content of `file`, gives the agent `name`. `prompt` is what stands in `system-prompt.md`.
///
/// # Errors
/// In words, with file, line, field, value and what is allowed.
pub(super) fn parse(
    file: &Path,
    name: &AgentName,
    text: &str,
    prompt: Option<String>,
) -> Result<AgentDefinition, String> {
    let config = read(file, text)?;
    if config.name != name.as_str() {
        let what = format!(
            "{:?} is not the name of the file's folder, {:?}: they must be the same",
            config.name,
            name.as_str()
        );
        return Err(located(file, None, "name", &what));
    }
    let plugin = PluginName::new(config.plugin).map_err(|error| located(file, None, "plugin", &error.to_string()))?;
    let mut values = config.config;
    if let Some(prompt) = prompt
        && values.insert(SYSTEM_PROMPT.to_owned(), prompt).is_some()
    {
        let what = "the agent also has a system-prompt.md: keep one of the two";
        return Err(located(file, None, "config.system_prompt", what));
    }
    Ok(AgentDefinition {
        name: name.clone(),
        kind: config.kind,
        plugin,
        description: config.description,
        grants: config.capabilities.grants.into_iter().map(|name| name.0).collect(),
        discovery: config.behavior.discovery.enabled,
        behavior: config.behavior.limits.into(),
        limits: config.limits.into(),
        wipe_workspace: config.workspace.wipe,
        cache_ttl: Duration::from_secs(config.cache_ttl.unwrap_or(DEFAULT_CACHE_TTL)),
        config: Arc::new(values),
    })
}

fn read(file: &Path, text: &str) -> Result<Config, String> {
    let options = serde_saphyr::options! { with_snippet: false };
    let mut field = String::new();
    let parsed = serde_saphyr::with_deserializer_from_str_with_options(text, options, |yaml| {
        let mut track = Track::new();
        let read = Config::deserialize(serde_path_to_error::Deserializer::new(yaml, &mut track));
        if read.is_err() {
            // A key that can't be told is part of the path as a question mark.
            field = track
                .path()
                .to_string()
                .trim_end_matches('?')
                .trim_end_matches('.')
                .to_owned();
        }
        read
    });
    parsed.map_err(|error| {
        let line = error.location().map(|location| location.line());
        let mut what = says(&error);
        if let Some(hint) = moved(&field) {
            what.push_str(&format!("; {hint}"));
        }
        // The line as it stands holds the value, which not every error repeats.
        if let Some(source) = line.and_then(|line| text.lines().nth(usize::try_from(line - 1).ok()?))
            && !source.trim().is_empty()
        {
            let shown: String = source.trim().chars().take(SHOWN).collect();
            what.push_str(&format!(" (the line is `{shown}`)"));
        }
        located(file, line, &field, &what)
    })
}

/// What is wrong and what is allowed, for those errors of the YAML library that speak to its programmer.
fn says(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error as Yaml;
    match error {
        Yaml::InvalidScalar { ty: "boolean", .. } => "not a truth value: true and false are allowed".to_owned(),
        Yaml::InvalidScalar { ty: "u32", .. } => format!("not a whole number from 0 to {}", u32::MAX),
        Yaml::InvalidScalar { ty: "u64", .. } => "not a whole number from 0 up".to_owned(),
        Yaml::NullIntoString { .. } => "has no value: write \"\" for an empty text".to_owned(),
        Yaml::Unexpected { expected, .. } if expected.contains("scalar") => {
            "one text, number, true or false is allowed, not a list or a mapping".to_owned()
        }
        Yaml::Unexpected { expected, .. } if expected.contains("mapping") => {
            "`key: value` lines are expected here".to_owned()
        }
        Yaml::Unexpected { expected, .. } if expected.contains("sequence") => "a list is expected here".to_owned(),
        Yaml::DuplicateMappingKey { key, .. } => {
            format!("the key {} stands here twice", key.as_deref().unwrap_or_default())
        }
        Yaml::Eof { .. } => "the file has no content".to_owned(),
        other => {
            let text = other.to_string();
            // The place stands in front of every message already.
            text.rsplit_once(" at line ")
                .map_or(text.as_str(), |(what, _)| what)
                .to_owned()
        }
    }
}

/// What has become of fields that agent definitions had elsewhere.
fn moved(field: &str) -> Option<&'static str> {
    match field {
        "behavior.max_daily_posts"
        | "behavior.max_daily_comments"
        | "behavior.max_responses_per_thread"
        | "behavior.min_interval_seconds" => Some("it moved into behavior.limits"),
        "behavior.notifications" | "interests" => {
            Some("the plugin decides what it answers and looks for: give it what it needs under `config`")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
