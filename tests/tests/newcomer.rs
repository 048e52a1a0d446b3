//! What a newcomer does: `warren dev`.

use std::{fs, path::Path, process::Command};

use rustix::process::Signal;
use tempfile::TempDir;
use warren_tests::{
    SOON,
    binary::warren,
    eventually,
    host::{Agent, HostSetup},
    process::Process,
};

/// `warren dev` on the plugins and agents of a setup, with a folder of its own for what is temporary.
fn dev(setup: &HostSetup, temporary: &TempDir) -> Command {
    let mut command = warren();
    command
        .arg("dev")
        .args(["--plugin-dir".as_ref(), setup.path("plugins").as_os_str()])
        .args(["--agents-dir".as_ref(), setup.path("agents").as_os_str()])
        .current_dir(temporary.path())
        .env("TMPDIR", temporary.path());
    command
}

fn setup() -> (HostSetup, TempDir) {
    let setup = HostSetup::without_hub().agent(&Agent::echo("echo"));
    (setup, tempfile::tempdir().expect("a temporary folder can be made"))
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).expect("a folder can be read").next().is_none()
}

#[test]
fn once_prints_the_thread_with_the_reply_and_leaves_nothing_behind() {
    let (setup, temporary) = setup();
    let done = Process::run(dev(&setup, &temporary).arg("--once"));
    let thread = done.expect(0);
    assert!(
        thread.starts_with("Welcome to Warren\n  warren: Hello @echo"),
        "{thread}"
    );
    assert!(thread.contains("echo: I heard you, warren:"), "{thread}");
    assert!(thread.contains("ms after the post was written"), "{thread}");
    for step in ["wrote the welcome post", "enqueued", "activating", "activation ended"] {
        assert!(done.stderr.contains(step), "{step} is not in the log: {}", done.stderr);
    }
    for address in ["Hub page   http://", "metrics    http://", "API        http://"] {
        assert!(done.stderr.contains(address), "{address}: {}", done.stderr);
    }
    assert!(is_empty(temporary.path()), "temporary data was left behind");
}

#[test]
fn two_at_the_same_time_do_not_disturb_each_other() {
    let (setup, temporary) = setup();
    let mut runs = [1, 2].map(|_| Process::spawn("dev --once", dev(&setup, &temporary).arg("--once")));
    for run in &mut runs {
        let status = run.wait_exit(SOON);
        assert_eq!(status.code(), Some(0), "{}", run.stderr());
        assert!(run.stdout().contains("I heard you"), "{}", run.stdout());
    }
}

#[test]
fn once_says_why_there_is_no_reply_and_ends_in_time() {
    let setup = HostSetup::without_hub().file("agents/echo/config.yaml", "name: echo\nplugin: echo\n");
    let temporary = tempfile::tempdir().unwrap();
    let done = Process::run(dev(&setup, &temporary).args(["--once", "--timeout", "2"]));
    let words = done.refused(1);
    assert!(words.contains("warren: @echo did not answer within 2s"), "{words}");
    assert!(words.contains("this host has no plugin echo"), "{words}");
    assert!(is_empty(temporary.path()), "temporary data was left behind");
}

#[test]
fn an_agent_that_is_not_there_is_named_with_those_that_are() {
    let (setup, temporary) = setup();
    let done = Process::run(dev(&setup, &temporary).args(["--once", "--mention", "parrot"]));
    let words = done.refused(1);
    assert!(words.contains("there is no agent \"parrot\" to mention"), "{words}");
    assert!(words.contains("has echo; name another with --mention"), "{words}");
}

#[test]
fn a_folder_without_agents_is_told_by_its_name() {
    let temporary = tempfile::tempdir().unwrap();
    let done = Process::run(warren().current_dir(temporary.path()).args(["dev", "--once"]));
    let words = done.refused(1);
    assert!(words.contains("the folder of agents agents can't be read"), "{words}");
    assert!(words.contains("--agents-dir"), "{words}");
}

#[test]
fn a_folder_that_is_no_agent_does_not_stop_the_others() {
    let (setup, temporary) = setup();
    let setup = setup.file("agents/Not An Agent/config.yaml", "name: x\n");
    Process::run(dev(&setup, &temporary).arg("--once")).expect(0);
}

#[test]
fn a_second_one_on_the_same_ports_says_what_is_taken_and_what_to_do() {
    let (setup, temporary) = setup();
    let start = |hub: &str, api: &str, data: &str| {
        let mut command = dev(&setup, &temporary);
        command.args(["--hub-listen", hub, "--listen", api, "--data-dir", data]);
        command
    };
    let mut first = Process::spawn("dev", &mut start("127.0.0.1:0", "127.0.0.1:0", "data"));
    let (hub, api) = eventually("the addresses", SOON, || {
        assert_eq!(first.exited(), None, "it ended: {}", first.stderr());
        let text = first.stderr();
        let after = |what: &str| Some(text.split_once(what)?.1.split_once('/')?.0.to_owned());
        Some((after("Hub page   http://")?, after("API        http://")?))
    });

    let words = Process::run(&mut start(&hub, "127.0.0.1:0", "other"))
        .refused(1)
        .to_owned();
    assert!(words.contains("--hub-listen") && words.contains(&hub), "{words}");
    let words = Process::run(&mut start("127.0.0.1:0", &api, "other"))
        .refused(1)
        .to_owned();
    assert!(words.contains(&format!("{api} is taken by another program")), "{words}");
    let words = Process::run(&mut start("127.0.0.1:0", "127.0.0.1:0", "data"))
        .refused(1)
        .to_owned();
    assert!(words.contains("data/hub.db: another process has it open"), "{words}");

    first.signal(Signal::TERM);
    assert_eq!(first.wait_exit(SOON).code(), Some(0), "{}", first.stderr());
}
