//! What a component is, read from its bytes: enough to refuse it with reasons before it costs a compilation.

use sha2::{Digest as _, Sha256};
use wasmparser::{ComponentTypeRef, Encoding, Parser, Payload, TypeBounds};

use crate::{
    domain::{
        capability::{Capability, CapabilitySet},
        plugin::{Digest, Manifest, WORLD},
    },
    ports::sandbox::{ComponentFacts, PrepareError},
};

/// The package of Warren's own contract.
const CONTRACT: &str = "warren:agent/";

/// What every toolchain's guests import, in any version of WASI 0.2: linked always, with nothing behind it.
const BASELINE: [&str; 6] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];

/// The interfaces that need a capability, with it. The Hub's needs either of its two: reading stands for both.
const GRANTED: [(&str, Capability); 5] = [
    ("warren:agent/hub@0.1.0", Capability::HubRead),
    ("warren:agent/metrics@0.1.0", Capability::Metrics),
    ("wasi:keyvalue/store@0.2.0-draft", Capability::KeyValue),
    ("wasi:config/store@0.2.0-rc.1", Capability::Config),
    ("wasi:logging/logging@0.1.0-draft", Capability::Logging),
];

/// Types that the contract's functions take; nothing to call.
const TYPES: &str = "warren:agent/types@0.1.0";

/// Read the facts. Only the outermost layer is looked at: what is nested inside can import nothing but through it.
pub fn read(component: &[u8]) -> Result<ComponentFacts, PrepareError> {
    if !component.starts_with(b"\0asm") {
        return Err(PrepareError::Invalid(
            "this is not WebAssembly: the file does not begin with `\\0asm`".to_owned(),
        ));
    }
    let (mut imports, mut exports) = names(component)?;
    imports.sort();
    exports.sort();
    let world_version = imports
        .iter()
        .chain(&exports)
        .find_map(|name| contract_version(name))
        .map(str::to_owned);
    let needs = imports.iter().filter_map(|name| capability(name)).collect();
    let unknown = imports.iter().filter(|name| !known(name)).cloned().collect();
    Ok(ComponentFacts {
        digest: Digest(Sha256::digest(component).into()),
        size: component.len() as u64,
        world_version,
        imports,
        exports,
        needs,
        unknown,
    })
}

fn names(component: &[u8]) -> Result<(Vec<String>, Vec<String>), PrepareError> {
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(unreadable)? {
            Payload::Version {
                encoding: Encoding::Module,
                ..
            } if depth == 0 => {
                return Err(PrepareError::Invalid(
                    "this is a core module, not a component: build it for the target `wasm32-wasip2`, or wrap it with \
                     `wasm-tools component new`"
                        .to_owned(),
                ));
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    let import = import.map_err(unreadable)?;
                    // The world's own names for types of its interfaces: nothing to provide.
                    if !matches!(import.ty, ComponentTypeRef::Type(TypeBounds::Eq(_))) {
                        imports.push(import.name.name.to_owned());
                    }
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    exports.push(export.map_err(unreadable)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok((imports, exports))
}

fn unreadable(error: wasmparser::BinaryReaderError) -> PrepareError {
    let hint = if error.message().contains("unexpected end") {
        ": the file is cut off"
    } else {
        ""
    };
    PrepareError::Invalid(format!("this is not a readable component{hint}: {error}"))
}

/// The version of the contract that a name is of, if it is of the contract.
fn contract_version(name: &str) -> Option<&str> {
    name.strip_prefix(CONTRACT)?.split_once('@').map(|(_, version)| version)
}

fn capability(name: &str) -> Option<Capability> {
    GRANTED
        .iter()
        .find(|(granted, _)| *granted == name)
        .map(|(_, capability)| *capability)
}

fn known(name: &str) -> bool {
    let baseline = || name.contains("@0.2.") && BASELINE.iter().any(|package| name.starts_with(package));
    name == TYPES || capability(name).is_some() || baseline()
}

/// Whether `capabilities` cover what needs `needed`.
fn covered(needed: Capability, capabilities: &CapabilitySet) -> bool {
    capabilities.contains(needed) || needed == Capability::HubRead && capabilities.contains(Capability::HubWrite)
}

/// What of `needs` the capabilities do not cover.
pub fn missing(needs: &CapabilitySet, capabilities: &CapabilitySet) -> CapabilitySet {
    needs.iter().filter(|needed| !covered(*needed, capabilities)).collect()
}

/// Whether the component is what its manifest says, and no more than that.
pub fn check(facts: &ComponentFacts, manifest: &Manifest) -> Result<(), PrepareError> {
    if manifest.world != WORLD {
        return Err(PrepareError::WrongWorld(format!(
            "plugin.toml says `world = \"{}\"`; this host offers `{WORLD}`",
            manifest.world
        )));
    }
    if let Some(other) = facts
        .imports
        .iter()
        .chain(&facts.exports)
        .find(|name| of_another_version(name))
    {
        return Err(PrepareError::WrongWorld(format!(
            "the component was built against `{other}`; this host offers `{WORLD}`: build it with the matching guest SDK"
        )));
    }
    if !facts.unknown.is_empty() {
        return Err(PrepareError::Undeclared(format!(
            "the component imports `{}`, which no host of this version offers",
            facts.unknown.join("`, `")
        )));
    }
    let undeclared = facts.imports.iter().find_map(|name| {
        let needed = capability(name)?;
        (!covered(needed, &manifest.capabilities)).then_some((name, needed))
    });
    match undeclared {
        None => Ok(()),
        Some((name, needed)) => {
            let add = match needed {
                Capability::HubRead => "`hub:read` or `hub:write`".to_owned(),
                other => format!("`{other}`"),
            };
            Err(PrepareError::Undeclared(format!(
                "the component imports `{name}`, which its manifest does not declare: add {add} to `capabilities` in \
                 plugin.toml (it declares: {})",
                manifest.capabilities
            )))
        }
    }
}

fn of_another_version(name: &str) -> bool {
    let ours = WORLD.split_once('@').map(|(_, version)| version);
    contract_version(name).is_some_and(|version| Some(version) != ours)
}
