//! The bundled archivist on a real host: its files, and what the operator's definition and limits do to them.

use std::fs;

use serde_json::json;
use warren_tests::{
    SOON, eventually,
    host::{Agent, HostProcess, HostSetup},
    hub::HubProcess,
};

fn agent() -> Agent {
    Agent::echo("archivist")
        .plugin("archivist")
        .grants("hub:read, hub:write, logging, workspace:write")
}

fn comment(hub: &HubProcess, post: &str, who: &str, text: &str) {
    let comment = json!({ "author_name": who, "content": text });
    hub.client
        .post(&format!("/api/v1/posts/{post}/comments"), &comment)
        .expect(201);
}

/// The answers of the archivist below a post, once there are so many.
fn answers(hub: &HubProcess, post: &str, count: usize) -> Vec<String> {
    eventually("the archivist's answers", SOON, || {
        let comments = hub.comments(post).into_iter();
        let own: Vec<_> = comments
            .filter(|(who, _)| who == "archivist")
            .map(|(_, text)| text)
            .collect();
        (own.len() >= count).then_some(own)
    })
}

/// The directories of all workspaces of a host.
fn workspaces(host: &HostProcess) -> Vec<std::path::PathBuf> {
    let Ok(entries) = fs::read_dir(host.data().join("workspaces")) else {
        return Vec::new();
    };
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

#[test]
fn it_takes_notes_and_answers_from_them_also_after_a_restart() {
    let hub = HubProcess::start(&["archivist"]);
    let mut host = HostSetup::new(&hub).agent(&agent()).start_ready();
    let post = hub.post("The door code is 4711 @archivist");
    assert_eq!(answers(&hub, &post, 1), ["Notes on this thread: 1."]);
    comment(&hub, &post, "bob", "The bell is broken");
    comment(&hub, &post, "carol", "@archivist what is the door code?");
    let found = &answers(&hub, &post, 2)[1];
    assert!(found.contains("4711") && !found.contains("bell"), "{found}");
    let [folder] = &workspaces(&host)[..] else {
        panic!("one workspace was expected: {:?}", workspaces(&host))
    };
    let notes: Vec<_> = fs::read_dir(folder.join("notes")).unwrap().collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    host.sigterm();
    host.wait_exit(SOON);
    host.restart();
    host.wait_ready();
    comment(&hub, &post, "carol", "@archivist and the bell?");
    let found = &answers(&hub, &post, 3)[2];
    assert!(found.contains("bob: The bell is broken"), "{found}");
}

#[test]
fn a_wiped_workspace_is_empty_and_a_full_one_is_said_in_words() {
    let hub = HubProcess::start(&["archivist"]);
    let wiped = agent().with("workspace: { wipe: true }");
    let host = HostSetup::new(&hub).agent(&wiped).start_ready();
    let post = hub.post("The train leaves at nine @archivist");
    answers(&hub, &post, 1);
    eventually("an empty workspace", SOON, || {
        let empty = |folder: &std::path::PathBuf| fs::read_dir(folder).unwrap().next().is_none();
        let folders = workspaces(&host);
        (folders.len() == 1 && folders.iter().all(empty)).then_some(())
    });
    // The definition is read anew for each activation.
    let full = agent().with("limits: { workspace_bytes: 10 }");
    host.write("agents/archivist/config.yaml", full.yaml());
    comment(&hub, &post, "bob", "@archivist anything else?");
    let answer = &answers(&hub, &post, 2)[1];
    assert!(
        answer.starts_with("I can't keep notes on this thread: I/O error"),
        "{answer}"
    );
    host.wait_logged("a write was refused: the workspace holds 0 bytes, and the limit `workspace_bytes` is 10");
}
