//! `warren plugin inspect`: what a component really is and imports, beside what its manifest declares.

use std::{fmt::Write, path::Path};

use bytesize::ByteSize;
use serde_json::json;

use crate::{
    adapters::{
        files::{read_component, read_plugin},
        wasm::{SandboxConfig, WasmSandbox},
    },
    app::config::Config,
    cli::{
        Global, block_on,
        exit::{Exit, Failure},
        output::{json, print},
    },
    domain::{
        capability::{Capability, CapabilitySet},
        limits::Limits,
        plugin::Manifest,
    },
    ports::sandbox::{ComponentFacts, Sandbox},
};

/// What there is to say about a component.
struct Inspection {
    facts: ComponentFacts,
    manifest: Option<Manifest>,
    /// What an activation may use if its agent's definition says nothing of its own; or what is wrong with the manifest's.
    limits: Result<Limits, String>,
    /// Where manifest and component say different things, in words.
    differences: Vec<String>,
    /// Why a host would not run it.
    refusal: Option<String>,
}

pub fn run(global: &Global, path: &Path) -> Result<Exit, Failure> {
    let (manifest, component) = read(path)?;
    let inspection = inspect(&global.load()?.config, path, manifest, component)?;
    print(&if global.json {
        json(&as_json(&inspection))?
    } else {
        words(&inspection)
    })?;
    Ok(
        if inspection.refusal.is_some() || !inspection.facts.unknown.is_empty() {
            Exit::Failed
        } else {
            Exit::Ok
        },
    )
}

fn read(path: &Path) -> Result<(Option<Manifest>, Vec<u8>), Failure> {
    let is_plugin = path.is_dir() || path.extension().is_some_and(|extension| extension == "toml");
    if is_plugin {
        let (manifest, component) = read_plugin(path).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        return Ok((Some(manifest), component));
    }
    let component = read_component(path).map_err(|error| {
        let exit = if path.exists() { Exit::Failed } else { Exit::NotFound };
        Failure::new(exit, error.to_string())
    })?;
    Ok((None, component))
}

fn inspect(
    config: &Config,
    path: &Path,
    manifest: Option<Manifest>,
    component: Vec<u8>,
) -> Result<Inspection, Failure> {
    let failed = |why: String| Failure::new(Exit::Failed, why);
    let sandbox = WasmSandbox::new(SandboxConfig {
        slots: 1,
        maxima: config.limits.maxima(),
        ..SandboxConfig::default()
    })
    .map_err(|error| failed(error.to_string()))?;
    let facts = sandbox
        .inspect(&component)
        .map_err(|error| failed(format!("{}: {error}", path.display())))?;
    let limits = match &manifest {
        Some(manifest) => config.limits.limits().with(&manifest.limits, &config.limits.maxima()),
        None => Ok(config.limits.limits()),
    };
    let refusal = match &manifest {
        Some(manifest) => block_on(sandbox.prepare(manifest, component))?
            .err()
            .map(|error| error.to_string()),
        None => None,
    };
    Ok(Inspection {
        differences: manifest.as_ref().map_or_else(Vec::new, |m| differences(&facts, m)),
        refusal: refusal.or_else(|| limits.as_ref().err().cloned()),
        facts,
        manifest,
        limits,
    })
}

fn differences(facts: &ComponentFacts, manifest: &Manifest) -> Vec<String> {
    let hub = |capability: &Capability| matches!(capability, Capability::HubRead | Capability::HubWrite);
    let covers = |set: &CapabilitySet, capability: Capability| {
        set.contains(capability) || hub(&capability) && set.iter().any(|other| hub(&other))
    };
    let undeclared = facts
        .needs
        .iter()
        .filter(|needed| !covers(&manifest.capabilities, *needed));
    let unused = manifest
        .capabilities
        .iter()
        .filter(|asked| !covers(&facts.needs, *asked));
    let mut differences: Vec<String> = undeclared
        .map(|needed| match needed {
            Capability::HubRead => "imports what needs `hub:read` or `hub:write`, and declares neither".to_owned(),
            needed => format!("imports what needs `{needed}`, and does not declare it"),
        })
        .collect();
    differences.extend(unused.map(|asked| format!("declares `{asked}`, and imports nothing that needs it")));
    if let (Some(built), Some((_, declared))) = (&facts.world_version, manifest.world.split_once('@'))
        && built != declared
    {
        differences.push(format!(
            "was built for version {built} of the world, and declares {declared}"
        ));
    }
    differences
}

/// The limits that a manifest may change, as people read them.
fn limits_shown(limits: &Limits) -> Vec<(&'static str, String)> {
    let bytes = |bytes: u64| ByteSize(bytes).to_string();
    let span = |span| humantime::format_duration(span).to_string();
    vec![
        ("memory", bytes(limits.memory)),
        ("cpu", span(limits.cpu)),
        ("deadline", span(limits.deadline)),
        ("outcome", bytes(limits.outcome)),
        ("log_lines", limits.log_lines.to_string()),
        ("log_bytes", bytes(limits.log_bytes)),
        ("hub_calls", limits.hub_calls.to_string()),
        ("state_bytes", bytes(limits.state_bytes)),
        ("state_keys", limits.state_keys.to_string()),
        ("state_value", bytes(limits.state_value)),
    ]
}

