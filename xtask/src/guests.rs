//! Builds components and lays them out as a host reads them: a folder each, with `plugin.toml` and the component.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{cargo, root, run, say, target_dir};

/// The bundled plugins, into `target/plugins`, which is returned.
pub fn plugins() -> Result<PathBuf, String> {
    say("building the bundled plugins");
    lay_out(&root().join("plugins"), &target_dir().join("plugins"))
}

/// The guests of the tests, into `target/guests`.
pub fn test_guests() -> Result<PathBuf, String> {
    say("building the guests of the tests");
    lay_out(&root().join("tests/guests"), &target_dir().join("guests"))
}

fn lay_out(sources: &Path, into: &Path) -> Result<PathBuf, String> {
    let crates = crates_in(sources)?;
    let mut build = cargo();
    build.args(["build", "--quiet", "--profile", "guest", "--target", "wasm32-wasip2"]);
    for (_, package) in &crates {
        build.args(["--package", package]);
    }
    run(&mut build)?;
    let built = target_dir().join("wasm32-wasip2/guest");
    for (folder, package) in &crates {
        let file = format!("{}.wasm", package.replace('-', "_"));
        let name = folder.file_name().unwrap_or_default();
        copy(&folder.join("plugin.toml"), &into.join(name).join("plugin.toml"))?;
        copy(&built.join(&file), &into.join(name).join(&file))?;
    }
    Ok(into.to_path_buf())
}

/// The crates below a folder, with the names of their packages.
fn crates_in(folder: &Path) -> Result<Vec<(PathBuf, String)>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("can't read {}: {error}", folder.display()))?;
    let mut crates = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|error| format!("can't read {}: {error}", folder.display()))?
            .path();
        let manifest = path.join("Cargo.toml");
        let Ok(text) = fs::read_to_string(&manifest) else {
            continue;
        };
        let name = text
            .lines()
            .find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
        let name = name.ok_or_else(|| format!("{} has no line `name = \"…\"`", manifest.display()))?;
        crates.push((path, name.to_owned()));
    }
    crates.sort();
    Ok(crates)
}

/// Copy by way of a temporary file: a host that reads the folder meanwhile sees the old file or the new one.
fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let folder = to.parent().unwrap_or(Path::new("."));
    let partial = to.with_extension("partial");
    fs::create_dir_all(folder)
        .and_then(|()| fs::copy(from, &partial))
        .and_then(|_| fs::rename(&partial, to))
        .map_err(|error| format!("can't copy {} to {}: {error}", from.display(), to.display()))
}
