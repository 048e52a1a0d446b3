//! No way out: not by a path, not by a link, not by a handle, not by an id, not without a grant.

use std::fs;

use warren::domain::{capability::Capability, ending::Reason};

use super::{Given, Rig};
use crate::sandbox::harness::{FakeHost, Hub, stop};

/// Paths that lead out of a workspace, if anything let them; `\0` and `\n` are a zero byte and a new line.
const LEAVING: [&str; 14] = [
    "..",
    "../",
    "../victim/file",
    "../../outside/secret",
    "./../victim",
    "inside/../../victim/file",
    "inside/../../../outside/secret",
    "inside/deeper/../../../victim/file",
    "/",
    "/etc/passwd",
    "//etc/passwd",
    "..\\0",
    "inside/../..",
    "../agent/inside",
];

#[tokio::test]
async fn no_path_leads_out() {
    let rig = Rig::new().await;
    rig.check("mkdir inside => ok\n mkdir inside/deeper => ok\n open f own rwc => ok")
        .await;
    let before = rig.surroundings();
    let mut script = "open d inside rm\n".to_owned();
    for path in LEAVING {
        for from in ["", "d:"] {
            let path = format!("{from}{path}");
            for command in [
                "open x PATH r",
                "open x PATH rwc",
                "open x PATH rwt",
                "open x PATH rd",
                "stat PATH",
                "mkdir PATH",
                "rmdir PATH",
                "unlink PATH",
                "touch-at PATH",
                "list PATH",
                "rename own PATH",
                "rename PATH own",
                "rename inside PATH",
                "link own PATH",
                "link PATH linked",
                "symlink own PATH",
                "readlink PATH",
            ] {
                script.push_str(&command.replace("PATH", &path));
                script.push('\n');
            }
        }
    }
    let results = rig.run(&script).await;
    assert_eq!(results.len(), script.lines().count());
    assert_eq!(results[0], "ok");
    for (line, result) in script.lines().zip(&results).skip(1) {
        // Seen from `inside` there is no `inside`.
        let refused = ["not-permitted", "invalid", "no-entry"].contains(&result.as_str());
        assert!(
            refused && (result != "no-entry" || line.contains("d:inside")),
            "`{line}`: {result}"
        );
    }
    assert_eq!(rig.surroundings(), before);
    assert_eq!(rig.on_disk(), (0, 3));
}

#[tokio::test]
async fn odd_names_are_names_or_refused() {
    let rig = Rig::new().await;
    let long = "x".repeat(255);
    let deep = "y/".repeat(3_000);
    let script = format!(
        "open a new\\nline rwc => ok
         open b ...dots rwc => ok
         open c with\\sspace rwc => ok
         open d back\\slash rwc => ok
         open e {long} rwc => ok
         open f {long}x rwc => name-too-long
         open g a\\0b rwc => invalid
         mkdir {deep} => name-too-long
         open h ./././plain rwc => ok
         open h plain/ r => not-directory
         open h plain/. r => not-directory
         open h plain/below r => not-directory
         open h none/ rwc => is-directory
         list none => no-entry
         stat ./ => ok directory
         mkdir . => exist
         rmdir . => invalid
         unlink . => invalid
         rename . moved => invalid"
    );
    rig.check(&script).await;
    assert_eq!(rig.on_disk().1, 6);
}

#[tokio::test]
async fn a_handle_leads_no_further_than_its_directory_wherever_that_goes() {
    let rig = Rig::new().await;
    let before = rig.surroundings();
    rig.check(
        "mkdir a => ok
         mkdir a/b => ok
         mkdir other => ok
         open d a/b rm => ok
         open x d:.. r => not-permitted
         open x d:../b r => not-permitted
         rename a other/a => ok
         open f d:file rwc => ok
         write f 0 5 => ok
         stat other/a/b/file => ok file 5
         open x d:../../../../victim r => not-permitted
         rename other other/a/other => invalid
         rename other other/a/b => invalid
         rename d:file other/a/file => ok
         unlink other/a/file => ok
         rmdir other/a/b => ok
         open x d:late rwc => no-entry
         mkdir d:late => no-entry
         stat d:file => no-entry
         list d:. => ok 0
         rename other d:late => no-entry
         write f 5 5 => ok
         read f 0 100 => ok 10 more
         read f 10 100 => ok 0 end",
    )
    .await;
    assert_eq!(rig.surroundings(), before);
}

