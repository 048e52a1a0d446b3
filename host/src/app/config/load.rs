//! Reads the layers, checks each value where it stands, and keeps for every key where its value came from.
//!
//! Values are checked one by one, each in an otherwise default configuration, because serde stops at the first error and
//! an operator wants them all. What is wrong is left out, so that the rules between keys can be checked for the rest.

mod leaf;

use std::{
    collections::BTreeSet,
    env, fs, io,
    path::{Path, PathBuf},
};

use figment::{Figment, value::Value};
use serde::Serialize;

use self::leaf::{Layer, check_leaf, expectation};
use super::{
    Config,
    environment::{FAMILIAR, HOST_NAME, key_of},
    problem::{Problem, Problems},
    schema::{self, SECRETS, Schema, TABLES},
};
use crate::adapters::files::PluginFolder;

/// The file that is read from the working directory where none is named.
pub const DEFAULT_FILE: &str = "warren.toml";
const DEFAULT: &str = "default";

/// Where a configuration comes from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    pub file: Option<PathBuf>,
    pub environment: Vec<(String, String)>,
}

/// A configuration that holds together.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// Every key with its effective value, in alphabetical order.
    pub entries: Vec<Entry>,
}

/// One effective value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    pub key: String,
    /// Of a secret only whether it is set.
    pub value: serde_json::Value,
    /// The file, the environment variable, or `default`.
    pub source: String,
}

impl Sources {
    /// This process's environment, and `file`, else `warren.toml` if the working directory has one.
    pub fn of_process(file: Option<PathBuf>) -> Result<Sources, Problems> {
        let mut environment = Vec::new();
        let mut problems = Vec::new();
        for (name, value) in env::vars_os() {
            let (Ok(name), value) = (name.into_string(), value.into_string()) else {
                continue;
            };
            match value {
                Ok(value) => environment.push((name, value)),
                Err(_) if name.starts_with("WARREN_") => problems.push(Problem {
                    place: name,
                    key: String::new(),
                    message: "its value is not UTF-8".to_owned(),
                }),
                Err(_) => {}
            }
        }
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let file = file.or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()));
        Ok(Sources { file, environment })
    }

    /// Read, merge and check.
    pub fn load(self) -> Result<Loaded, Problems> {
        let mut loader = Loader {
            schema: Schema::read(),
            figment: Figment::new(),
            problems: Vec::new(),
            bad: BTreeSet::new(),
        };
        loader.add_variables(&self.environment, &[HOST_NAME]);
        if let Some(path) = &self.file {
            loader.add_file(path);
        }
        loader.add_variables(&self.environment, &FAMILIAR);
        for (name, text) in &self.environment {
            match key_of(&loader.schema, name) {
                Some(Ok(key)) => loader.add_variable(name, &key, text),
                Some(Err(problem)) => loader.problems.push(problem),
                None => {}
            }
        }
        loader.finish(self.file)
    }
}

impl Loaded {
    /// `warren run` needs to know where the Hub is.
    pub fn require_hub(&self) -> Result<(), Problems> {
        if self.config.hub.url.is_some() {
            return Ok(());
        }
        let file = self.file.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
        Err(Problems(vec![Problem {
            place: self
                .file
                .as_ref()
                .map_or(DEFAULT.to_owned(), |path| path.display().to_string()),
            key: "hub.url".to_owned(),
            message: format!(
                "it is not set, and a host can't run without a Hub: write url = \"https://…\" below [hub] in {}, or set \
                 HUB_URL (`warren dev` brings a Hub of its own)",
                file.display()
            ),
        }]))
    }
}

impl Loaded {
    /// A host can't start without its plugins' folder, and runs nothing without that of the agents.
    pub fn require_folders(&self) -> Result<(), Problems> {
        let host = &self.config.host;
        let plugins = PluginFolder::new(host.plugin_dir.clone())
            .manifests()
            .map(drop)
            .map_err(|error| error.to_string());
        let agents = fs::read_dir(&host.agents_dir).map(drop).map_err(|error| {
            format!(
                "{}: the folder of agents' definitions can't be read: {error}",
                host.agents_dir.display()
            )
        });
        let found = [("host.plugin_dir", plugins), ("host.agents_dir", agents)];
        let problems: Vec<Problem> = found
            .into_iter()
            .filter_map(|(key, found)| {
                let message = found.err()?;
                let entry = self.entries.iter().find(|entry| entry.key == key);
                Some(Problem {
                    place: entry.map_or_else(|| DEFAULT.to_owned(), |entry| entry.source.clone()),
                    key: key.to_owned(),
                    message: format!("{message}; make it, or name another"),
                })
            })
            .collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Problems(problems))
        }
    }
}

struct Loader {
    schema: Schema,
    figment: Figment,
    problems: Vec<Problem>,
    /// Keys whose value was left out.
    bad: BTreeSet<String>,
}

impl Loader {
    fn problem(&mut self, place: &str, key: &str, message: String) {
        self.problems.push(Problem {
            place: place.to_owned(),
            key: key.to_owned(),
            message,
        });
    }

