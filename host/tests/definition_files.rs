//! Agent definitions and plugins in real folders.

#![allow(
    clippy::unwrap_used,
    reason = "a test's helpers fail by panicking, like the test itself"
)]

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use tempfile::TempDir;
use warren::{
    adapters::files::{AgentFiles, PluginFolder, read_plugin},
    domain::{ids::AgentName, time::BootTime},
    ports::{
        clock::Clock,
        definitions::{DefinitionError, DefinitionFiles, Definitions, Reread},
        plugin_source::PluginSource,
    },
};

/// A clock that stands still until it is moved.
#[derive(Default)]
struct Hand(Mutex<Duration>);

impl Hand {
    fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for Hand {
    fn now(&self) -> BootTime {
        BootTime(*self.0.lock().unwrap())
    }
}

struct Folder {
    dir: TempDir,
    clock: Arc<Hand>,
    agents: AgentFiles,
    told: Arc<Mutex<Vec<String>>>,
}

impl Folder {
    fn new() -> Folder {
        let (dir, clock) = (TempDir::new().unwrap(), Arc::new(Hand::default()));
        let told = Arc::new(Mutex::new(Vec::new()));
        let telling = Arc::clone(&told);
        let agents = AgentFiles::new(dir.path(), clock.clone()).heard_by(move |agent, reread| {
            let why = match reread {
                Reread::Refused { why, .. } => format!(": {why}"),
                _ => String::new(),
            };
            telling.lock().unwrap().push(format!("{agent} {}{why}", reread.word()));
        });
        Folder {
            dir,
            clock,
            agents,
            told,
        }
    }

    /// What was told since this was asked last.
    fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.lock().unwrap())
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// A definition whose description tells which one was read.
    fn define(&self, name: &str, description: &str, ttl: u64) {
        let text = format!("name: {name}\nplugin: p\ndescription: {description}\ncache_ttl: {ttl}\n");
        written_long_ago(&self.write(&format!("{name}/config.yaml"), text));
    }

    fn description(&self, name: &str) -> String {
        self.agents.agent(&agent(name)).unwrap().description.clone()
    }

    fn error(&self, name: &str) -> String {
        self.agents.agent(&agent(name)).unwrap_err().to_string()
    }
}

/// Nobody can be writing it any more.
fn written_long_ago(file: &Path) {
    fs::File::open(file)
        .unwrap()
        .set_modified(SystemTime::UNIX_EPOCH)
        .unwrap();
}

fn agent(name: &str) -> AgentName {
    AgentName::new(name).unwrap()
}

#[test]
fn a_definition_is_kept_for_its_time_and_then_read_again() {
    let folder = Folder::new();
    folder.define("echo", "first", 10);
    written_long_ago(&folder.write("echo/system-prompt.md", "Be kind."));
    assert_eq!(folder.description("echo"), "first");
    let definition = folder.agents.agent(&agent("echo")).unwrap();
    assert_eq!(definition.config["system_prompt"], "Be kind.");

    folder.define("echo", "second", 10);
    folder.clock.advance(Duration::from_millis(9_999));
    assert_eq!(folder.description("echo"), "first");
    folder.clock.advance(Duration::from_millis(1));
    assert_eq!(folder.description("echo"), "second");
}

/// Half a definition may look like a whole one.
#[test]
fn what_may_have_been_read_while_it_was_written_is_soon_read_again() {
    let folder = Folder::new();
    folder.write("echo/config.yaml", "name: echo\nplugin: p\n");
    assert_eq!(folder.description("echo"), "");
    folder.define("echo", "whole", 300);
    folder.clock.advance(Duration::from_millis(999));
    assert_eq!(folder.description("echo"), "");
    folder.clock.advance(Duration::from_millis(1));
    assert_eq!(folder.description("echo"), "whole");
}

