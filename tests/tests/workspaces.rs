//! Workspaces on bad days, and what operators see and do: the disk is full or stands still, the process may open no more
//! files. The agent gets an error, others go on, and the host lives.

#![allow(
    clippy::unwrap_used,
    reason = "a test's helpers fail by panicking, like the test itself"
)]

use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::{Value, json};
use warren_tests::{
    SOON, eventually,
    host::{Agent, HostProcess, HostSetup},
    hub::HubProcess,
    mount::Mount,
};

/// A host with the agent `files`, which does what its payload says, and with `echo`.
fn setup(hub: &HubProcess) -> HostSetup {
    let files = Agent::echo("files").plugin("files").grants("workspace:write");
    HostSetup::new(hub).agent(&Agent::echo("echo")).agent(&files)
}

/// Submits a script to `files`; the item's id.
fn submit(host: &HostProcess, script: &str) -> String {
    let item = json!({ "agent": "files", "agent_id": "files", "payload": script });
    let answer = host.api().post("/api/v1/items", &item).expect(201).json();
    answer["id"].as_str().expect("an id").to_owned()
}

/// What came of each line of a script, once it has ended well.
#[track_caller]
fn results(host: &HostProcess, item: &str) -> Vec<String> {
    let path = format!("/api/v1/items/{item}?wait=60");
    let ended = host.api().get(&path).expect(200).json();
    assert_eq!(ended["reason"], "ok", "{ended}");
    let note = ended["note"].as_str().and_then(|note| note.strip_prefix("ok: "));
    note.expect("what came of it").lines().map(str::to_owned).collect()
}

#[track_caller]
fn run(host: &HostProcess, script: &str) -> Vec<String> {
    results(host, &submit(host, script))
}

fn workspace(host: &HostProcess) -> Value {
    host.api().get("/api/v1/agents/files").expect(200).json()["workspace"].clone()
}

#[track_caller]
fn echo_answers(hub: &HubProcess) {
    let post = hub.post("@echo are you there?");
    hub.wait_for_reply(&post, "echo");
}

#[test]
fn operators_see_what_an_agent_keeps_and_delete_it() {
    let hub = HubProcess::start(&["echo", "files"]);
    let host = setup(&hub).start_ready();
    let wipe = ["agent", "workspace", "wipe", "files"];
    assert!(
        host.cli(&wipe).expect(0).contains("nothing to delete"),
        "before the agent was heard of"
    );
    let made = run(&host, "mkdir dir\nopen f dir/file rwc\nappend f 1000\nopen g keep rwc");
    assert_eq!(made, ["ok"; 4]);
    let shown = host.cli(&["agent", "show", "files"]).expect(0).to_owned();
    let line = "workspace  1000 of 16777216 bytes, 3 of 1000 files and directories, on tested\n";
    assert!(shown.contains(line), "{shown}");

    // Not under an activation that uses it.
    let busy = submit(&host, "until stat keep");
    eventually("the workspace in use", SOON, || {
        (workspace(&host)["in_use"] == true).then_some(())
    });
    let refused = host.cli(&wipe).refused(1).to_owned();
    assert!(refused.contains("nothing was deleted"), "{refused}");
    let folder = host.data().join("workspaces/files");
    assert!(folder.join("dir/file").exists());
    fs::remove_file(folder.join("keep")).unwrap();
    results(&host, &busy);

    let words = host.cli(&wipe).expect(0).to_owned();
    let expected = "deleted 2 files and directories of 1000 bytes: all that files kept in its workspace on tested";
    assert_eq!(words.trim_end(), expected);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    assert_eq!(workspace(&host)["entries"], 0);
    assert_eq!(run(&host, "list .\nopen f new rwc\nappend f 10"), ["ok 0", "ok", "ok"]);
    host.cli(&[&wipe[..], &["--all-hosts"]].concat()).expect(0);
    assert_eq!(workspace(&host)["bytes"], 0);
}