    fn add_file(&mut self, path: &Path) {
        let place = path.display().to_string();
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.problem(&place, "", "there is no such file".to_owned());
            }
            Err(error) => return self.problem(&place, "", format!("it can't be read: {error}")),
        };
        match text.parse::<toml::Table>() {
            Ok(table) => self.add_table(&place, "", table),
            Err(error) => {
                // Not the error's own rendering: that shows the line, which may hold a secret.
                let line = error
                    .span()
                    .map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
                self.problem(
                    &place,
                    "",
                    format!("line {line} is not TOML: {}", error.message().replace('\n', ", ")),
                );
            }
        }
    }

    fn add_table(&mut self, place: &str, prefix: &str, table: toml::Table) {
        for (name, value) in table {
            let key = schema::join(prefix, &name);
            match value {
                toml::Value::Table(inner) if TABLES.contains(&key.as_str()) => self.add_pairs(place, &key, inner),
                toml::Value::Table(inner) if self.schema.is_section(&key) || !inner.is_empty() => {
                    self.add_table(place, &key, inner);
                }
                value if self.schema.has(&key) => match Value::serialize(&value) {
                    Ok(leaf) => self.add_leaf(place, &key, &as_written(&value), leaf),
                    Err(error) => self.problem(place, &key, error.kind.to_string()),
                },
                _ => {
                    let message = self.schema.unknown(&key);
                    self.problem(place, &key, message);
                }
            }
        }
    }

    /// A table that is one value, as its one text.
    fn add_pairs(&mut self, place: &str, key: &str, table: toml::Table) {
        let mut pairs = Vec::new();
        for (name, value) in &table {
            let expected = match value.as_str() {
                Some(value) if !value.contains(',') && !name.contains([',', '=']) => {
                    pairs.push(format!("{name}={value}"));
                    continue;
                }
                Some(_) => "commas and equals signs stand between labels",
                None => "a text in quotes is expected",
            };
            self.bad.insert(key.to_owned());
            let message = format!("{} is not allowed: {expected}", as_written(value));
            self.problem(place, &schema::join(key, name), message);
        }
        let text = pairs.join(",");
        self.add_leaf(place, key, &format!("{text:?}"), Value::from(text));
    }

    fn add_variables(&mut self, environment: &[(String, String)], known: &[(&str, &str)]) {
        for (name, text) in environment {
            if let Some((_, key)) = known.iter().find(|(known, _)| known == name) {
                self.add_variable(name, key, text);
            }
        }
    }

    /// A variable's text is taken for what its key can hold: as it is, else as a number, list or truth value.
    fn add_variable(&mut self, name: &str, key: &str, text: &str) {
        let parsed = serde_json::from_str::<serde_json::Value>(text)
            .ok()
            .and_then(|json| Value::serialize(json).ok());
        let list: Vec<Value> = text.split(',').map(|part| Value::from(part.trim())).collect();
        let list = if text.trim().is_empty() {
            Value::from(Vec::<Value>::new())
        } else {
            Value::from(list)
        };
        let candidates = [Some(Value::from(text)), parsed, Some(list)];
        let fits = candidates
            .into_iter()
            .flatten()
            .find(|value| check_leaf(key, value).is_ok());
        self.add_leaf(
            name,
            key,
            &format!("{text:?}"),
            fits.unwrap_or_else(|| Value::from(text)),
        );
    }

    fn add_leaf(&mut self, place: &str, key: &str, shown: &str, value: Value) {
        match check_leaf(key, &value) {
            Ok(()) => {
                let layer = Layer {
                    place: place.to_owned(),
                    key: key.to_owned(),
                    value,
                };
                self.figment = std::mem::take(&mut self.figment).merge(layer);
            }
            Err(kind) => {
                let message = if SECRETS.contains(&key) {
                    "its value is not a text in quotes (it is not shown, being a secret)".to_owned()
                } else {
                    format!("{shown} is not allowed: {}", expectation(&kind))
                };
                self.bad.insert(key.to_owned());
                self.problem(place, key, message);
            }
        }
    }

    fn source(&self, key: &str) -> Option<String> {
        self.figment
            .find_metadata(key)
            .map(|metadata| metadata.name.to_string())
    }

    fn finish(mut self, file: Option<PathBuf>) -> Result<Loaded, Problems> {
        let mut config: Config = match self.figment.extract() {
            Ok(config) => config,
            Err(error) => {
                let key = error.path.join(".");
                self.problem("the merged configuration", &key, expectation(&error.kind));
                Config::default()
            }
        };
        config.resolve();
        for (keys, message) in config.check().into_failures() {
            if keys.iter().any(|key| self.bad.contains(*key)) {
                continue;
            }
            let place = keys
                .iter()
                .find_map(|key| self.source(key))
                .unwrap_or_else(|| DEFAULT.to_owned());
            self.problem(&place, keys[0], message);
        }
        if !self.problems.is_empty() {
            return Err(Problems(self.problems));
        }
        let entries = schema::leaves(&config)
            .into_iter()
            .map(|(key, value)| Entry {
                source: self.source(&key).unwrap_or_else(|| DEFAULT.to_owned()),
                key,
                value,
            })
            .collect();
        Ok(Loaded { config, file, entries })
    }
}

/// A value much as TOML writes it.
fn as_written(value: &toml::Value) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| value.type_str().to_owned())
}

#[cfg(test)]
mod tests;
