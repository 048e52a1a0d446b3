//! The `warren` binary under test: the one that was built into the same target folder as the test.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::SystemTime,
};

/// What to do about a binary that is not there, or older than its sources.
const BUILD: &str = "run `cargo xtask test`, which builds it first, or `cargo build --package warren`";

static BINARY: OnceLock<PathBuf> = OnceLock::new();

/// For benches of the host's own package: cargo has built the binary together with them, and says where it is by
/// `env!("CARGO_BIN_EXE_warren")`. To be called before anything starts one.
pub fn built_by_cargo(path: &str) {
    let known = BINARY.get_or_init(|| PathBuf::from(path));
    assert_eq!(known, Path::new(path), "another binary is in use already");
}

/// A command that runs `warren`, with nothing of this process's environment that could configure it.
pub fn warren() -> Command {
    let mut command = Command::new(BINARY.get_or_init(find));
    command.env_clear();
    for kept in ["HOME", "PATH", "TMPDIR"] {
        if let Some(value) = env::var_os(kept) {
            command.env(kept, value);
        }
    }
    command
}

fn find() -> PathBuf {
    let test = env::current_exe().expect("a running test knows where it is");
    let folder = test
        .ancestors()
        .nth(2)
        .expect("a test lies two folders deep in its profile's folder");
    let binary = folder.join("warren");
    let built = modified(&binary).unwrap_or_else(|| panic!("{} does not exist: {BUILD}", binary.display()));
    for source in sources(&folder.join("warren.d")) {
        match modified(&source) {
            Some(changed) if changed <= built => {}
            Some(_) => panic!("{} is older than {}: {BUILD}", binary.display(), source.display()),
            None => panic!(
                "{} was built from {}, which is gone: {BUILD}",
                binary.display(),
                source.display()
            ),
        }
    }
    binary
}

fn modified(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}

/// What the binary was built from, as cargo wrote it down: `binary: source source…`, blanks in names behind backslashes.
fn sources(list: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(list).unwrap_or_else(|error| panic!("{}: {error}: {BUILD}", list.display()));
    let (_, names) = text
        .split_once(": ")
        .unwrap_or_else(|| panic!("{} is no list of dependencies", list.display()));
    names
        .trim_end()
        .replace("\\ ", "\0")
        .split(' ')
        .map(|name| PathBuf::from(name.replace('\0', " ")))
        .collect()
}