#[tokio::test]
async fn links_are_refused() {
    let rig = Rig::new().await;
    let host = FakeHost::new(Hub::Answers);
    let script = "open f file rwc\n symlink /etc/passwd out\n symlink file in\n link file second\n readlink file";
    let activated = rig.activate(&host, Given::default(), script).await;
    let results: Vec<_> = crate::sandbox::harness::summary(&activated).lines().collect();
    assert_eq!(
        results,
        ["ok", "not-permitted", "not-permitted", "not-permitted", "not-permitted"]
    );
    assert_eq!(rig.on_disk(), (0, 1));
    // WASI has no words for it: the log has, once.
    let lines = host.lines();
    assert_eq!(
        lines.iter().filter(|line| line.contains("links are refused")).count(),
        1,
        "{lines:?}"
    );
}

#[tokio::test]
async fn who_may_only_read_changes_nothing() {
    let rig = Rig::new().await;
    rig.check("mkdir dir => ok\n std put dir/file content => ok\n mkdir empty => ok")
        .await;
    let before = rig.on_disk();
    let content = || fs::read(rig.folder("agent").join("dir/file")).unwrap();
    let reader = Given {
        capabilities: vec![Capability::WorkspaceRead],
        ..Given::default()
    };
    rig.check_as(
        reader,
        "std get dir/file => ok content
         list . => ok 2 dir empty
         open d dir r => ok
         open f dir/file r => ok
         read f 0 100 => ok 7 more
         write f 0 1 => bad-descriptor
         stream f 0 1 => bad-descriptor
         append f 1 => bad-descriptor
         resize f 0 => bad-descriptor
         touch f => read-only
         touch d => read-only
         sync f => ok
         open w dir/file rw => read-only
         open w dir/file w => read-only
         open w dir/file rt => read-only
         open w new rc => read-only
         open w new rwc => read-only
         open w dir/file rc => ok
         mkdir new => read-only
         rmdir empty => read-only
         unlink dir/file => read-only
         touch-at dir/file => read-only
         rename dir/file moved => read-only
         rename d:file moved => read-only
         link dir/file linked => not-permitted
         symlink dir/file linked => not-permitted",
    )
    .await;
    assert_eq!((rig.on_disk(), content()), (before, b"content".to_vec()));
}

#[tokio::test]
async fn without_a_grant_there_is_nothing() {
    let rig = Rig::new().await;
    let nobody = Given {
        capabilities: vec![Capability::KeyValue, Capability::HubRead],
        ..Given::default()
    };
    assert_eq!(rig.run_as(nobody, "std get /file").await, ["no workspace"]);
    assert!(!rig.folder("agent").exists());
}

#[tokio::test]
async fn every_id_has_a_directory_of_its_own() {
    let rig = Rig::new().await;
    let long: &'static str = Box::leak("é".repeat(128).into_boxed_str());
    let longer: &'static str = Box::leak(format!("{}e", "é".repeat(127)).into_boxed_str());
    let ids = [
        ".",
        "..",
        "/",
        "../victim",
        "victim/",
        "Victim",
        "VICTIM",
        "%2e",
        "%",
        "a b",
        "a\u{202e}b",
        "~",
        "con",
        long,
        longer,
    ];
    let before = fs::read(rig.folder("victim").join("file")).unwrap();
    for agent in ids {
        let given = Given {
            agent,
            ..Given::default()
        };
        // Nobody's file is there yet, and it is there the next time.
        rig.check_as(given.clone(), "list . => ok 0\n std put mine content => ok")
            .await;
        rig.check_as(given, "std get mine => ok content").await;
    }
    let folders = fs::read_dir(rig.dir.path().join("workspaces")).unwrap();
    let names: Vec<_> = folders
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), ids.len() + 1, "{names:?}");
    assert!(
        names
            .iter()
            .all(|name| name.len() <= 255 && name.to_lowercase() == *name),
        "{names:?}"
    );
    assert_eq!(fs::read(rig.folder("victim").join("file")).unwrap(), before);
    assert_eq!(
        rig.surroundings().len(),
        3 + 2 * ids.len() + 2,
        "{:#?}",
        rig.surroundings()
    );
}

#[tokio::test]
async fn a_workspace_that_is_a_link_is_not_followed() {
    let rig = Rig::new().await;
    std::os::unix::fs::symlink(rig.outside(), rig.folder("agent")).unwrap();
    let before = rig.surroundings();
    let activated = rig
        .activate(&FakeHost::new(Hub::Answers), Given::default(), "std put secret mine")
        .await;
    let (reason, detail) = stop(&activated);
    assert_eq!(reason, Reason::HostFault, "{detail}");
    assert!(detail.contains("workspaces/agent"), "{detail}");
    assert_eq!(rig.surroundings(), before);
}
