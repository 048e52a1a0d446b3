//! The agents' workspaces on this host: what is in one, and emptying it.

use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode};
use tokio::time;
use tracing::info;

use super::{
    Api, Segment, agents,
    error::ApiError,
    types::{WorkspaceView, WorkspaceWiped},
};
use crate::{
    domain::{
        agent::AgentDefinition,
        capability::Capability,
        ids::{AgentId, AgentName},
        limits::Limits,
    },
    ports::workspaces::{Content, WorkspaceError},
};

/// How long an answer waits for the disk.
const LOOK_WITHIN: Duration = Duration::from_secs(2);
const WIPE_WITHIN: Duration = Duration::from_secs(30);

/// An agent's, unless it has none and is granted none.
pub async fn view(api: &Api, id: Option<&AgentId>, definition: Option<&AgentDefinition>) -> Option<WorkspaceView> {
    let found = match id {
        Some(id) => look(api, id).await,
        None => Ok(None),
    };
    let grants = definition.map(|definition| &definition.grants);
    let granted = grants.is_some_and(|grants| {
        grants.contains(Capability::WorkspaceRead) || grants.contains(Capability::WorkspaceWrite)
    });
    if !granted && found == Ok(None) {
        return None;
    }
    let limits = definition.and_then(|definition| limits(api, definition));
    let (content, error) = match found {
        Ok(content) => (Some(content.unwrap_or_default()), None),
        Err(error) => (None, Some(error)),
    };
    Some(WorkspaceView {
        host: api.host.name.to_string(),
        bytes: content.map(|content| content.bytes),
        entries: content.map(|content| content.entries),
        max_bytes: limits.as_ref().map(|limits| limits.workspace_bytes),
        max_entries: limits.map(|limits| limits.workspace_entries.into()),
        in_use: content.is_some_and(|content| content.in_use),
        error,
    })
}

async fn look(api: &Api, id: &AgentId) -> Result<Option<Content>, String> {
    match time::timeout(LOOK_WITHIN, api.workspaces.look(id)).await {
        Ok(found) => found.map_err(|error| error.to_string()),
        Err(_) => Err(format!(
            "it could not be measured within {LOOK_WITHIN:?}: this host's disk is slow"
        )),
    }
}

/// What would hold for an activation now; nothing where this host can't run the agent, which is told elsewhere.
fn limits(api: &Api, definition: &AgentDefinition) -> Option<Limits> {
    let of_plugin = api.plugins.limits(definition).ok()?;
    let limits = api.default_limits.with(&of_plugin, &api.max_limits).ok()?;
    limits.with(&definition.limits, &api.max_limits).ok()
}

/// Lasts as long as the disk does. Who goes away before the answer may find it done or not.
pub async fn wipe(State(api): State<Api>, Segment(asked): Segment) -> Result<Json<WorkspaceWiped>, ApiError> {
    let (name, id) = match api.ask(api.store.agents.agent(&asked)).await? {
        Some(record) => (record.name, Some(record.id)),
        None => (agents::defined(&api, &asked)?, None),
    };
    let _waiting = api.may_wait()?;
    let deleted = match &id {
        Some(id) => match time::timeout(WIPE_WITHIN, api.workspaces.wipe(id)).await {
            Ok(wiped) => wiped.map_err(|error| refused(&api, &name, error))?,
            Err(_) => return Err(slow(&api, &name)),
        },
        None => None,
    };
    let deleted = deleted.unwrap_or_default();
    if deleted.entries > 0 {
        let Content { bytes, entries, .. } = deleted;
        info!(agent = %name, bytes, entries, "an operator emptied a workspace");
    }
    Ok(Json(WorkspaceWiped {
        host: api.host.name.to_string(),
        text: text(&api, &name, deleted),
        agent: name.to_string(),
        agent_id: id.map(|id| id.to_string()),
        bytes: deleted.bytes,
        entries: deleted.entries,
    }))
}

fn text(api: &Api, name: &AgentName, deleted: Content) -> String {
    let host = &api.host.name;
    let Content { bytes, entries, .. } = deleted;
    if entries == 0 {
        return format!("{name} keeps nothing in its workspace on {host}: there was nothing to delete");
    }
    let what = match entries {
        1 => "1 file or directory".to_owned(),
        count => format!("{count} files and directories"),
    };
    format!("deleted {what} of {bytes} bytes: all that {name} kept in its workspace on {host}")
}

fn refused(api: &Api, name: &AgentName, error: WorkspaceError) -> ApiError {
    let host = &api.host.name;
    match error {
        WorkspaceError::InUse => ApiError::new(
            StatusCode::CONFLICT,
            "in_use",
            format!(
                "{name} uses its workspace on {host} just now: nothing was deleted. Try again when its activation has ended; \
                 `warren agent pause {name}` keeps the next one from starting"
            ),
        ),
        WorkspaceError::Busy(_) => ApiError::busy(error.to_string()),
        WorkspaceError::Failed(why) => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "workspace", why),
    }
}

fn slow(api: &Api, name: &AgentName) -> ApiError {
    let host = &api.host.name;
    let message = format!(
        "the workspace of {name} on {host} could not be emptied within {WIPE_WITHIN:?}: the disk is slow. It goes on; \
         `warren agent show {name}` tells what is left"
    );
    ApiError::new(StatusCode::GATEWAY_TIMEOUT, "too_slow", message)
}