#[test]
fn a_full_disk_is_an_error_to_the_agent_and_no_more() {
    let hub = HubProcess::start(&["echo", "files"]);
    let setup = setup(&hub);
    // Less than the agent's quota, of bytes and of entries.
    let Some(_mount) = Mount::small(setup.path("data/workspaces"), "size=2m,nr_inodes=60") else {
        return;
    };
    let host = setup.start_ready();
    let script = "open f big rwc\nuntil append f 65536\nwrite f 0 100\nresize f 0\nappend f 65536\nresize f 10\n\
                  until mkdir d#\nopen g more rwc\nstd put d0/file text\nappend f 10\nstat big";
    let results = run(&host, script);
    let full = "insufficient-space";
    assert!(results[1].ends_with(full), "{results:?}");
    assert_eq!(results[2..6], ["ok"; 4], "what is there can be used, and made room of");
    assert!(results[6].ends_with(full), "{results:?}");
    assert_eq!(results[7], full);
    assert!(results[8].starts_with("StorageFull: "), "{results:?}");
    assert_eq!(results[9..], ["ok", "ok file 20"]);
    let said = host.wait_logged("the host's disk: No space left on device");
    assert_eq!(said["agent"], "files", "{said}");
    // What was half written counts as far as it was written.
    let (bytes, entries) = (workspace(&host)["bytes"].clone(), workspace(&host)["entries"].clone());
    assert_eq!(bytes, 20);
    let on_disk = fs::read_dir(host.data().join("workspaces/files")).unwrap().count();
    assert_eq!(entries, on_disk);
    echo_answers(&hub);
    let wiped = host.cli(&["agent", "workspace", "wipe", "files"]).expect(0).to_owned();
    assert!(wiped.starts_with(&format!("deleted {on_disk} files")), "{wiped}");
    assert_eq!(run(&host, "mkdir a\nlist ."), ["ok", "ok 1 a"]);
}

#[test]
fn a_disk_that_stands_still_holds_up_nobody_else() {
    let hub = HubProcess::start(&["echo", "files"]);
    let impatient = Agent::echo("files")
        .plugin("files")
        .grants("workspace:write")
        .with("limits: { deadline: 2s }");
    let setup = setup(&hub).agent(&impatient);
    let image = setup.path("image");
    let Some(mount) = Mount::in_file(&image, setup.path("data/workspaces")) else {
        return;
    };
    let host = setup.start_ready();
    // Thawed before the host is waited for, however this ends: what waits for a frozen disk can't be killed.
    let mut mount = mount;
    assert_eq!(run(&host, "open f file rwc\nappend f 10"), ["ok", "ok"]);
    mount.freeze();
    let stuck = submit(&host, "open f file rw\nappend f 10");
    let ended = eventually("the end of the activation", SOON, || {
        let item = host.api().get(&format!("/api/v1/items/{stuck}")).expect(200).json();
        (item["note"].as_str().is_some_and(|note| note.contains("deadline"))).then_some(item)
    });
    assert!(ended["state"] == "delayed" || ended["state"] == "dead", "{ended}");
    echo_answers(&hub);
    // Asked for more often than it may wait for the disk.
    let began = Instant::now();
    for _ in 0..6 {
        let error = workspace(&host)["error"].clone();
        assert!(
            error.as_str().is_some_and(|why| why.contains("disk is slow")),
            "{error}"
        );
    }
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    echo_answers(&hub);
    mount.thaw();
    eventually("a workspace that can be looked into", SOON, || {
        (workspace(&host)["entries"].as_u64() >= Some(1)).then_some(())
    });
    assert!(host.ready().status == 200, "{}", host.ready().body);
}

/// The limits of the process, and how many files it has open.
fn open_files(host: &HostProcess) -> (Pid, u64) {
    let id = host.process_id();
    let open = fs::read_dir(format!("/proc/{id}/fd")).unwrap().count() as u64;
    (Pid::from_raw(id.cast_signed()).unwrap(), open)
}

fn allow(host: Pid, files: Option<u64>) {
    let limit = Rlimit {
        current: files,
        ..getrlimit(Resource::Nofile)
    };
    prlimit(Some(host), Resource::Nofile, limit).unwrap();
}

#[test]
fn a_process_that_may_open_no_more_files_lives_and_recovers() {
    let hub = HubProcess::start(&["echo", "files"]);
    let host = setup(&hub).start_ready();
    assert_eq!(run(&host, "open f file rwc"), ["ok"]);
    echo_answers(&hub);
    // Some for connections, and fewer than the agent opens.
    let (process, open) = open_files(&host);
    allow(process, Some(open + 20));
    let results = run(&host, "until open h# file rw\nclose h0\nopen f file rw\nappend f 10");
    assert!(results[0].ends_with(" busy"), "{results:?}");
    assert_eq!(results[1..], ["ok"; 3], "after one was closed");
    host.wait_logged("has as many files open as it may");
    echo_answers(&hub);

    // None at all: nothing can be opened, not even a connection.
    let (process, open) = open_files(&host);
    allow(process, Some(open));
    let post = hub.post("@echo and now?");
    host.wait_logged("Too many open files");
    allow(process, Some(4096));
    hub.wait_for_reply(&post, "echo");
    assert_eq!(run(&host, "until open h# file rw")[0], "ok 64 quota");
}
