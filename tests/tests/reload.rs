//! Plugins and definitions are replaced while everything goes on: nothing is dropped, nothing is mixed, and what is broken
//! changes nothing.

#![allow(
    clippy::unwrap_used,
    reason = "a test's helpers fail by panicking, like the test itself"
)]

#[path = "reload/arriving.rs"]
mod arriving;
#[path = "reload/at_once.rs"]
mod at_once;
#[path = "reload/definitions.rs"]
mod definitions;
#[path = "reload/dev.rs"]
mod dev;
#[path = "reload/everywhere.rs"]
mod everywhere;
#[path = "reload/files.rs"]
mod files;
#[path = "reload/load.rs"]
mod load;
#[path = "reload/telling.rs"]
mod telling;

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};
use warren_tests::{
    components::{manifest, saying},
    host::{Agent, HostProcess, HostSetup},
    hub::HubProcess,
};

/// A host with a plugin that says `one`, and agents of it.
fn host(hub: &HubProcess, agents: &[&str]) -> HostSetup {
    let setup = HostSetup::new(hub)
        .file("plugins/p/plugin.toml", manifest("p"))
        .file("plugins/p/plugin.wasm", saying("one"));
    let grants = |name: &str| Agent::echo(name).plugin("p").grants("");
    agents.iter().fold(setup, |setup, name| setup.agent(&grants(name)))
}

/// Replace a file in one step, by one that nobody is writing any more.
fn put(file: &Path, content: &[u8]) {
    let partial = file.with_extension("partial");
    fs::write(&partial, content).unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(60);
    fs::File::open(&partial).unwrap().set_modified(long_ago).unwrap();
    fs::rename(&partial, file).unwrap();
}

fn reload(host: &HostProcess, plugin: &str) -> Value {
    let answer = host.api().post("/api/v1/plugins/reload", &json!({ "plugin": plugin }));
    answer.expect(200).json()["plugins"][0].clone()
}

fn plugins(host: &HostProcess) -> Value {
    host.api().get("/api/v1/plugins").expect(200).json()
}
