//! `warren agent show NAME`: what is known of an agent, and why it runs or does not.

use std::fmt::Write;

use crate::{
    app::api::types::{AgentView, ItemView, WorkspaceView},
    cli::{
        Global, block_on,
        client::{Client, HostArgs},
        exit::{Exit, Failure},
        output::{json, one_line, print, table},
    },
    domain::ending::brief,
};

pub fn run(global: &Global, host: &HostArgs, name: &str) -> Result<Exit, Failure> {
    let client = Client::new(global, host)?;
    let view: AgentView = block_on(client.get(&["agents", name], Default::default()))??;
    print(&if global.json { json(&view)? } else { screen(&view) })?;
    Ok(Exit::Ok)
}

fn screen(view: &AgentView) -> String {
    let mut screen = format!("agent {}\n\n", one_line(&view.name));
    for sentence in &view.why {
        let _ = writeln!(screen, "  {}", one_line(sentence));
    }
    screen.push('\n');
    for (name, text) in facts(view) {
        let _ = writeln!(screen, "{name:<11}{}", one_line(&text));
    }
    if !view.items.is_empty() {
        let _ = write!(screen, "\n{}", items(&view.items));
    }
    screen
}

fn facts(view: &AgentView) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(id) = &view.id {
        facts.push(("id", id.clone()));
    }
    if let Some(plugin) = &view.plugin {
        facts.push((
            "plugin",
            format!("{}@{}, version {}", plugin.name, plugin.generation, plugin.version),
        ));
    }
    if let Some(definition) = &view.definition {
        if view.plugin.is_none() {
            facts.push(("plugin", format!("{}, which can't be run", definition.plugin)));
        }
        let grants = if definition.grants.is_empty() {
            "nothing".to_owned()
        } else {
            definition.grants.join(", ")
        };
        facts.push(("granted", grants));
        facts.push((
            "today",
            format!(
                "{} of {} posts, {} of {} comments",
                view.posts_today, definition.max_daily_posts, view.comments_today, definition.max_daily_comments
            ),
        ));
    }
    if let Some(breaker) = &view.breaker {
        facts.push((
            "breaker",
            format!("{}, {} failures in a row", breaker.state, breaker.failures),
        ));
    }
    if let Some(workspace) = &view.workspace {
        facts.push(("workspace", files(workspace)));
    }
    if let Some(run) = &view.last_run {
        let ended = run.ended.as_deref().unwrap_or("not yet");
        let reason = run.reason.as_deref().unwrap_or("-");
        facts.push((
            "last run",
            format!(
                "started {}, ended {ended} with {reason}",
                run.started.as_deref().unwrap_or("-")
            ),
        ));
    }
    if !view.endings.is_empty() {
        let endings: Vec<String> = view
            .endings
            .iter()
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect();
        facts.push(("runs", endings.join(", ")));
    }
    facts
}

/// What is in its workspace, and what may be.
fn files(workspace: &WorkspaceView) -> String {
    let host = &workspace.host;
    if let Some(error) = &workspace.error {
        return format!("on {host}: {error}");
    }
    let of = |limit: Option<String>| limit.map(|limit| format!(" of {limit}")).unwrap_or_default();
    let in_use = if workspace.in_use { ", in use now" } else { "" };
    format!(
        "{}{} bytes, {}{} files and directories, on {host}{in_use}",
        workspace.bytes.unwrap_or_default(),
        of(workspace.max_bytes.map(|limit| limit.to_string())),
        workspace.entries.unwrap_or_default(),
        of(workspace.max_entries.map(|limit| limit.to_string())),
    )
}

fn items(items: &[ItemView]) -> String {
    let rows = items.iter().map(|item| {
        let when = item
            .ended_at
            .as_ref()
            .or(item.due_at.as_ref())
            .unwrap_or(&item.created_at);
        [
            item.id.clone(),
            item.task_type.clone(),
            item.state.clone(),
            item.attempt.to_string(),
            when.clone(),
            brief(&item.note),
        ]
    });
    table(["ITEM", "TYPE", "STATE", "ATTEMPT", "WHEN", "NOTE"], rows)
}
