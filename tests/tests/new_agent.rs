//! `warren new`: what it makes is tested, built and answers as it is; what it can't make it refuses in words.

use std::{
    env,
    ffi::OsString,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;
use warren_tests::{
    binary::warren,
    guests,
    process::{Finished, Process},
};

/// Entries of the repository's folders that a clone does not have.
const IGNORED: [&str; 4] = [".git", "target", "warren-data", "__pycache__"];

fn run(folder: &Path, arguments: &[&str]) -> Finished {
    Process::run(warren().current_dir(folder).args(arguments))
}

fn temporary() -> TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The names below a folder, sorted.
fn below(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("a folder can be read")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// What `warren new` says is to be typed next.
fn next(made: &Finished) -> Vec<String> {
    let made: Value = serde_json::from_str(made.expect(0)).expect("JSON");
    let lines = made["next"].as_array().expect("a list").iter();
    lines.map(|line| line.as_str().expect("a text").to_owned()).collect()
}

/// Runs a line as it was printed, with the versions that this workspace is built with and without a network; what it says.
/// What is built goes to `target`, or where it goes by itself.
#[track_caller]
fn type_in(folder: &Path, target: Option<&Path>, line: &str) -> String {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", line])
        .current_dir(folder)
        .env("PATH", path())
        .envs([("CARGO_NET_OFFLINE", "true"), ("CARGO_TERM_QUIET", "true")])
        .env_remove("CARGO_TARGET_DIR")
        .envs(target.map(|target| ("CARGO_TARGET_DIR", target)));
    let output = shell.output().expect("a shell can be started");
    let shown = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{line}` failed:\n{shown}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Where a shell finds the cargo of this test and the `warren` under test.
fn path() -> OsString {
    let warren = warren();
    let programs = [Path::new(env!("CARGO")), Path::new(warren.get_program())];
    let folders = programs
        .iter()
        .filter_map(|program| program.parent())
        .map(Path::to_owned);
    let others = env::var_os("PATH").unwrap_or_default();
    env::join_paths(folders.chain(env::split_paths(&others))).expect("folders can be joined")
}

#[test]
fn a_new_agent_passes_its_test_is_built_and_answers_a_mention() {
    let folder = temporary();
    let sdk = repository().join("guest-sdk");
    let sdk = sdk.to_str().expect("a path");
    let made = run(folder.path(), &["new", "night-watch", "--sdk", sdk, "--json"]);
    let agent = folder.path().join("night-watch");
    fs::copy(repository().join("Cargo.lock"), agent.join("Cargo.lock")).expect("the lock file can be copied");
    // What is built is kept between runs: the SDK's dependencies take longer than the test.
    let target = guests::target_dir().join("new-agent");
    fs::create_dir_all(&target).expect("a folder can be made");
    symlink(target, agent.join("target")).expect("a link can be made");

    let next = next(&made);
    let [enter, test, target, build, answer] = &next[..] else {
        panic!("{next:?}");
    };
    // It takes a network. Without the target the next line fails, and says so.
    assert_eq!(target, "rustup target add wasm32-wasip2");
    let said = type_in(folder.path(), None, &format!("{enter} && {test} && {build}"));
    assert!(said.contains("1 passed"), "{said}");
    let thread = type_in(folder.path(), None, &format!("{enter} && {answer} --once"));
    assert!(thread.contains("night-watch: Hello, warren!"), "{thread}");
}

/// A copy of the repository as a clone would be, without what git ignores. It is always the same folder, and what has not
/// changed is not written again: so it is not compiled again either.
fn clone() -> PathBuf {
    let clone = guests::built_by_others().join("clone");
    mirror(&repository(), &clone);
    clone
}

fn mirror(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    let names = below(from);
    for name in below(to).iter().filter(|name| !names.contains(name)) {
        let old = to.join(name);
        let removed = match old.is_dir() {
            true => fs::remove_dir_all(&old),
            false => fs::remove_file(&old),
        };
        removed.expect("it can be removed");
    }
    for name in names.iter().filter(|name| !IGNORED.contains(&name.as_str())) {
        let (from, to) = (from.join(name), to.join(name));
        if from.is_dir() {
            mirror(&from, &to);
            continue;
        }
        let content = fs::read(&from).expect("a file can be read");
        if fs::read(&to).ok().as_ref() != Some(&content) {
            fs::write(&to, content).expect("a file can be written");
        }
    }
}

/// README, "A first agent in five minutes". What is not done of it is to build the host once more: the `warren` under test
/// does what `cargo xtask dev` would have the clone's own do. What both need of others is compiled once.
#[test]
fn in_a_clone_a_new_agent_passes_its_test_and_answers_a_mention() {
    let (clone, target) = (clone(), guests::target_dir());
    let next = next(&run(&clone, &["new", "parrot", "--json"]));
    let said = type_in(&clone, Some(&target), &next[0]);
    assert!(
        next[0].starts_with("cargo test") && said.contains("1 passed"),
        "{next:?}: {said}"
    );
    type_in(&clone, Some(&target), "cargo fmt --package parrot --check");
    let dev = next[1]
        .strip_prefix("cargo xtask dev")
        .expect("it is what starts all of it");
    let plugins = temporary();
    let folders = format!(
        "--sources plugins/parrot --agents-dir agents --plugin-dir {}",
        plugins.path().display()
    );
    let thread = type_in(&clone, Some(&target), &format!("warren dev {folders} {dev} --once"));
    assert!(thread.contains("parrot: Hello, warren!"), "{thread}");
}

#[test]
fn what_is_there_is_not_overwritten_and_what_can_t_be_a_name_is_refused() {
    let folder = temporary();
    let words = run(folder.path(), &["new", "Parrot"]).refused(2).to_owned();
    assert!(words.contains("Parrot") && words.contains("a-z 0-9 - _ ."), "{words}");
    let words = run(folder.path(), &["new", "match"]).refused(2).to_owned();
    assert!(
        words.contains("a word of Rust") && words.contains("match-agent"),
        "{words}"
    );
    let words = run(folder.path(), &["new", "parrot", "--sdk", "."])
        .refused(2)
        .to_owned();
    assert!(words.contains("is not Warren's SDK"), "{words}");
    assert!(below(folder.path()).is_empty());

    fs::write(folder.path().join("parrot"), "mine").expect("a file can be written");
    let words = run(folder.path(), &["new", "parrot"]).refused(1).to_owned();
    assert!(words.contains("parrot exists already"), "{words}");
    assert_eq!(
        fs::read_to_string(folder.path().join("parrot")).expect("it is there"),
        "mine"
    );
}

#[test]
fn in_a_clone_the_crate_joins_the_workspace_and_the_definition_those_of_the_others() {
    let clone = temporary();
    for name in ["guest-sdk", "plugins", "agents"] {
        fs::create_dir(clone.path().join(name)).expect("a folder can be made");
    }
    let sdk = "guest-sdk/Cargo.toml";
    fs::copy(repository().join(sdk), clone.path().join(sdk)).expect("a file can be copied");
    let inside = clone.path().join("plugins");
    let made = run(&inside, &["new", "parrot", "--json"]);
    let made: Value = serde_json::from_str(made.expect(0)).expect("JSON");
    assert_eq!(made["next"][1], "cargo xtask dev --mention parrot", "{made}");
    assert_eq!(below(&inside.join("parrot")), ["Cargo.toml", "plugin.toml", "src"]);
    assert_eq!(below(&clone.path().join("agents/parrot")), ["config.yaml"]);
    let manifest = fs::read_to_string(inside.join("parrot/Cargo.toml")).expect("it is there");
    assert!(manifest.contains("warren-guest-sdk.workspace = true"), "{manifest}");

    fs::remove_dir_all(inside.join("parrot")).expect("it can be removed");
    let words = run(&inside, &["new", "parrot"]).refused(1).to_owned();
    assert!(words.contains("agents/parrot exists already"), "{words}");
    assert!(below(&inside).is_empty(), "nothing was made");
}
