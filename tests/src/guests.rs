//! The guests of the tests as components: built once per test process, from `tests/guests/` and `plugins/`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

const TARGET: &str = "wasm32-wasip2";
const PROFILE: &str = "guest";

/// Every package that is built as a component.
const PACKAGES: [&str; 12] = [
    "archivist",
    "echo",
    "greeter",
    "guest-files",
    "guest-first",
    "guest-hostile",
    "guest-idle",
    "guest-no-activate",
    "guest-other-world",
    "guest-script",
    "guest-start-trap",
    "guest-undeclared",
];

/// The bytes of a package's component. Builds every guest at the first call; panics with cargo's words if that
/// fails.
pub fn component(package: &str) -> Vec<u8> {
    let path = path(package);
    fs::read(&path).unwrap_or_else(|error| panic!("{} should have been built: {error}", path.display()))
}

/// Where a package's component is.
pub fn path(package: &str) -> PathBuf {
    assert!(PACKAGES.contains(&package), "{package} is not one of {PACKAGES:?}");
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT
        .get_or_init(build)
        .join(format!("{}.wasm", package.replace('-', "_")))
}

/// The package of a plugin: a bundled one has its name, a guest of the tests a `guest-` before it.
pub fn package(plugin: &str) -> String {
    if PACKAGES.contains(&plugin) {
        plugin.to_owned()
    } else {
        format!("guest-{plugin}")
    }
}

/// Where a plugin's manifest and sources are: a bundled plugin, or a guest of the tests without its `guest-`.
pub fn folder(plugin: &str) -> PathBuf {
    let bundled = workspace().join("plugins").join(plugin);
    if bundled.exists() {
        bundled
    } else {
        workspace().join("tests/guests").join(plugin)
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn build() -> PathBuf {
    let target = target_dir();
    let output = Command::new(env!("CARGO"))
        .current_dir(workspace())
        .args([
            "build",
            "--quiet",
            "--locked",
            "--profile",
            PROFILE,
            "--target",
            TARGET,
            "--target-dir",
        ])
        .arg(&target)
        .args(PACKAGES.iter().flat_map(|package| ["--package", package]))
        .output()
        .unwrap_or_else(|error| panic!("cargo could not be started to build the guests: {error}"));
    assert!(
        output.status.success(),
        "the guests could not be built (is the target there? `rustup target add {TARGET}`):\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    target.join(TARGET).join(PROFILE)
}

/// Where cargo puts what tests have others build: kept, so that dependencies are built once.
pub fn built_by_others() -> PathBuf {
    target_dir().join("built-by-tests")
}

/// The target folder that this test runs from: `target/<profile>/deps/<test>`.
pub fn target_dir() -> PathBuf {
    let test = env::current_exe().expect("a running test knows where it is");
    test.ancestors()
        .nth(3)
        .map(Path::to_path_buf)
        .expect("a test lies three folders deep in its target folder")
}
