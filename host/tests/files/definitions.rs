//! Agent definitions.

use std::{
    fs,
    io::Write,
    sync::Arc,
    time::{Duration, SystemTime},
};

use warren::{
    adapters::files::AgentFiles,
    ports::definitions::{DefinitionError, DefinitionFiles, Definitions, Reread},
};

use super::folder::{Folder, Hand, agent, written_long_ago};

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
    // Two that look at the same moment are no two looks.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(folder.description("echo"), "third"));
        }
    });
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
