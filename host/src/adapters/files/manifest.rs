//! `plugin.toml`: its shape, and how it becomes a manifest.

use std::path::{Component, Path};

use serde::Deserialize;
use serde_path_to_error::Track;

use super::values::{CapabilityName, Limits, located};
use crate::domain::{ids::PluginName, plugin::Manifest};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PluginToml {
    name: String,
    version: String,
    world: String,
    #[serde(default)]
    description: String,
    component: String,
    #[serde(default)]
    capabilities: Vec<CapabilityName>,
    #[serde(default)]
    limits: Limits,
}

/// The manifest in `text`, the content of `file`, and the name of the component's file in the same folder.
///
/// # Errors
/// In words, with file, line, key, value and what is allowed.
pub(super) fn parse(file: &Path, text: &str) -> Result<(Manifest, String), String> {
    let plugin = read(file, text)?;
    let wrong = |key: &str, what: &str| Err(located(file, None, key, what));
    let name = match PluginName::new(plugin.name) {
        Ok(name) => name,
        Err(error) => return wrong("name", &error.to_string()),
    };
    for (key, value) in [("version", &plugin.version), ("world", &plugin.world)] {
        if value.trim().is_empty() {
            return wrong(key, "is empty");
        }
    }
    // One plain name: a manifest from elsewhere must not point to other files of this machine.
    let mut parts = Path::new(&plugin.component).components();
    if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) || plugin.component.ends_with('/') {
        let what = format!(
            "{:?} is not allowed: name a file in the same folder, such as plugin.wasm",
            plugin.component
        );
        return wrong("component", &what);
    }
    let manifest = Manifest {
        name,
        version: plugin.version,
        world: plugin.world,
        description: plugin.description,
        capabilities: plugin.capabilities.into_iter().map(|name| name.0).collect(),
        limits: plugin.limits.into(),
    };
    Ok((manifest, plugin.component))
}

fn read(file: &Path, text: &str) -> Result<PluginToml, String> {
    let wrong = |field: &str, error: &toml::de::Error| {
        let line = error
            .span()
            .map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count() as u64);
        located(file, line, field, error.message())
    };
    let toml = toml::Deserializer::parse(text).map_err(|error| wrong("", &error))?;
    let mut track = Track::new();
    PluginToml::deserialize(serde_path_to_error::Deserializer::new(toml, &mut track))
        .map_err(|error| wrong(&track.path().to_string(), &error))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::{capability::Capability, limits::LimitOverrides};

    const GOOD: &str = "name = 'echo'\nversion = '1.2'\nworld = 'w'\ncomponent = 'echo.wasm'\n";

    fn with(more: &str) -> Result<(Manifest, String), String> {
        parse(Path::new("p/plugin.toml"), &format!("{GOOD}{more}"))
    }

    #[test]
    fn a_manifest_says_what_it_says() {
        let (manifest, component) = with(
            "description = 'd'\ncapabilities = ['hub:read', 'metrics']\n[limits]\nmemory = '32MiB'\ncpu = '1500ms'\nlog_lines = 7\nlog_bytes = 100",
        )
        .unwrap();
        assert_eq!(component, "echo.wasm");
        let expected = Manifest {
            name: PluginName::new("echo").unwrap(),
            version: "1.2".to_owned(),
            world: "w".to_owned(),
            description: "d".to_owned(),
            capabilities: [Capability::HubRead, Capability::Metrics].into_iter().collect(),
            limits: LimitOverrides {
                memory: Some(32 << 20),
                cpu: Some(Duration::from_millis(1500)),
                log_lines: Some(7),
                log_bytes: Some(100),
                ..LimitOverrides::default()
            },
        };
        assert_eq!(manifest, expected);
    }

    #[test]
    fn errors_name_file_line_key_value_and_what_is_allowed() {
        let cases: [(&str, &[&str]); 8] = [
            (
                "colour = 1",
                &["p/plugin.toml:5: colour: unknown field `colour`", "`capabilities`"],
            ),
            (
                "capabilities = ['hub']",
                &["plugin.toml:5: capabilities[0]: \"hub\"", "hub:read"],
            ),
            (
                "[limits]\nmemory = 'lots'",
                &["plugin.toml:6: limits.memory: ", "\"lots\"", "64MiB"],
            ),
            ("[limits]\ncpu = 5", &["plugin.toml:6: limits.cpu: ", "`5`", "5s"]),
            (
                "[limits]\nhub_calls = -1",
                &["plugin.toml:6: limits.hub_calls: ", "`-1`", "u32"],
            ),
            (
                "[limits]\nfuel = 5",
                &["plugin.toml:6: limits.fuel: unknown field", "`cpu`"],
            ),
            ("description = 3", &["plugin.toml:5: description: ", "`3`", "string"]),
            ("name = 'twice'", &["plugin.toml:5: duplicate key"]),
        ];
        for (more, parts) in cases {
            let error = with(more).unwrap_err();
            for part in parts {
                assert!(error.contains(part), "{error:?} should contain {part:?}");
            }
        }
        let error = parse(Path::new("p/plugin.toml"), "name = 'echo'").unwrap_err();
        assert!(error.contains("missing field `version`"), "{error}");
        let error = parse(Path::new("p/plugin.toml"), &GOOD.replace("'echo'", "'Echo!'")).unwrap_err();
        assert!(
            error.contains("name: plugin name \"Echo!\"") && error.contains("a-z"),
            "{error}"
        );
    }

    #[test]
    fn a_component_is_a_file_of_the_same_folder() {
        for bad in ["../x.wasm", "/etc/passwd", "a/b.wasm", ".", "..", "", "a/"] {
            let error = parse(Path::new("p/plugin.toml"), &GOOD.replace("echo.wasm", bad)).unwrap_err();
            assert!(
                error.contains("component") && error.contains("same folder"),
                "{bad}: {error}"
            );
        }
    }
}
