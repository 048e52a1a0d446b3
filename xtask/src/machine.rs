//! What a fresh machine lacks, and how it comes by it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{run, say};

const WASM_TARGET: &str = "wasm32-wasip2";
/// Where Debian's package puts it on the machines that it is looked for on; also in `tests/tests/redis_days.rs`.
const LIBFAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// Make sure that components can be compiled. Asked for by name: a toolchain file would rely on rustup installing by
/// itself, which can be switched off.
pub fn wasm_target() -> Result<(), String> {
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
    if Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(WASM_TARGET)
        .join("lib")
        .is_dir()
    {
        return Ok(());
    }
    say("adding the target wasm32-wasip2 to the Rust toolchain");
    run(Command::new("rustup").args(["target", "add", WASM_TARGET])).map_err(|error| {
        format!(
            "{error}\nThe Rust toolchain in {} can't compile for {WASM_TARGET}. With rustup: `rustup target add \
             {WASM_TARGET}`; without it: install your distribution's package of Rust's standard library for {WASM_TARGET}",
            sysroot.trim()
        )
    })
}

/// The tests of the Hub's page need a browser. Without one they are skipped, and say so.
pub fn chromium() {
    if ["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .any(|name| on_path(name).is_some())
    {
        return;
    }
    if !is_root() || on_path("apt-get").is_none() {
        say(
            "chromium is not installed: the tests of the Hub's page will be SKIPPED; `apt-get install chromium` as root changes that",
        );
        return;
    }
    say("installing chromium for the tests of the Hub's page");
    if let Err(why) = install("chromium") {
        say(&format!(
            "chromium could not be installed, the tests of the Hub's page will be SKIPPED: {why}"
        ));
    }
}

/// One test gives a host a clock that is an hour off. Without the library for it that test is skipped, and says so.
pub fn faketime() {
    if Path::new(LIBFAKETIME).exists() {
        return;
    }
    if !is_root() || on_path("apt-get").is_none() {
        say("libfaketime is not installed: the test of a host's wrong clock will be SKIPPED");
        return;
    }
    say("installing libfaketime for the test of a host's wrong clock");
    if let Err(why) = install("libfaketime") {
        say(&format!(
            "libfaketime could not be installed, the test of a host's wrong clock will be SKIPPED: {why}"
        ));
    }
}

/// The tests of the Redis store and its benches start servers of their own.
pub fn redis_server() -> Result<(), String> {
    if let Some(server) = std::env::var_os("WARREN_TEST_REDIS_SERVER") {
        let path = Path::new(&server);
        say(&format!("the tests use {}", path.display()));
        return match path.is_absolute() && path.is_file() {
            true => Ok(()),
            false => Err(format!(
                "WARREN_TEST_REDIS_SERVER is {}, which is not the full path of a server",
                path.display()
            )),
        };
    }
    if on_path("redis-server").is_some() {
        return Ok(());
    }
    if !is_root() || on_path("apt-get").is_none() {
        return Err(
            "tests and benches need redis-server 7.0 or newer on the PATH: install your distribution's package, on Debian as root \
             `apt-get install redis-server`"
                .to_owned(),
        );
    }
    say("installing redis-server for the tests and benches of the Redis store");
    install("redis-server")
}

fn install(package: &str) -> Result<(), String> {
    run(Command::new("apt-get").args(["update", "-q"]).stdout(Stdio::null()))?;
    run(Command::new("apt-get")
        .args(["install", "-q", "-y", "--no-install-recommends", package])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(Stdio::null()))
}

fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

fn output(command: &mut Command) -> Result<String, String> {
    let output = command
        .output()
        .map_err(|error| format!("can't run {command:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{command:?} ended with {}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
