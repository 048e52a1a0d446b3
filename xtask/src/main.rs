//! `cargo xtask dev|test|bench|cluster|soak|check`: the commands of the README, for a machine that has a Rust toolchain and nothing else.
//!
//! Only what a shell line could not do portably: find out what is missing, say what is being done, run it.

mod foreign;
mod guests;
mod machine;

use std::{
    env,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  dev [ARGS]   build everything and start `warren dev`: a development Hub, a host and the bundled plugins on this
               machine; what is saved below plugins/, guest-sdk/ and agents/ is built and reloaded. `dev --once` does without
               a person and ends when the reply is there. ARGS go to `warren dev`.
  test [ARGS]  run every test. ARGS go to `cargo test`.
  bench [ARGS] run the benchmarks in host/benches, one after another, and print their tables (ten minutes, once they are
               built). ARGS go to `cargo bench`: `bench --bench queue` runs one.
  cluster [--hosts N]
               start a private Redis, a development Hub and N hosts (3), print their addresses and follow their events,
               until Ctrl-C
  soak [--minutes N] [--seed S] [--hosts N]
               let one thing after another go wrong in a cluster under load, and judge every promise over what happened
  check        formatting, lints and documentation, as CI does
  plugins      build the bundled plugins into target/plugins
  foreign      build the bundled agents in JavaScript and Python into target/foreign, where npm and Python are there
";

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    let done = match command.as_str() {
        "dev" => dev(&rest),
        "test" => test(&rest),
        "bench" => bench(&rest),
        "cluster" | "soak" => example(&command, &rest),
        "check" => check(),
        "plugins" => machine::wasm_target().and_then(|()| guests::plugins()).map(drop),
        "foreign" => foreign::plugins(),
        "" | "help" | "--help" | "-h" => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        other => Err(format!("there is no command {other:?}\n\n{USAGE}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}

fn dev(args: &[String]) -> Result<(), String> {
    machine::wasm_target()?;
    say("building the host (the first time takes a few minutes)");
    run(cargo().args(["build", "--package", "warren"]))?;
    let mut warren = Command::new(target_dir().join("debug").join("warren"));
    warren
        .arg("dev")
        .arg("--sources")
        .arg(root().join("plugins"))
        .arg("--plugin-dir")
        .arg(target_dir().join("plugins"))
        .arg("--agents-dir")
        .arg(root().join("agents"))
        .args(args);
    run(&mut warren)
}

fn test(args: &[String]) -> Result<(), String> {
    machine::wasm_target()?;
    machine::redis_server()?;
    machine::chromium();
    machine::faketime();
    guests::plugins()?;
    guests::test_guests()?;
    foreign::plugins()?;
    say("building the host and its tests (the first time takes a few minutes)");
    // The end-to-end tests start the binary. Built together with the tests, its dependencies have the features that the
    // tests' ones have, and are not compiled twice.
    run(cargo().args(["build", "--workspace", "--bins", "--tests"]))?;
    run(cargo().args(["test", "--workspace", "--no-fail-fast"]).args(args))
}

fn bench(args: &[String]) -> Result<(), String> {
    machine::wasm_target()?;
    machine::redis_server()?;
    guests::test_guests()?;
    foreign::plugins()?;
    say("building the host, optimised (the first time takes many minutes)");
    run(cargo().args(["bench", "--package", "warren"]).args(args))
}

/// A program of the harness. It takes the place of this process, so that Ctrl-C reaches it alone.
fn example(name: &str, args: &[String]) -> Result<(), String> {
    machine::wasm_target()?;
    machine::redis_server()?;
    say("building the host (the first time takes a few minutes)");
    run(cargo().args(["build", "--workspace", "--bins", "--example", name]))?;
    let mut example = Command::new(target_dir().join("debug/examples").join(name));
    Err(format!("can't run {example:?}: {}", example.args(args).exec()))
}

fn check() -> Result<(), String> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(cargo().args(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]))?;
    // The host is a program: its documentation is for those who work on it.
    run(cargo()
        .args(["doc", "--workspace", "--no-deps", "--document-private-items"])
        .env("RUSTDOCFLAGS", "--deny warnings"))
}

/// The folder of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Where cargo puts what it builds.
fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

fn say(what: &str) {
    eprintln!("xtask: {what}");
}

/// Run to the end, showing what it prints; an error names the command.
fn run(command: &mut Command) -> Result<(), String> {
    let status = command
        .status()
        .map_err(|error| format!("can't run {command:?}: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{command:?} ended with {status}"))
    }
}
