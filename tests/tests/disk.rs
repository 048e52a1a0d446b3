//! Disks that are read-only or full: the host says so, loses nothing that it acknowledged, and recovers.
//!
//! Read-only and full file systems are made by mounting, which needs root; elsewhere those tests are skipped, loudly.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use serde_json::json;
use warren_tests::{
    SOON, eventually,
    host::{Agent, HostSetup},
    hub::HubProcess,
    mount::Mount,
};

/// Fills what is left of a file system; removing the file makes room again.
fn fill(folder: &Path) -> PathBuf {
    let file = folder.join("ballast");
    let mut size = 1 << 20;
    let mut out = fs::File::create(&file).expect("a file can be made");
    while size > 0 {
        if out.write_all(&vec![0u8; size]).is_err() {
            size /= 2;
        }
    }
    file
}

#[test]
fn a_full_disk_is_said_and_survived() {
    let hub = HubProcess::start(&["echo"]);
    let setup = HostSetup::new(&hub)
        .agent(&Agent::echo("echo"))
        .set("hub.idempotency", "\"yes\"");
    let Some(mount) = Mount::small(setup.path("small"), "size=24m") else {
        return;
    };
    let data = setup.path("small/data");
    let mut host = setup.set("host.data_dir", &format!("{data:?}")).start_ready();
    let token = fs::read_to_string(data.join("api-token")).unwrap().trim().to_owned();
    let api = warren_tests::http::Client::new(host.url(), Some(token));
    let submit = |payload: String| {
        let item = json!({ "agent": "echo", "agent_id": "echo", "payload": payload });
        api.post("/api/v1/items", &item)
    };

    let ballast = fill(mount.at());
    let mut acknowledged = Vec::new();
    let refused = eventually("a submit that the full disk refuses", SOON, || {
        let answer = submit("x".repeat(100_000));
        match answer.status {
            201 => {
                acknowledged.push(answer.json()["id"].as_str().unwrap().to_owned());
                None
            }
            503 => Some(answer),
            other => panic!("{other}: {}", answer.body),
        }
    });
    let words = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(words.contains("full"), "{words}");
    eventually("words in the log", SOON, || {
        host.log_text().contains("database or disk is full").then_some(())
    });
    let post = hub.post("@echo there is no room to note this");
    assert!(host.exited().is_none(), "the host ended");

    fs::remove_file(ballast).unwrap();
    hub.wait_for_reply(&post, "echo");
    hub.wait_until_read("echo");
    assert_eq!(hub.replies(&post, "echo"), 1);
    for id in &acknowledged {
        eventually(format!("the end of acknowledged item {id}"), SOON, || {
            let item = api.get(&format!("/api/v1/items/{id}")).expect(200).json();
            (item["reason"] == "ok").then_some(())
        });
    }
    assert_eq!(submit("there is room again".to_owned()).status, 201);
    host.sigterm();
    assert_eq!(host.wait_exit(SOON).code(), Some(0));
}

#[test]
fn a_full_disk_at_the_start_is_said() {
    let hub = HubProcess::start(&["echo"]);
    let setup = HostSetup::new(&hub).agent(&Agent::echo("echo"));
    let Some(mount) = Mount::small(setup.path("small"), "size=1m") else {
        return;
    };
    let data = setup.path("small/data");
    fs::create_dir(&data).unwrap();
    fill(mount.at());
    let setup = setup.set("host.data_dir", &format!("{data:?}"));
    let words = setup.cli(&["run"]).refused(1).to_owned();
    assert!(
        words.contains("small/data/api-token") && words.contains("has space left"),
        "{words}"
    );
    // With a token of its own the store is the first that wants to write.
    let setup = setup.set("api.token", "\"a-token-of-the-test-s-own\"");
    let words = setup.cli(&["run"]).refused(1).to_owned();
    assert!(
        words.contains("small/data/warren.db") && words.contains("has space left"),
        "{words}"
    );
}

#[test]
fn a_file_system_that_becomes_read_only_is_said_and_survived() {
    let hub = HubProcess::start(&["echo"]);
    let setup = HostSetup::new(&hub).agent(&Agent::echo("echo"));
    let Some(mount) = Mount::small(setup.path("small"), "size=24m") else {
        return;
    };
    let data = setup.path("small/data");
    let setup = setup.set("host.data_dir", &format!("{data:?}"));
    let mut host = setup.start_ready();
    let post = hub.post("@echo first");
    hub.wait_for_reply(&post, "echo");
    host.sigterm();
    host.wait_exit(SOON);

    mount.remount("ro");
    let words = host.cli(&["run"]).refused(1).to_owned();
    assert!(
        words.contains("warren.db") && words.to_lowercase().contains("read-only"),
        "{words}"
    );
    assert!(words.contains("is writable"), "{words}");

    mount.remount("rw");
    host.restart();
    let post = hub.post("@echo second");
    hub.wait_for_reply(&post, "echo");
}

#[test]
fn a_file_that_is_no_store_is_left_alone() {
    let hub = HubProcess::start(&["echo"]);
    let setup = HostSetup::new(&hub).file(
        "data/warren.db",
        "these are somebody's notes, and not a database at all",
    );
    let words = setup.cli(&["run"]).refused(1).to_owned();
    assert!(words.contains("data/warren.db is not a store of Warren's"), "{words}");
    assert!(words.contains("choose another file, or move this one away"), "{words}");
    let kept = fs::read_to_string(setup.path("data/warren.db")).unwrap();
    assert!(kept.starts_with("these are somebody's notes"), "{kept}");
}

#[test]
fn a_data_folder_or_token_file_that_can_t_be_made_is_named() {
    let hub = HubProcess::start(&["echo"]);
    // A file where a folder should be can't be got around, not even by root.
    let setup = HostSetup::new(&hub).file("taken", "");
    let inside = |name: &str| format!("{:?}", setup.path("taken").join(name));
    let (data, token) = (inside("data"), inside("token"));
    let setup = setup.set("api.token_file", &token);
    let words = setup.cli(&["run"]).refused(1).to_owned();
    assert!(
        words.contains("the API token: ") && words.contains("taken/token"),
        "{words}"
    );
    let setup = HostSetup::new(&hub).file("taken", "");
    let words = setup.set("host.data_dir", &data).cli(&["run"]).refused(1).to_owned();
    assert!(
        words.contains("taken/data") && words.contains("host.data_dir"),
        "{words}"
    );
}
