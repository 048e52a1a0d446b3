//! The house has one direction: `domain ← ports ← {adapters, services} ← app ← cli`. This test reads the sources and fails
//! on an import against it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Each layer with the layers that it may name.
const ALLOWED: &[(&str, &[&str])] = &[
    ("domain", &["domain"]),
    ("ports", &["domain", "ports"]),
    ("adapters", &["domain", "ports", "adapters"]),
    ("services", &["domain", "ports", "services"]),
    ("devhub", &["devhub"]),
    ("app", &["domain", "ports", "adapters", "services", "devhub", "app"]),
    (
        "cli",
        &["domain", "ports", "adapters", "services", "devhub", "app", "cli"],
    ),
];

/// What the domain must not know.
const NOT_IN_DOMAIN: &[&str] = &[
    "tokio",
    "serde",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "SystemTime",
    "Instant::now",
];

#[test]
fn imports_follow_the_direction_of_the_layers() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    for (layer, allowed) in ALLOWED {
        for file in sources(layer) {
            let text = code(&fs::read_to_string(&file).unwrap());
            checked += 1;
            for named in named_modules(&text) {
                if !allowed.contains(&named.as_str()) {
                    wrong.push(format!("{}: {layer} must not use crate::{named}", file.display()));
                }
            }
        }
    }
    assert!(checked > 50, "only {checked} files were found: has the layout changed?");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn adapters_do_not_know_each_other() {
    let mut wrong = Vec::new();
    for file in sources("adapters") {
        let text = code(&fs::read_to_string(&file).unwrap());
        let own = adapter_of(&file);
        for other in paths_below(&text, "crate::adapters") {
            if Some(&other) != own.as_ref() {
                wrong.push(format!("{}: must not use crate::adapters::{other}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_domain_knows_no_runtime_and_no_io() {
    let mut wrong = Vec::new();
    for file in sources("domain") {
        let text = code(&fs::read_to_string(&file).unwrap());
        for word in NOT_IN_DOMAIN.iter().filter(|word| text.contains(**word)) {
            wrong.push(format!("{}: the domain must not know {word}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_reader_of_imports_sees_every_form() {
    let text = code(
        "use crate::{\n    domain::{ids, time},\n    adapters::sqlite::Sqlite,\n};\nuse crate::app;\n// crate::cli::no\n\
         fn f() { crate::services::runner::run(); }\npub(crate) fn g() {}",
    );
    let named: Vec<_> = named_modules(&text).into_iter().collect();
    assert_eq!(named, ["adapters", "app", "domain", "services"]);
    let below: Vec<_> = paths_below("use crate::adapters::{sqlite::A, wasm};", "crate::adapters")
        .into_iter()
        .collect();
    assert_eq!(below, ["sqlite", "wasm"]);
}

/// Every source file of a layer.
fn sources(layer: &str) -> Vec<PathBuf> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![src.join(format!("{layer}.rs"))];
    let mut folders = vec![src.join(layer)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.retain(|file| file.is_file());
    files
}

/// The source without its line comments.
fn code(text: &str) -> String {
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The modules right below the crate's root that a source names.
fn named_modules(text: &str) -> BTreeSet<String> {
    paths_below(text, "crate")
}

/// The first segments after `prefix::`, in single paths and in braces.
fn paths_below(text: &str, prefix: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let needle = format!("{prefix}::");
    for (at, _) in text.match_indices(&needle) {
        let rest = &text[at + needle.len()..];
        match rest.strip_prefix('{') {
            None => found.extend(identifier(rest)),
            Some(group) => found.extend(heads(group)),
        }
    }
    found
}

/// The first segment of each path of a brace group.
fn heads(group: &str) -> Vec<String> {
    let (mut depth, mut expecting, mut heads) = (0, true, Vec::new());
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expecting = true,
            _ if depth == 0 && expecting && character.is_alphabetic() => {
                heads.extend(identifier(&group[at..]));
                expecting = false;
            }
            _ => {}
        }
    }
    heads
}

fn identifier(text: &str) -> Option<String> {
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    // A capital names an item of the module itself, not a module.
    (!name.is_empty() && name.starts_with(char::is_lowercase)).then_some(name)
}

/// Which adapter a file belongs to.
fn adapter_of(file: &Path) -> Option<String> {
    let below = file
        .strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/adapters"))
        .ok()?;
    Some(
        below
            .components()
            .next()?
            .as_os_str()
            .to_str()?
            .trim_end_matches(".rs")
            .to_owned(),
    )
}
