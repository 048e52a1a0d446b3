//! The agents' workspaces as operators see them: how much is in one, and emptying it.

use serde_json::{Value, json};
use warren::ports::workspaces::{Content, WorkspaceError};

use super::{commands::assert_ends, *};

const SOME: Content = Content {
    bytes: 12_345,
    entries: 3,
    in_use: false,
};

impl Served {
    /// A host that has met the agent echo, which is called `e1`, and that says this of its workspace.
    async fn keeping(told: impl Into<Option<Result<Content, WorkspaceError>>>) -> Served {
        let served = Served::start().await;
        let submit = json!({ "agent": "echo", "payload": "", "agent_id": "e1" });
        assert_eq!(served.submit(submit).await.0, 201);
        if let Some(told) = told.into() {
            served.workspaces.0.lock().unwrap().insert("e1", told);
        }
        served
    }

    async fn workspace(&self) -> Value {
        self.get("/api/v1/agents/echo").await.1["workspace"].clone()
    }

    fn grant(&self, grants: &str) {
        let definition = self.folder.path().join("agents/echo/config.yaml");
        let text = format!("name: echo\nplugin: echo\ncapabilities:\n  grants: [{grants}]\n");
        write(&definition, &text);
    }

    async fn wipe(&self) -> (u16, Value) {
        self.post("/api/v1/agents/echo/workspace/wipe", json!({})).await
    }
}

#[tokio::test]
async fn what_an_agent_keeps_is_shown_beside_what_it_may() {
    let served = Served::keeping(Ok(SOME)).await;
    // Of the plugin's manifest, and of the host's defaults.
    let expected = json!({
        "host": "host-1", "bytes": 12_345, "entries": 3, "max_bytes": 16 << 20, "max_entries": 500,
        "in_use": false, "error": null
    });
    assert_eq!(served.workspace().await, expected);
    assert_ends(
        &served.command(&["agent", "show", "echo"], "").await,
        0,
        &["workspace  12345 of 16777216 bytes, 3 of 500 files and directories, on host-1\n"],
    );
    let busy = Content { in_use: true, ..SOME };
    served.workspaces.0.lock().unwrap().insert("e1", Ok(busy));
    let shown = served.command(&["agent", "show", "e1"], "").await;
    assert_ends(&shown, 0, &["on host-1, in use now"]);
    let why = "the workspace /data/e1: Input/output error".to_owned();
    let failed = Err(WorkspaceError::Failed(why));
    served.workspaces.0.lock().unwrap().insert("e1", failed);
    let shown = served.command(&["agent", "show", "echo"], "").await;
    assert_ends(
        &shown,
        0,
        &["workspace  on host-1: the workspace /data/e1: Input/output error"],
    );
}

#[tokio::test]
async fn an_agent_that_has_none_shows_none_unless_it_is_granted_one() {
    let served = Served::keeping(None).await;
    assert_eq!(served.workspace().await, Value::Null);
    let shown = served.command(&["agent", "show", "echo"], "").await;
    assert!(
        !String::from_utf8_lossy(&shown.stdout).contains("workspace"),
        "{shown:?}"
    );
    // Before the Hub has named it, too.
    let served = Served::start().await;
    served.grant("workspace:read");
    let workspace = served.workspace().await;
    assert_eq!(
        (&workspace["bytes"], &workspace["entries"]),
        (&json!(0), &json!(0)),
        "{workspace}"
    );
}

#[tokio::test]
async fn a_workspace_is_wiped_and_the_answer_says_what_that_was() {
    let served = Served::keeping(Ok(SOME)).await;
    let wipe = ["agent", "workspace", "wipe", "echo"];
    assert_ends(
        &served.command(&wipe, "").await,
        0,
        &["deleted 3 files and directories of 12345 bytes: all that echo kept in its workspace on host-1"],
    );
    let (status, nothing) = served.wipe().await;
    assert_eq!((status, &nothing["entries"]), (200, &json!(0)));
    let text = nothing["text"].as_str().unwrap();
    assert!(text.contains("there was nothing to delete"), "{text}");
    let json = served
        .command(&["agent", "workspace", "wipe", "echo", "--json"], "")
        .await;
    assert_ends(&json, 0, &["\"agent_id\": \"e1\""]);
}

#[tokio::test]
async fn what_is_in_use_or_can_t_be_deleted_is_refused_in_words() {
    let busy = Content { in_use: true, ..SOME };
    let served = Served::keeping(Ok(busy)).await;
    let (status, refused) = served.wipe().await;
    assert_eq!((status, &refused["error"]["code"]), (409, &json!("in_use")));
    let wipe = ["agent", "workspace", "wipe", "echo"];
    assert_ends(
        &served.command(&wipe, "").await,
        1,
        &[
            "echo uses its workspace on host-1",
            "nothing was deleted",
            "`warren agent pause echo`",
        ],
    );
    for (error, status) in [
        (WorkspaceError::Failed("2 of 3 are left".to_owned()), 500),
        (WorkspaceError::Busy(4), 503),
    ] {
        served.workspaces.0.lock().unwrap().insert("e1", Err(error.clone()));
        let (answered, refused) = served.wipe().await;
        assert_eq!(
            (answered, refused["error"]["message"].as_str()),
            (status, Some(&*error.to_string()))
        );
    }
    let without_a_token = served.request(Method::POST, "/api/v1/agents/echo/workspace/wipe");
    assert_eq!(without_a_token.send().await.unwrap().status(), 401);
    let unknown = served.command(&["agent", "workspace", "wipe", "ecko"], "").await;
    assert_ends(&unknown, 3, &["there is no agent ecko", "did you mean echo?"]);
}

#[tokio::test]
async fn on_all_hosts_each_says_its_part() {
    let served = Served::keeping(Ok(SOME)).await;
    let alone = served
        .command(&["agent", "workspace", "wipe", "echo", "--all-hosts"], "")
        .await;
    assert_ends(&alone, 1, &["shows none that lives"]);
    served.beat_here("host-1").await;
    let all = served
        .command(&["agent", "workspace", "wipe", "echo", "--all-hosts"], "")
        .await;
    assert_ends(&all, 0, &["host-1: deleted 3 files and directories"]);
}