fn names(set: &CapabilitySet) -> Vec<String> {
    set.iter().map(|capability| capability.to_string()).collect()
}

fn as_json(inspection: &Inspection) -> serde_json::Value {
    let facts = &inspection.facts;
    let limits = inspection.limits.as_ref().ok().map(|limits| {
        json!({
            "memory": limits.memory,
            "cpu_seconds": limits.cpu.as_secs_f64(),
            "deadline_seconds": limits.deadline.as_secs_f64(),
            "outcome": limits.outcome,
            "log_lines": limits.log_lines,
            "log_bytes": limits.log_bytes,
            "hub_calls": limits.hub_calls,
            "state_bytes": limits.state_bytes,
            "state_keys": limits.state_keys,
            "state_value": limits.state_value,
        })
    });
    json!({
        "digest": facts.digest.to_string(),
        "size": facts.size,
        "world_version": facts.world_version,
        "imports": facts.imports,
        "exports": facts.exports,
        "needs": names(&facts.needs),
        "unknown": facts.unknown,
        "manifest": inspection.manifest.as_ref().map(|manifest| json!({
            "name": manifest.name.to_string(),
            "version": manifest.version,
            "world": manifest.world,
            "capabilities": names(&manifest.capabilities),
        })),
        "limits": limits,
        "differences": inspection.differences,
        "refusal": inspection.refusal,
    })
}

fn words(inspection: &Inspection) -> String {
    let facts = &inspection.facts;
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<11}{value}");
    };
    if let Some(manifest) = &inspection.manifest {
        line("plugin", &format!("{} {}", manifest.name, manifest.version));
    }
    line("digest", &facts.digest.to_string());
    line("size", &format!("{} bytes", facts.size));
    let built = facts.world_version.as_deref().unwrap_or("uses nothing of warren:agent");
    match &inspection.manifest {
        Some(manifest) => line("world", &format!("{built}; declares {}", manifest.world)),
        None => line("world", built),
    }
    if let Some(manifest) = &inspection.manifest {
        line("declares", &manifest.capabilities.to_string());
    }
    line("needs", &facts.needs.to_string());
    let mut lines = |name: &str, values: &[String]| {
        for (at, value) in values.iter().enumerate() {
            line(if at == 0 { name } else { "" }, value);
        }
    };
    lines("imports", &facts.imports);
    lines("exports", &facts.exports);
    let unknown = facts
        .unknown
        .iter()
        .map(|import| format!("{import}: no host of this version offers it"));
    lines("UNKNOWN", &unknown.collect::<Vec<_>>());
    if let Ok(limits) = &inspection.limits {
        let shown = limits_shown(limits)
            .into_iter()
            .map(|(name, value)| format!("{name} {value}"));
        let shown: Vec<String> = shown.collect();
        let rows: Vec<String> = shown.chunks(5).map(|row| row.join(", ")).collect();
        lines("limits", &rows);
    }
    match (&inspection.manifest, inspection.differences.as_slice()) {
        (None, _) => {}
        (Some(_), []) => line("difference", "none: it needs what it declares"),
        (Some(_), differences) => lines("difference", differences),
    }
    match (&inspection.manifest, &inspection.refusal) {
        (_, Some(refusal)) => line("REFUSED", refusal),
        (Some(_), None) => line("verdict", "a host runs it"),
        (None, None) => {}
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        ids::PluginName,
        limits::LimitOverrides,
        plugin::{Digest, WORLD},
    };

    fn said(needs: &[Capability], declares: &[Capability], version: &str) -> Vec<String> {
        let facts = ComponentFacts {
            digest: Digest([0; 32]),
            size: 1,
            world_version: Some(version.to_owned()),
            imports: Vec::new(),
            exports: Vec::new(),
            needs: needs.iter().copied().collect(),
            unknown: Vec::new(),
        };
        let manifest = Manifest {
            name: PluginName::new("p").unwrap(),
            version: "1".to_owned(),
            world: WORLD.to_owned(),
            description: String::new(),
            capabilities: declares.iter().copied().collect(),
            limits: LimitOverrides::default(),
        };
        differences(&facts, &manifest)
    }

    #[test]
    fn differences_are_told_in_words() {
        use Capability::*;
        assert_eq!(
            said(&[HubRead, Logging], &[HubWrite, Logging], "0.1.0"),
            Vec::<String>::new()
        );
        assert_eq!(
            said(&[HubRead, KeyValue], &[Metrics], "0.2.0"),
            [
                "imports what needs `hub:read` or `hub:write`, and declares neither",
                "imports what needs `keyvalue`, and does not declare it",
                "declares `metrics`, and imports nothing that needs it",
                "was built for version 0.2.0 of the world, and declares 0.1.0",
            ]
        );
    }
}