#[tokio::test]
async fn a_definition_is_read_again_at_an_operators_word() {
    let folder = Folder::new();
    let reread = |name: &str| {
        let (agents, name) = (&folder.agents, agent(name));
        async move { agents.reread(&name).await }
    };
    assert!(matches!(reread("echo").await, Reread::Unknown { path } if path.ends_with("echo/config.yaml")));
    folder.define("echo", "first", 300);
    assert_eq!(reread("echo").await, Reread::New);
    let first = folder.agents.agent(&agent("echo")).unwrap();
    assert_eq!(reread("echo").await, Reread::Unchanged);
    folder.define("echo", "second", 300);
    assert_eq!(folder.description("echo"), "first", "nobody has asked for it");
    assert_eq!(reread("echo").await, Reread::Changed);
    assert_eq!(
        (folder.description("echo").as_str(), first.description.as_str()),
        ("second", "first")
    );

    written_long_ago(&folder.write("echo/config.yaml", "name: echo\ncolour: red\n"));
    let Reread::Refused { why, kept: true } = reread("echo").await else {
        panic!("it is wrong");
    };
    assert!(why.contains("config.yaml:2") && why.contains("colour"), "{why}");
    assert_eq!(folder.description("echo"), "second");
    fs::remove_dir_all(folder.dir.path().join("echo")).unwrap();
    assert_eq!(reread("echo").await, Reread::Gone);
    assert!(folder.error("echo").contains("has no definition"));
    folder.write("wrong/config.yaml", "name: wrong\n");
    folder.told();
    assert!(matches!(reread("wrong").await, Reread::Refused { kept: false, .. }));
    assert!(folder.told()[0].starts_with("wrong refused"));
}

/// It goes by whoever reads it first: a poll may come between a save and the word of the operator, or of `dev`, who saw it.
#[tokio::test]
async fn a_change_is_told_once_whoever_reads_it_first() {
    let folder = Folder::new();
    let echo = agent("echo");
    folder.define("echo", "first", 0);
    assert_eq!(folder.description("echo"), "first");
    assert_eq!(folder.told(), [""; 0], "the first reading is no change");

    folder.define("echo", "second", 0);
    assert_eq!(folder.description("echo"), "second");
    assert_eq!(folder.told(), ["echo changed"]);
    assert_eq!(folder.agents.reread(&echo).await, Reread::Unchanged);
    assert_eq!(folder.told(), ["echo unchanged"]);

    folder.define("echo", "third", 0);
    assert_eq!(folder.agents.reread(&echo).await, Reread::Changed);
    assert_eq!(folder.description("echo"), "third");
    assert_eq!(folder.told(), ["echo changed"]);

    // For a moment only, as while a file is replaced.
    let away = || fs::remove_dir_all(folder.dir.path().join("echo")).unwrap();
    away();
    assert_eq!(folder.description("echo"), "third");
    folder.define("echo", "third", 0);
    folder.clock.advance(Duration::from_secs(1));
    assert_eq!(folder.description("echo"), "third");
    away();
    assert_eq!(folder.description("echo"), "third");
    assert_eq!(folder.told(), [""; 0]);
    folder.clock.advance(Duration::from_secs(1));
    for _ in 0..2 {
        assert!(folder.error("echo").contains("has no definition"));
    }
    assert_eq!(folder.told(), ["echo gone"]);
    assert!(matches!(folder.agents.reread(&echo).await, Reread::Unknown { .. }));
    assert!(folder.agents.reread_all().await.unwrap().is_empty());
    folder.told();
    folder.define("echo", "third", 0);
    assert_eq!(folder.description("echo"), "third");
    assert_eq!(
        folder.told(),
        ["echo new"],
        "whoever heard that it is gone hears that it is back"
    );
}

/// Between the two writes of a save it is wrong, and that is no news.
#[test]
fn what_may_be_wrong_only_while_it_is_written_is_told_if_it_stays_so() {
    let folder = Folder::new();
    folder.define("echo", "good", 0);
    assert_eq!(folder.description("echo"), "good");
    // As somebody leaves it who writes without end, or with a clock ahead.
    let wrong = |text: &str| {
        let file = folder.write("echo/config.yaml", text);
        let ahead = SystemTime::now() + Duration::from_secs(60);
        fs::File::open(file).unwrap().set_modified(ahead).unwrap();
    };
    wrong("name: ec");
    assert_eq!(folder.description("echo"), "good");
    folder.clock.advance(Duration::from_secs(1));
    wrong("name: echo\nplug");
    assert_eq!(folder.description("echo"), "good");
    assert_eq!(folder.told(), [""; 0]);
    for _ in 0..3 {
        folder.clock.advance(Duration::from_secs(1));
        assert_eq!(folder.description("echo"), "good");
    }
    let told = folder.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("config.yaml:2"), "{told:?}");
}

