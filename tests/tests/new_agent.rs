//! `warren new`: what it makes is tested, built and answers as it is; what it can't make it refuses in words.

use std::{
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

/// Runs cargo as an author does: with the versions that this workspace is built with, and without a network.
#[track_caller]
fn cargo(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .current_dir(folder)
        .args(arguments)
        .args(["--offline", "--quiet"])
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .expect("cargo can be started");
    let shown = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {arguments:?} failed:\n{shown}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_new_agent_passes_its_test_is_built_and_answers_a_mention() {
    let folder = temporary();
    let sdk = repository().join("guest-sdk");
    run(
        folder.path(),
        &["new", "night-watch", "--sdk", sdk.to_str().expect("a path")],
    )
    .expect(0);
    let agent = folder.path().join("night-watch");
    fs::copy(repository().join("Cargo.lock"), agent.join("Cargo.lock")).expect("the lock file can be copied");
    // What is built is kept between runs: the SDK's dependencies take longer than the test.
    let target = guests::target_dir().join("new-agent");
    fs::create_dir_all(&target).expect("a folder can be made");
    symlink(target, agent.join("target")).expect("a link can be made");

    let tests = cargo(&agent, &["test"]);
    assert!(tests.contains("1 passed"), "{tests}");
    cargo(&agent, &["build", "--release", "--target", "wasm32-wasip2"]);
    let answered = run(&agent, &["dev", "--once", "--mention", "night-watch"]);
    let thread = answered.expect(0);
    assert!(thread.contains("night-watch: Hello, warren!"), "{thread}");
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
