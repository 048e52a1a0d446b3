//! How long what is in a workspace lasts.

use std::{
    fs,
    time::{Duration, Instant},
};

use warren::domain::{ending::Reason, limits::Limits};

use super::{Given, Rig};
use crate::sandbox::harness::{FakeHost, Hub, stop, summary};

fn wiped() -> Given {
    Given {
        wipe: true,
        ..Given::default()
    }
}

const MESS: &str =
    "mkdir a => ok\n mkdir a/b => ok\n std put a/b/file content => ok\n open f left rwc => ok\n append f 9 => ok";

#[tokio::test]
async fn files_last_until_they_are_wiped() {
    let rig = Rig::new().await;
    rig.check(MESS).await;
    rig.check("std get a/b/file => ok content").await;
    assert_eq!(rig.on_disk(), (16, 4));
    // What is left from before is gone at the beginning, and nothing is left at the end.
    rig.check_as(wiped(), &format!("list . => ok 0\n{MESS}")).await;
    assert_eq!(rig.on_disk(), (0, 0));
    // An activation that used no files has nothing opened, and nothing wiped.
    rig.check(MESS).await;
    assert_eq!(rig.run_as(wiped(), "").await.len(), 0);
}

#[tokio::test]
async fn a_cut_activation_leaves_nothing_behind() {
    let rig = Rig::new().await;
    let cut = Given {
        limits: Limits {
            deadline: Duration::from_millis(500),
            ..Limits::default()
        },
        ..wiped()
    };
    let script = "open f file rwc\n append f 9\n until stat file";
    let activated = rig.activate(&FakeHost::new(Hub::Answers), cut, script).await;
    assert_eq!(stop(&activated).0, Reason::Deadline, "{:?}", activated.verdict);
    assert_eq!(rig.on_disk(), (0, 0));
}

#[tokio::test]
async fn an_abandoned_activation_leaves_nothing_behind() {
    let rig = Rig::new().await;
    let host = FakeHost::new(Hub::Answers);
    {
        let running = rig.activate(
            &host,
            wiped(),
            "mkdir seen\n open f file rwc\n append f 9\n until stat file",
        );
        tokio::select! {
            activated = running => panic!("{:?}", activated.verdict),
            () = until(|| rig.folder("agent").join("file").exists()) => {}
        }
    }
    until(|| rig.on_disk() == (0, 0)).await;
}

/// Wait for a condition, for a while.
pub async fn until(condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(30), "it never came true");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_can_not_be_emptied_is_said_and_tried_again() {
    let rig = Rig::new().await;
    let deep = rig.folder("agent").join(vec!["d"; 40].join("/"));
    fs::create_dir_all(&deep).unwrap();
    for given in [wiped(), Given::default()] {
        let activated = rig.activate(&FakeHost::new(Hub::Answers), given, "list .").await;
        let (reason, detail) = stop(&activated);
        assert_eq!(reason, Reason::HostFault, "{detail}");
        assert!(
            detail.contains("workspaces/agent") && detail.contains("32 directories"),
            "{detail}"
        );
    }
    fs::remove_dir_all(rig.folder("agent")).unwrap();
    rig.check_as(wiped(), "list . => ok 0").await;
}

#[tokio::test]
async fn a_wipe_that_failed_is_made_up_for_before_the_next_activation() {
    let rig = Rig::new().await;
    let folder = rig.folder("agent");
    let deep = folder.join(vec!["d"; 40].join("/"));
    let host = FakeHost::new(Hub::Answers);
    // While the guest looks at a file of its own, somebody puts in what can't be wiped, and takes the file away.
    let running = rig.activate(&host, wiped(), "open k keep rwc\n open o other rwc\n until stat keep");
    let meddling = async {
        until(|| folder.join("other").exists()).await;
        fs::create_dir_all(&deep).unwrap();
        fs::remove_file(folder.join("keep")).unwrap();
    };
    let (activated, ()) = tokio::join!(running, meddling);
    assert!(summary(&activated).ends_with("no-entry"), "{:?}", activated.verdict);
    assert!(deep.exists() && !folder.join("other").exists(), "the rest is gone");
    let refused = rig.activate(&FakeHost::new(Hub::Answers), wiped(), "list .").await;
    assert_eq!(stop(&refused).0, Reason::HostFault, "{:?}", refused.verdict);
    fs::remove_dir_all(folder.join("d/d/d/d/d/d/d/d/d/d")).unwrap();
    rig.check_as(wiped(), "list . => ok 0").await;
    assert_eq!(rig.on_disk(), (0, 0));
}

#[tokio::test]
async fn files_know_themselves_and_their_times() {
    let rig = Rig::new().await;
    rig.check(
        "open a file rwc => ok
         open b file r => ok
         open c other rwc => ok
         open d . r => ok
         open e ./ rd => ok
         same a b => ok true true
         same a c => ok false false
         same d e => ok true true
         rename file moved => ok
         same a b => ok true true
         touch a => ok
         touch d => ok
         touch-at moved => ok
         touch-at . => ok
         sync a => ok
         sync d => ok
         open x moved rwcx => exist
         open x moved rd => not-directory
         open x moved rdc => invalid
         open x . rw => is-directory
         open x . rwt => is-directory
         unlink . => invalid
         rename moved moved => ok
         rename moved other => ok
         rename other d:other/ => not-directory
         mkdir dir => ok
         unlink dir => is-directory
         rmdir other => not-directory
         rename other dir => is-directory
         rename dir other => not-directory
         mkdir dir/sub => ok
         rmdir dir => not-empty
         rename dir/sub dir => not-empty
         rename dir/sub sub => ok
         rename sub dir => ok
         read a 0 10 => ok 0 end
         write b 0 1 => bad-descriptor
         list . => ok 2 dir other",
    )
    .await;
    let activated = rig
        .activate(&FakeHost::new(Hub::Answers), Given::default(), "list .")
        .await;
    assert_eq!(summary(&activated), "ok 2 dir other");
}
