//! The plugins and definitions of this host: what runs, and reading them again.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
};

use super::{
    Api, body,
    error::ApiError,
    query::Params,
    types::{InvalidateAnswer, PluginList, ReloadAnswer, ReloadRequest, RereadAgent},
};
use crate::{
    domain::ids::{AgentName, PluginName},
    ports::definitions::Reread,
    services::plugins::ReloadError,
};

pub async fn list(State(api): State<Api>) -> Json<PluginList> {
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, definition) in api.definitions.all() {
        if let Ok(definition) = definition {
            users.entry(definition.plugin.to_string()).or_default().push(name);
        }
    }
    let mut list = api.plugins.list();
    for plugin in &mut list.plugins {
        plugin.agents = users.remove(&plugin.name).unwrap_or_default();
    }
    Json(list)
}

/// Lasts as long as a compilation does. Who goes away before the answer may find it done or not.
pub async fn reload(State(api): State<Api>, request: Request) -> Result<Json<ReloadAnswer>, ApiError> {
    let too_large = || ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "a reload names one plugin");
    let request: ReloadRequest = body::json(&api, request, too_large).await?;
    let only = request
        .plugin
        .map(PluginName::new)
        .transpose()
        .map_err(|error| ApiError::invalid(error.to_string()))?;
    let _waiting = api.may_wait()?;
    let plugins = api.plugins.reload(only.as_ref()).await.map_err(|error| match error {
        ReloadError::Stopping => ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", error.to_string()),
        ReloadError::Unknown(why) => ApiError::not_found(why),
        ReloadError::Source(why) => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "plugin_dir", why),
    })?;
    Ok(Json(ReloadAnswer {
        host: api.host.name.to_string(),
        plugins,
    }))
}

/// The definition of an agent, or every one, is looked at again on this host.
pub async fn invalidate(State(api): State<Api>, params: Params) -> Result<Json<InvalidateAnswer>, ApiError> {
    let params = params.only(&["agent"])?;
    let _waiting = api.may_wait()?;
    let agents = match params.text("agent") {
        Some(name) => {
            let name = AgentName::new(name).map_err(|error| ApiError::invalid(error.to_string()))?;
            let reread = api.definition_files.reread(&name).await;
            if let Reread::Unknown { path } = &reread {
                return Err(ApiError::not_found(format!(
                    "agent {name} has no definition: there is no {path}"
                )));
            }
            vec![(name.to_string(), reread)]
        }
        None => api
            .definition_files
            .reread_all()
            .await
            .map_err(|why| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "agents_dir", why))?,
    };
    Ok(Json(InvalidateAnswer {
        host: api.host.name.to_string(),
        agents: agents.into_iter().map(reread_agent).collect(),
    }))
}

fn reread_agent((agent, reread): (String, Reread)) -> RereadAgent {
    let result = reread.word();
    let (error, kept) = match reread {
        Reread::Changed | Reread::New | Reread::Unchanged => (None, true),
        Reread::Gone | Reread::Unknown { .. } => (None, false),
        Reread::Refused { why, kept } => (Some(why), kept),
    };
    RereadAgent {
        agent,
        result: result.to_owned(),
        error,
        kept,
    }
}
