//! `warren dev` on sources that somebody edits.

use std::{env, fs, path::Path};

use rustix::process::Signal;
use warren_tests::{
    SOON,
    binary::warren,
    components::manifest,
    eventually, guests,
    host::{Agent, HostSetup},
    process::Process,
};

/// Saved, built, reloaded, and said; and what does not compile changes nothing.
#[test]
fn dev_builds_and_reloads_what_is_saved() {
    let folder = tempfile::tempdir().unwrap();
    let setup = HostSetup::without_hub().agent(&Agent::echo("echo").plugin("tiny").grants(""));
    let sources = folder.path().join("tiny");
    fs::create_dir_all(sources.join("src")).unwrap();
    let code = sources.join("src/lib.rs");
    fs::write(&code, source("one")).unwrap();
    fs::write(
        sources.join("plugin.toml"),
        manifest("tiny").replace("plugin.wasm", "tiny.wasm"),
    )
    .unwrap();
    fs::write(sources.join("Cargo.toml"), crate_of_its_own()).unwrap();
    let part = folder.path().join("part/src/lib.rs");
    fs::create_dir_all(part.parent().unwrap()).unwrap();
    fs::write(&part, "pub const SAYS: &str = \"\";\n").unwrap();
    let manifest = "[package]\nname = \"part\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n";
    fs::write(folder.path().join("part/Cargo.toml"), manifest).unwrap();
    let mut command = warren();
    for kept in ["CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"] {
        if let Some(value) = env::var_os(kept) {
            command.env(kept, value);
        }
    }
    command
        .args(["dev", "--hub-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"])
        .args(["--sources".as_ref(), sources.as_os_str()])
        .args(["--agents-dir".as_ref(), setup.path("agents").as_os_str()])
        .args(["--data-dir".as_ref(), folder.path().join("data").as_os_str()])
        .env("CARGO", env!("CARGO"))
        .env("CARGO_TARGET_DIR", guests::built_by_others())
        .env("CARGO_NET_OFFLINE", "true")
        .current_dir(folder.path());
    let mut dev = Process::spawn("dev", &mut command);
    let mut wait = |words: &str, times: usize| {
        eventually(format!("{words:?}, {times} times"), 4 * SOON, || {
            assert_eq!(dev.exited(), None, "it ended: {}", dev.stderr());
            (dev.stderr().matches(words).count() >= times).then_some(())
        });
    };
    // Its own folder, those of the two crates that it is made of, plugins and agents.
    wait("watching", 5);
    wait("plugin ready", 1);
    fs::write(&code, source("two")).unwrap();
    wait("plugin reloaded", 1);
    fs::write(&code, "this does not compile").unwrap();
    wait("not reloaded; what ran goes on", 1);
    wait("error", 1);
    fs::write(&code, source("three")).unwrap();
    wait("plugin reloaded", 2);
    // What it is made of, too.
    fs::write(&part, "pub const SAYS: &str = \"more\";\n").unwrap();
    wait("plugin reloaded", 3);
    // A definition, too.
    let definition = setup.path("agents/echo/config.yaml");
    let text = fs::read_to_string(&definition).unwrap();
    fs::write(&definition, text.replace("max_daily_posts: 1000", "max_daily_posts: 7")).unwrap();
    wait("definition reloaded", 1);
    dev.signal(Signal::TERM);
    assert_eq!(dev.wait_exit(SOON).code(), Some(0), "{}", dev.stderr());
}

fn source(says: &str) -> String {
    format!(
        "use warren_guest_sdk::{{Agent, Outcome, Result, WorkItem}};\nstruct Tiny;\nimpl Agent for Tiny {{\n    \
         fn activate(_: WorkItem) -> Result<Outcome> {{\n        \
         Ok(Outcome::new().summary(format!(\"{{}}{{}}\", {says:?}, part::SAYS)))\n    }}\n}}\n\
         warren_guest_sdk::export!(Tiny);\n"
    )
}

fn crate_of_its_own() -> String {
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../guest-sdk")
        .canonicalize()
        .unwrap();
    format!(
        "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n[lib]\n\
         crate-type = [\"cdylib\"]\n[dependencies]\npart = {{ path = \"../part\" }}\nwarren-guest-sdk = {{ path = {sdk:?} }}\n"
    )
}
