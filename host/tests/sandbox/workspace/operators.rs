//! What operators see of workspaces, and delete.

use std::{fs, os::unix::fs::symlink};

use warren::{
    domain::ids::AgentId,
    ports::workspaces::{Content, WorkspaceError},
};

use super::{Given, Rig, life::until};
use crate::sandbox::harness::{FakeHost, Hub, summary};

type Seen = Result<Option<Content>, WorkspaceError>;

impl Rig {
    async fn look(&self) -> Seen {
        self.workspaces.look(&AgentId::new("agent").unwrap()).await
    }

    async fn wipe(&self) -> Seen {
        self.workspaces.wipe(&AgentId::new("agent").unwrap()).await
    }
}

fn idle(bytes: u64, entries: u64) -> Seen {
    Ok(Some(Content {
        bytes,
        entries,
        in_use: false,
    }))
}

#[tokio::test]
async fn what_is_there_is_told_and_deleted_and_nothing_else() {
    let rig = Rig::new().await;
    assert_eq!((rig.look().await, rig.wipe().await), (Ok(None), Ok(None)));
    assert!(!rig.folder("agent").exists(), "looking makes nothing");
    rig.check("mkdir a => ok\n mkdir a/b => ok\n std put a/b/file content => ok")
        .await;
    assert_eq!(rig.look().await, idle(7, 3));
    // What somebody else has put there goes as well, and what it points to stays.
    symlink(rig.outside(), rig.folder("agent").join("a/link")).unwrap();
    fs::write(rig.folder("agent").join("by-hand"), "12345").unwrap();
    let around = rig.surroundings();
    assert_eq!(rig.wipe().await, idle(12, 5));
    assert_eq!((rig.on_disk(), rig.look().await), ((0, 0), idle(0, 0)));
    assert_eq!(rig.surroundings(), around);
    rig.check("list . => ok 0\n std put file x => ok").await;
    assert_eq!(rig.look().await, idle(1, 1));
}

#[tokio::test]
async fn nothing_is_deleted_under_an_activation() {
    let rig = Rig::new().await;
    let host = FakeHost::new(Hub::Answers);
    let keep = rig.folder("agent").join("keep");
    let script = "open k keep rwc\n append k 9\n open o other rwc\n until stat keep";
    let running = rig.activate(&host, Given::default(), script);
    let operating = async {
        until(|| rig.folder("agent").join("other").exists()).await;
        let seen = rig.look().await.unwrap().unwrap();
        assert_eq!((seen.bytes, seen.entries, seen.in_use), (9, 2, true));
        assert_eq!(rig.wipe().await, Err(WorkspaceError::InUse));
        assert_eq!(rig.on_disk(), (9, 2));
        fs::remove_file(&keep).unwrap();
    };
    let (activated, ()) = tokio::join!(running, operating);
    assert!(summary(&activated).ends_with("no-entry"), "{:?}", activated.verdict);
    assert!(rig.wipe().await.is_ok());
    assert_eq!(rig.on_disk(), (0, 0));
}

#[tokio::test]
async fn what_can_not_be_looked_into_is_said_with_its_place() {
    let rig = Rig::new().await;
    fs::create_dir_all(rig.folder("agent").join(vec!["d"; 40].join("/"))).unwrap();
    for seen in [rig.look().await, rig.wipe().await] {
        let Err(WorkspaceError::Failed(words)) = seen else {
            panic!("{seen:?}");
        };
        assert!(
            words.contains("workspaces/agent") && words.contains("32 directories"),
            "{words}"
        );
    }
}
