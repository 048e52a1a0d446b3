//! Builds the bundled agents of other languages, with the versions that their folders pin, below `target/foreign`: nothing
//! is installed anywhere else. A machine without the language does without them, and is told so.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::SystemTime,
};

use crate::{machine::on_path, root, run, say, target_dir};

/// How an agent becomes a component. `tools` says how to get the tools, or why there are none; `build` uses them.
struct Language {
    plugin: &'static str,
    tools: fn(&Build) -> Result<(), String>,
    build: fn(&Build) -> Result<(), String>,
}

const LANGUAGES: [Language; 2] = [
    Language {
        plugin: "echo-js",
        tools: node_modules,
        build: javascript,
    },
    Language {
        plugin: "echo-py",
        tools: venv,
        build: python,
    },
];

/// The world that each agent's `wit/world.wit` defines.
const WORLD: &str = "echo";

/// Where one agent is built.
struct Build {
    /// Its folder in the sources.
    source: PathBuf,
    /// Tools and what comes in between.
    work: PathBuf,
    wit: PathBuf,
    component: PathBuf,
}

/// Build what is older than its sources. Where tools can't be had, what was built before is taken away, so that no test
/// takes it for what the sources say.
pub fn plugins() -> Result<(), String> {
    for Language { plugin, tools, build } in LANGUAGES {
        let folder = target_dir().join("foreign").join(plugin);
        let paths = Build {
            source: root().join("plugins").join(plugin),
            work: target_dir().join("foreign-tools").join(plugin),
            wit: target_dir().join("foreign-tools").join(plugin).join("wit"),
            component: folder.join(format!("{plugin}.wasm")),
        };
        if is_current(&paths)? {
            continue;
        }
        remove(&folder)?;
        if let Err(why) = tools(&paths) {
            say(&format!(
                "the agent {plugin} can't be built here, its tests will be SKIPPED: {why}"
            ));
            continue;
        }
        say(&format!("building the agent {plugin}"));
        lay_out_wit(&paths)?;
        make_folder(&folder)?;
        build(&paths)?;
        // Last: whoever finds the manifest finds the component.
        copy(&paths.source.join("plugin.toml"), &folder.join("plugin.toml"))?;
    }
    Ok(())
}

fn node_modules(paths: &Build) -> Result<(), String> {
    if on_path("npm").is_none() {
        return Err("npm is not installed (on Debian `apt-get install nodejs npm`)".to_owned());
    }
    make_folder(&paths.work)?;
    for file in ["package.json", "package-lock.json"] {
        copy(&paths.source.join(file), &paths.work.join(file))?;
    }
    // What the lock file says, but `ci` refuses it for what it lists of other machines' packages. No package's own script
    // runs: what this one needs comes as files.
    let flags = [
        "install",
        "--no-save",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ];
    run(Command::new("npm")
        .args(flags)
        .current_dir(&paths.work)
        .stdout(Stdio::null()))
}

fn javascript(paths: &Build) -> Result<(), String> {
    let mut command = Command::new(paths.work.join("node_modules/.bin/componentize-qjs"));
    // `--sync`: WASI 0.2, without the asynchronous functions of 0.3.
    command.args(["--sync", "--world", WORLD]);
    command.arg("--wit").arg(&paths.wit);
    command.arg("--js").arg(paths.source.join("src/agent.js"));
    command.arg("--module-root").arg(paths.source.join("src"));
    run(command.arg("--output").arg(&paths.component).stdout(Stdio::null()))
}

fn venv(paths: &Build) -> Result<(), String> {
    if on_path("python3").is_none() {
        return Err("python3 is not installed (on Debian `apt-get install python3 python3-venv`)".to_owned());
    }
    let venv = paths.work.join("venv");
    if !venv.join("bin/pip").exists() {
        make_folder(&paths.work)?;
        let made = run(Command::new("python3").args(["-m", "venv"]).arg(&venv));
        made.map_err(|error| format!("{error} (on Debian `apt-get install python3-venv`)"))?;
    }
    let mut pip = Command::new(venv.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    run(pip.arg(paths.source.join("requirements.txt")))
}

fn python(paths: &Build) -> Result<(), String> {
    let mut command = Command::new(paths.work.join("venv/bin/componentize-py"));
    command.arg("--quiet").arg("--wit-path").arg(&paths.wit);
    command.args(["--world", WORLD, "componentize", "app", "--python-path"]);
    run(command.arg(&paths.source).arg("--output").arg(&paths.component))
}

/// The agent's world, with the contract and what that depends on beside it: where tools look for a package's dependencies.
fn lay_out_wit(paths: &Build) -> Result<(), String> {
    remove(&paths.wit)?;
    let contract = root().join("wit/0.1.0");
    copy_folder(&contract.join("deps"), &paths.wit.join("deps"))?;
    let agent = paths.wit.join("deps/agent");
    make_folder(&agent)?;
    copy(&contract.join("agent.wit"), &agent.join("agent.wit"))?;
    copy(&paths.source.join("wit/world.wit"), &paths.wit.join("world.wit"))
}

/// Whether the component is newer than everything that it is made of.
fn is_current(paths: &Build) -> Result<bool, String> {
    let folder = paths.component.parent().unwrap_or(Path::new("."));
    let Ok(built) = fs::metadata(folder.join("plugin.toml")).and_then(|manifest| manifest.modified()) else {
        return Ok(false);
    };
    let newest = newest(&paths.source)?.max(newest(&root().join("wit/0.1.0"))?);
    Ok(paths.component.exists() && newest < built)
}

/// When the newest file below a folder was changed.
fn newest(folder: &Path) -> Result<SystemTime, String> {
    let mut newest = SystemTime::UNIX_EPOCH;
    for path in entries(folder)? {
        let changed = if path.is_dir() {
            self::newest(&path)?
        } else {
            let metadata = fs::metadata(&path).and_then(|metadata| metadata.modified());
            metadata.map_err(|error| format!("can't look at {}: {error}", path.display()))?
        };
        newest = newest.max(changed);
    }
    Ok(newest)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let read = || {
        fs::read_dir(folder)?
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<_>>()
    };
    read().map_err(|error| format!("can't read {}: {error}", folder.display()))
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), String> {
    make_folder(to)?;
    for path in entries(from)? {
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_folder(&path, &target)?;
        } else {
            copy(&path, &target)?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let copied = fs::copy(from, to).map(drop);
    copied.map_err(|error| format!("can't copy {} to {}: {error}", from.display(), to.display()))
}

fn make_folder(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("can't make {}: {error}", folder.display()))
}

fn remove(folder: &Path) -> Result<(), String> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(format!("can't remove {}: {error}", folder.display()))
        }
        _ => Ok(()),
    }
}
