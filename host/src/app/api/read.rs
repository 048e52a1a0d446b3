//! What operators ask.

use std::collections::BTreeMap;

use axum::{Json, extract::State};

use super::{
    Api, Segment,
    error::ApiError,
    hosts,
    probes::readiness,
    types::{
        ActivationsView, AgentList, AgentRow, AgentView, HubView, PluginCounts, PluginList, StatusView, StoreView,
    },
    views,
    why::{Facts, sentences},
};
use crate::{
    app::api::context::HubSight,
    domain::{
        ids::{AgentId, AgentName},
        work_item::{ItemRecord, ItemState},
    },
    ports::{definitions::DefinitionError, work_queue::ItemFilter},
    services::leader_state,
};

/// Open breakers in the status.
const BREAKERS: u32 = 100;
/// Items of an agent that are read, and those that are shown.
const ITEMS: u32 = 100;
const SHOWN_ITEMS: usize = 20;

pub async fn status(State(api): State<Api>) -> Result<Json<StatusView>, ApiError> {
    let health = api.ask(api.store.queue.health()).await?;
    let stats = api.ask(api.store.queue.stats()).await?;
    let leader = api.ask(api.store.leadership.leader()).await?;
    let notes = api.ask(leader_state::look(&*api.store.leadership)).await?;
    let breakers = api.ask(api.store.agents.in_backoff(BREAKERS)).await?;
    let (ready, failed): (Vec<_>, Vec<_>) = api.plugins.list().into_iter().partition(|p| p.running.is_some());
    Ok(Json(StatusView {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: api.host.name.to_string(),
        roles: api.host.roles.clone(),
        uptime_seconds: api.host.started.elapsed().as_secs(),
        store: StoreView {
            description: health.description,
            incarnation: health.incarnation,
        },
        leader: leader.as_ref().map(views::leader),
        hosts: hosts::counts(&api).await?,
        python_runners: notes.python_runners.into_iter().collect(),
        queue: views::queue(&stats),
        breakers: breakers.iter().map(views::breaker).collect(),
        hub: hub(api.state.hub()),
        plugins: PluginCounts {
            ready: ready.len() as u64,
            failed: failed.into_iter().map(|plugin| plugin.name).collect(),
        },
        activations: ActivationsView {
            in_progress: api.metrics.activations_in_progress(),
            slots: api.host.slots,
        },
        ready: readiness(&api).await,
    }))
}

fn hub(sight: HubSight) -> HubView {
    HubView {
        reachable: if sight.error.is_some() {
            Some(false)
        } else {
            sight.seen.map(|_| true)
        },
        seconds_since_seen: sight.seen.map(|seen| seen.elapsed().as_secs_f64()),
        error: sight.error,
    }
}

pub async fn agents(State(api): State<Api>) -> Json<AgentList> {
    let row = |(name, definition): (String, Result<_, DefinitionError>)| match definition {
        Ok(definition) => {
            let definition: std::sync::Arc<crate::domain::agent::AgentDefinition> = definition;
            AgentRow {
                name,
                plugin: Some(definition.plugin.to_string()),
                error: None,
            }
        }
        Err(error) => AgentRow {
            name,
            plugin: None,
            error: Some(error.to_string()),
        },
    };
    Json(AgentList {
        agents: api.definitions.all().into_iter().map(row).collect(),
    })
}

pub async fn plugins(State(api): State<Api>) -> Json<PluginList> {
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, definition) in api.definitions.all() {
        if let Ok(definition) = definition {
            users.entry(definition.plugin.to_string()).or_default().push(name);
        }
    }
    let mut plugins = api.plugins.list();
    for plugin in &mut plugins {
        plugin.agents = users.remove(&plugin.name).unwrap_or_default();
    }
    Json(PluginList { plugins })
}

pub async fn agent(State(api): State<Api>, Segment(asked): Segment) -> Result<Json<AgentView>, ApiError> {
    let record = api.ask(api.store.agents.agent(&asked)).await?;
    let name = match &record {
        Some(record) => record.name.clone(),
        None => AgentName::new(asked.as_str()).map_err(|error| ApiError::not_found(error.to_string()))?,
    };
    let definition = api.definitions.agent(&name);
    if let (None, Err(DefinitionError::Unknown { path, .. })) = (&record, &definition) {
        return Err(ApiError::not_found(format!(
            "there is no agent {name}: neither has the Hub named it, nor is there a definition {path}"
        )));
    }
    let definition_error = definition.as_ref().err().map(ToString::to_string);
    let definition = definition.ok();
    let plugin = definition.as_ref().map(|definition| api.plugins.of(definition));
    let items = match &record {
        Some(record) => items_of(&api, &record.id).await?,
        None => Vec::new(),
    };
    let why = sentences(&Facts {
        definition: definition
            .as_deref()
            .ok_or_else(|| definition_error.as_deref().unwrap_or_default()),
        plugin: plugin.as_ref(),
        record: record.as_ref(),
        items: &items,
    });
    let (plugin, plugin_error) = match plugin {
        Some(Ok(plugin)) => (Some(plugin), None),
        Some(Err(error)) => (None, Some(error)),
        None => (None, None),
    };
    Ok(Json(AgentView {
        name: name.to_string(),
        id: record.as_ref().map(|record| record.id.to_string()),
        definition: definition.as_deref().map(views::definition),
        definition_error,
        plugin,
        plugin_error,
        paused: record.as_ref().is_some_and(|record| record.paused),
        breaker: record.as_ref().map(views::breaker),
        cool_until: record
            .as_ref()
            .and_then(|record| record.cool_until.filter(|until| *until > record.now))
            .map(views::time),
        last_run: record.as_ref().and_then(views::last_run),
        endings: record
            .iter()
            .flat_map(|record| &record.endings)
            .map(|(reason, count)| (reason.to_string(), *count))
            .collect(),
        posts_today: record.as_ref().map_or(0, |record| record.posts_today),
        comments_today: record.as_ref().map_or(0, |record| record.comments_today),
        items: items.iter().map(views::item).collect(),
        why,
    }))
}

/// What is not done yet first, then the newest of what is.
async fn items_of(api: &Api, agent: &AgentId) -> Result<Vec<ItemRecord>, ApiError> {
    let filter = ItemFilter {
        agent: Some(agent.clone()),
        limit: ITEMS,
        ..ItemFilter::default()
    };
    let mut items = api.ask(api.store.queue.items(&filter)).await?;
    items.sort_by_key(|item| matches!(item.state, ItemState::Done | ItemState::Dead));
    items.truncate(SHOWN_ITEMS);
    Ok(items)
}
