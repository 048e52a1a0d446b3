//! `warren plugin list|inspect`.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{
    Global, block_on,
    client::{Client, HostArgs},
    exit::{Exit, Failure},
    output::{json, print, table},
};
use crate::{
    adapters::{
        files::{read_component, read_plugin},
        wasm::{SandboxConfig, WasmSandbox},
    },
    app::api::types::{PluginList, PluginView},
    domain::{capability::CapabilitySet, plugin::Manifest},
    ports::sandbox::{ComponentFacts, Sandbox},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// The plugins of a host: what runs, and what can't be run and why.
    List {
        #[command(flatten)]
        host: HostArgs,
    },
    /// What a component is and imports, and whether a host would run it. Needs no host.
    Inspect {
        /// A component, or a plugin's folder or `plugin.toml`.
        path: PathBuf,
    },
}

pub fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    match &args.command {
        Command::List { host } => {
            let client = Client::new(global, host)?;
            let list: PluginList = block_on(client.get(&["plugins"], Default::default()))??;
            print(&if global.json {
                json(&list)?
            } else {
                plugins(&list.plugins)
            })?;
            Ok(Exit::Ok)
        }
        Command::Inspect { path } => inspect(global, path),
    }
}

fn plugins(plugins: &[PluginView]) -> String {
    if plugins.is_empty() {
        return "this host has no plugins; they are looked for in host.plugin_dir".to_owned();
    }
    let rows = plugins.iter().map(|plugin| {
        let (version, generation, digest, activations) = match &plugin.running {
            Some(running) => (
                running.version.clone(),
                running.generation.to_string(),
                running.digest.chars().take(12).collect(),
                running.activations.to_string(),
            ),
            None => Default::default(),
        };
        let state = match (&plugin.running, &plugin.error) {
            (Some(_), None) => "ready",
            (Some(_), Some(_)) => "ready, newer content refused",
            (None, _) => "FAILED",
        };
        [
            plugin.name.clone(),
            version,
            generation,
            digest,
            state.to_owned(),
            activations,
            plugin.agents.join(", "),
        ]
    });
    let header = [
        "PLUGIN",
        "VERSION",
        "GENERATION",
        "DIGEST",
        "STATE",
        "ACTIVATIONS",
        "AGENTS",
    ];
    let mut text = table(header, rows);
    for plugin in plugins {
        if let Some(error) = &plugin.error {
            // One whose manifest can't be read goes by its path, which the error begins with.
            let named = if error.starts_with(&plugin.name) {
                String::new()
            } else {
                format!("{}: ", plugin.name)
            };
            let _ = write!(text, "\n\n{named}{error}");
        }
    }
    text
}

fn inspect(global: &Global, path: &Path) -> Result<Exit, Failure> {
    let is_plugin = path.is_dir() || path.extension().is_some_and(|extension| extension == "toml");
    let (manifest, component) = if is_plugin {
        let (manifest, component) = read_plugin(path).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        (Some(manifest), component)
    } else {
        let component = read_component(path).map_err(|error| {
            let exit = if path.exists() { Exit::Failed } else { Exit::NotFound };
            Failure::new(exit, error.to_string())
        })?;
        (None, component)
    };
    let config = global.load()?.config;
    let sandbox = WasmSandbox::new(SandboxConfig {
        slots: 1,
        maxima: config.limits.maxima(),
        ..SandboxConfig::default()
    })
    .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    let facts = sandbox
        .inspect(&component)
        .map_err(|error| Failure::new(Exit::Failed, format!("{}: {error}", path.display())))?;
    let refusal = match &manifest {
        Some(manifest) => block_on(sandbox.prepare(manifest, component))?
            .err()
            .map(|error| error.to_string()),
        None => None,
    };
    let shown = if global.json {
        json(&as_json(&facts, manifest.as_ref(), refusal.as_deref()))?
    } else {
        words(&facts, manifest.as_ref(), refusal.as_deref())
    };
    print(&shown)?;
    Ok(if refusal.is_some() || !facts.unknown.is_empty() {
        Exit::Failed
    } else {
        Exit::Ok
    })
}

fn as_json(facts: &ComponentFacts, manifest: Option<&Manifest>, refusal: Option<&str>) -> serde_json::Value {
    let names = |set: &CapabilitySet| set.iter().map(|capability| capability.to_string()).collect::<Vec<_>>();
    json!({
        "digest": facts.digest.to_string(),
        "size": facts.size,
        "world_version": facts.world_version,
        "imports": facts.imports,
        "exports": facts.exports,
        "needs": names(&facts.needs),
        "unknown": facts.unknown,
        "manifest": manifest.map(|manifest| json!({
            "name": manifest.name.to_string(),
            "version": manifest.version,
            "world": manifest.world,
            "capabilities": names(&manifest.capabilities),
        })),
        "refusal": refusal,
    })
}

fn words(facts: &ComponentFacts, manifest: Option<&Manifest>, refusal: Option<&str>) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<11}{value}");
    };
    if let Some(manifest) = manifest {
        line("plugin", &format!("{} {}", manifest.name, manifest.version));
        line("asks for", &manifest.capabilities.to_string());
    }
    line("needs", &facts.needs.to_string());
    line(
        "world",
        facts.world_version.as_deref().unwrap_or("uses nothing of warren:agent"),
    );
    line("digest", &facts.digest.to_string());
    line("size", &format!("{} bytes", facts.size));
    for (at, import) in facts.imports.iter().enumerate() {
        line(if at == 0 { "imports" } else { "" }, import);
    }
    for (at, export) in facts.exports.iter().enumerate() {
        line(if at == 0 { "exports" } else { "" }, export);
    }
    for (at, import) in facts.unknown.iter().enumerate() {
        line(
            if at == 0 { "UNKNOWN" } else { "" },
            &format!("{import}: no host of this version offers it"),
        );
    }
    match (manifest, refusal) {
        (_, Some(refusal)) => line("REFUSED", refusal),
        (Some(_), None) => line("verdict", "a host runs it"),
        (None, None) => {}
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_that_goes_by_its_path_is_named_once_beside_its_error() {
        let path = "plugins/bad/plugin.toml";
        let view = |name: &str, error: &str| PluginView {
            name: name.into(),
            origin: path.into(),
            running: None,
            error: Some(error.into()),
            agents: Vec::new(),
        };
        let text = plugins(&[view(path, "plugins/bad/plugin.toml:1: unclosed array")]);
        assert_eq!(text.matches(path).count(), 2, "in the table and below: {text}");
        let text = plugins(&[view("echo", "not a component")]);
        assert!(text.ends_with("echo: not a component"), "{text}");
    }
}