/// The prompt belongs to it: neither is taken without the other while somebody writes.
#[tokio::test]
async fn a_definition_that_is_being_written_is_waited_for() {
    let folder = Folder::new();
    folder.define("echo", "whole", 300);
    let path = folder.dir.path().join("echo/system-prompt.md");
    let mut prompt = fs::File::create(path).unwrap();
    let writing = std::thread::spawn(move || {
        for _ in 0..10 {
            prompt.write_all(b"word ").unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    assert_eq!(folder.agents.reread(&agent("echo")).await, Reread::New);
    writing.join().unwrap();
    let definition = folder.agents.agent(&agent("echo")).unwrap();
    assert_eq!(definition.config["system_prompt"].split_whitespace().count(), 10);
}

#[test]
fn a_file_that_becomes_wrong_leaves_the_last_good_one_in_use_and_is_told_once() {
    let folder = Folder::new();
    folder.define("echo", "good", 0);
    assert_eq!(folder.description("echo"), "good");
    written_long_ago(&folder.write("echo/config.yaml", "name: echo\nplugin: p\ncolour: red\n"));
    for _ in 0..3 {
        folder.clock.advance(Duration::from_secs(1));
        assert_eq!(folder.description("echo"), "good");
    }
    let told = folder.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("refused") && told[0].contains("config.yaml:3") && told[0].contains("colour"),
        "{told:?}"
    );
    // Whoever asks what is on disk is told.
    let all = folder.agents.all();
    assert!(all[0].1.as_ref().unwrap_err().to_string().contains("colour"));

    folder.define("echo", "better", 0);
    folder.clock.advance(Duration::from_secs(1));
    assert_eq!(folder.description("echo"), "better");
    fs::remove_dir_all(folder.dir.path().join("echo")).unwrap();
    assert_eq!(folder.description("echo"), "better");
    folder.clock.advance(Duration::from_secs(1));
    assert!(matches!(
        folder.agents.agent(&agent("echo")),
        Err(DefinitionError::Unknown { .. })
    ));
}

#[test]
fn a_file_that_was_never_good_is_an_error_and_the_others_still_work() {
    let folder = Folder::new();
    folder.define("good", "good", 10);
    folder.write("bad/config.yaml", "name: good\nplugin: p\n");
    folder.write("binary/config.yaml", b"name: binary\nplugin: \xff\n");
    folder.write("prompt/config.yaml", "name: prompt\nplugin: p\n");
    folder.write("prompt/system-prompt.md", b"\xc3(");
    folder.write("huge/config.yaml", vec![b'#'; (1 << 20) + 1]);
    folder.write("Not A Name/config.yaml", "name: x\nplugin: p\n");
    fs::create_dir_all(folder.dir.path().join("dir/config.yaml")).unwrap();
    fs::create_dir(folder.dir.path().join("empty")).unwrap();
    fs::create_dir(folder.dir.path().join(".git")).unwrap();
    folder.write("README.md", "not a definition");
    std::os::unix::fs::symlink(folder.dir.path().join("nowhere"), folder.dir.path().join("lost")).unwrap();

    assert_eq!(folder.description("good"), "good");
    assert!(
        folder
            .error("bad")
            .contains("\"good\" is not the name of the file's folder, \"bad\"")
    );
    let all = folder.agents.all();
    let names: Vec<_> = all.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "Not A Name",
        "bad",
        "binary",
        "dir",
        "empty",
        "good",
        "huge",
        "lost",
        "prompt",
    ];
    assert_eq!(names, expected);
    let says = |name: &str, part: &str| {
        let (_, entry) = all.iter().find(|(folder, _)| folder == name).unwrap();
        let error = entry.as_ref().unwrap_err().to_string();
        assert!(error.contains(part), "{name}: {error:?} should contain {part:?}");
    };
    says("Not A Name", "agent name \"Not A Name\" is not valid");
    says("binary", "binary/config.yaml:2: is not UTF-8");
    says("prompt", "system-prompt.md:1: is not UTF-8");
    says("huge", "config.yaml: is larger than the 1048576 bytes");
    says("dir", "dir/config.yaml: is not a file");
    says("empty", "agent empty has no definition: there is no");
    says("lost", "has no definition");
    assert!(all.iter().find(|(name, _)| name == "good").unwrap().1.is_ok());
}

#[test]
fn links_are_followed() {
    let folder = Folder::new();
    let real = folder.write(".data/x.yaml", "name: echo\nplugin: p\ndescription: linked\n");
    fs::create_dir(folder.dir.path().join("echo")).unwrap();
    std::os::unix::fs::symlink(real, folder.dir.path().join("echo/config.yaml")).unwrap();
    assert_eq!(folder.description("echo"), "linked");
}

#[test]
fn a_folder_of_agents_that_is_not_there_is_an_error_with_its_path() {
    let agents = AgentFiles::new("/nonexistent/agents", Arc::new(Hand::default()));
    let all = agents.all();
    let [(name, Err(error))] = all.as_slice() else {
        panic!("one error is expected");
    };
    assert!(
        name.contains("/nonexistent/agents") && error.to_string().contains("can't be read"),
        "{error}"
    );
}

const MANIFEST: &str = "name = 'echo'\nversion = '1'\nworld = 'warren:agent/agent@0.1.0'\ncomponent = 'c.wasm'\n";

#[test]
fn a_plugin_is_read_by_its_folder_or_its_manifest() {
    let folder = Folder::new();
    let manifest = folder.write("echo/plugin.toml", MANIFEST);
    folder.write("echo/c.wasm", b"\0asm bytes");
    for path in [manifest.parent().unwrap(), &manifest] {
        let (read, bytes) = read_plugin(path).unwrap();
        assert_eq!(
            (read.name.as_str(), bytes.as_slice()),
            ("echo", b"\0asm bytes".as_slice())
        );
        assert_eq!(
            PluginFolder::new(path).manifests().unwrap(),
            std::slice::from_ref(&manifest)
        );
    }
}

#[tokio::test]
async fn a_scan_finds_plugins_and_reports_each_that_is_wrong() {
    let folder = Folder::new();
    folder.write("a/plugin.toml", MANIFEST);
    folder.write("b/plugin.toml", MANIFEST);
    folder.write("c/plugin.toml", MANIFEST.replace("'echo'", "'Bad Name'"));
    folder.write("d/plugin.toml", b"name = '\xff'\n");
    folder.write("e/plugin.toml", vec![b'#'; (1 << 20) + 1]);
    folder.write("f/README.md", "no plugin");
    let places = PluginFolder::new(folder.dir.path()).places().await.unwrap();
    let errors: Vec<String> = places
        .into_iter()
        .map(|place| {
            place
                .manifest
                .map_or_else(|why| why, |manifest| manifest.name.to_string())
        })
        .collect();
    let parts = [
        "echo",
        "echo",
        "c/plugin.toml: name: plugin name \"Bad Name\"",
        "d/plugin.toml:1: is not UTF-8",
        "e/plugin.toml: is larger than",
    ];
    assert_eq!(errors.len(), parts.len());
    for (error, part) in errors.iter().zip(parts) {
        assert!(error.contains(part), "{error:?} should contain {part:?}");
    }
    let error = PluginFolder::new("/nonexistent/plugins").places().await.unwrap_err();
    assert!(error.contains("/nonexistent/plugins"), "{error}");
}

#[tokio::test]
async fn a_component_that_is_being_copied_is_read_whole() {
    let folder = Folder::new();
    let manifest = folder.write("echo/plugin.toml", MANIFEST);
    let mut component = fs::File::create(manifest.with_file_name("c.wasm")).unwrap();
    let writing = std::thread::spawn(move || {
        for _ in 0..20 {
            component.write_all(&[7; 1000]).unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let source = PluginFolder::new(folder.dir.path());
    let origin = manifest.display().to_string();
    let (_, bytes) = source.read(&origin, Duration::from_millis(100)).await.unwrap();
    writing.join().unwrap();
    assert_eq!(bytes.len(), 20_000);
}

#[test]
fn a_component_that_is_absent_or_too_large_is_named() {
    let folder = Folder::new();
    let manifest = folder.write("echo/plugin.toml", MANIFEST);
    let error = read_plugin(&manifest).unwrap_err().to_string();
    assert!(
        error.contains("echo/c.wasm: there is no such file") && error.contains("build the plugin"),
        "{error}"
    );
    // A sparse file: its size is all that matters.
    let component = fs::File::create(manifest.with_file_name("c.wasm")).unwrap();
    component.set_len(256 * 1024 * 1024 + 1).unwrap();
    let error = read_plugin(&manifest).unwrap_err().to_string();
    assert!(error.contains("c.wasm: is larger than the 268435456 bytes"), "{error}");
    let error = read_plugin(Path::new("/nonexistent")).unwrap_err().to_string();
    assert!(
        error.contains("/nonexistent/plugin.toml: there is no such file"),
        "{error}"
    );
}
