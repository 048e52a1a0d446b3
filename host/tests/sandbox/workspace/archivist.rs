//! The bundled archivist, as a component.

use std::fs;

use tempfile::TempDir;
use warren::{
    adapters::wasm::SandboxConfig,
    domain::{capability::Capability, work_item::TaskType},
    ports::sandbox::Verdict,
};
use warren_tests::guests;

use crate::sandbox::harness::{FakeHost, Hub, activation, prepare, sandbox, small};

#[tokio::test]
async fn it_keeps_a_note_file_per_thread() {
    let dir = TempDir::new().unwrap();
    let sandbox = sandbox(SandboxConfig {
        workspace_dir: Some(dir.path().to_path_buf()),
        ..small()
    });
    let prepared = prepare(&sandbox, guests::component("archivist")).await;
    let host = FakeHost::new(Hub::Answers);
    // The same notification twice: it is noted once.
    for _ in 0..2 {
        let mut inbox = activation(&host, "");
        inbox.item.task_type = TaskType::Inbox;
        inbox.item.payload = None;
        inbox.capabilities = [
            Capability::HubRead,
            Capability::HubWrite,
            Capability::Logging,
            Capability::WorkspaceWrite,
        ]
        .into_iter()
        .collect();
        let activated = prepared.activate(inbox).await;
        let Verdict::Outcome { handled, .. } = &activated.verdict else {
            panic!("{:?} {:?}", activated.verdict, host.lines())
        };
        assert_eq!(*handled, ["notification-1"]);
        let notes = fs::read_to_string(dir.path().join("agent-1/notes/post-1")).unwrap();
        assert_eq!(notes, "post-1 somebody: text\n");
    }
}
