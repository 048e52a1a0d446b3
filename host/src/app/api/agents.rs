//! Agents: all of them in pages, and one with all that is known of it.

use std::{collections::HashSet, sync::Arc};

use axum::{Json, extract::State};

use super::{
    Api, Segment,
    error::ApiError,
    query::Params,
    types::{AgentList, AgentRow, AgentView},
    views,
    why::{Facts, sentences},
    workspaces,
};
use crate::{
    app::nearest::nearest,
    domain::{
        agent::AgentDefinition,
        breaker::BreakerState,
        ids::{AgentId, AgentName},
        work_item::{ItemRecord, ItemState},
    },
    ports::{agent_records::AgentRecord, definitions::DefinitionError, work_queue::ItemFilter},
};

const LIMIT: u32 = 100;
const LARGEST_LIMIT: u32 = 500;
/// Items of an agent that are read at either end, and those that are shown.
const ITEMS: u32 = 100;
const SHOWN_ITEMS: usize = 20;
/// Pages of the store (some 1,000 items each) in which they are sought: together a few ms of its time.
const SEARCHED_PAGES: usize = 4;
/// Under whose id an entry is buried that names no agent.
const UNREADABLE: &str = "unreadable";

/// What a page's `after` begins with: an agent's id, or, once all that are known were listed, a definition's name.
const BY_ID: &str = "id:";
const BY_NAME: &str = "name:";

type Definition = Result<Arc<AgentDefinition>, DefinitionError>;

pub async fn list(State(api): State<Api>, params: Params) -> Result<Json<AgentList>, ApiError> {
    let params = params.only(&["after", "limit"])?;
    let limit = params.limit(LIMIT, LARGEST_LIMIT)?;
    let after = params.text("after").unwrap_or(BY_ID);
    if let Some(name) = after.strip_prefix(BY_NAME) {
        return unmet(&api, name, limit).await.map(Json);
    }
    let Some(id) = after.strip_prefix(BY_ID) else {
        return Err(ApiError::invalid(format!(
            "after: {:?} is not allowed: only the `next` of an earlier answer is",
            after.chars().take(80).collect::<String>()
        )));
    };
    let id = match id {
        "" => None,
        id => Some(AgentId::new(id).map_err(|error| ApiError::invalid(format!("after: {error}")))?),
    };
    let records = api.ask(api.store.agents.agents(id.as_ref(), limit)).await?;
    let known = records.iter().map(|record| {
        let definition = api.definitions.agent(&record.name);
        row(&api, record.name.as_str(), definition, Some(record), record.paused)
    });
    let mut list = AgentList {
        agents: known.collect(),
        next: records.last().map(|last| format!("{BY_ID}{}", last.id)),
    };
    let room = limit.saturating_sub(u32::try_from(list.agents.len()).unwrap_or(u32::MAX));
    if room > 0 {
        let unmet = unmet(&api, "", room).await?;
        list.agents.extend(unmet.agents);
        list.next = unmet.next;
    }
    Ok(Json(list))
}

/// Definitions of agents that the store has not met: after `name`, at most `limit` looked at.
async fn unmet(api: &Api, name: &str, limit: u32) -> Result<AgentList, ApiError> {
    let Some(folders) = api.definitions.names() else {
        // What is wrong with the folder of definitions, in their place.
        let all = api.definitions.all().into_iter();
        let agents = all.map(|(folder, definition)| row(api, &folder, definition, None, false));
        return Ok(AgentList {
            agents: agents.collect(),
            next: None,
        });
    };
    let mut rest: Vec<String> = folders.into_iter().filter(|folder| folder.as_str() > name).collect();
    rest.sort_unstable();
    let more = rest.len() > limit as usize;
    rest.truncate(limit as usize);
    let next = rest.last().filter(|_| more).map(|last| format!("{BY_NAME}{last}"));
    let mut agents = Vec::new();
    for folder in rest {
        let name = match AgentName::new(folder.as_str()) {
            Ok(name) => name,
            Err(error) => {
                let wrong = DefinitionError::Invalid(format!("the folder's name: {error}"));
                agents.push(row(api, &folder, Err(wrong), None, false));
                continue;
            }
        };
        let record = api.ask(api.store.agents.agent(name.as_str())).await?;
        if record.is_none_or(|record| record.name != name) {
            let paused = api.ask(api.store.agents.paused_ahead(&name)).await?;
            agents.push(row(api, &folder, api.definitions.agent(&name), None, paused));
        }
    }
    Ok(AgentList { agents, next })
}

fn row(api: &Api, name: &str, definition: Definition, record: Option<&AgentRecord>, paused: bool) -> AgentRow {
    let plugin = definition.as_ref().ok().map(|definition| api.plugins.of(definition));
    let items = record.map(|record| record.items).unwrap_or_default();
    let error = match (&definition, &plugin) {
        (Err(error), _) => Some(error.to_string()),
        (Ok(_), Some(Err(error))) => Some(error.clone()),
        _ => None,
    };
    AgentRow {
        name: name.to_owned(),
        id: record.map(|record| record.id.to_string()),
        state: state(definition.is_ok(), error.is_none(), paused, record).to_owned(),
        plugin: definition.ok().map(|definition| definition.plugin.to_string()),
        error,
        paused,
        breaker: record.map(|record| record.breaker.state(record.now).to_string()),
        running: items.active,
        ready: items.queued,
        waiting: items.waiting,
        held: items.held,
        last_started: record.and_then(|record| record.last_started).map(views::time),
        last_ended: record.and_then(|record| record.last_ended).map(views::time),
        reason: record
            .and_then(|record| record.last_reason)
            .map(|reason| reason.to_string()),
        detail: record.map(|record| record.last_detail.clone()).unwrap_or_default(),
    }
}

/// The word for what matters most.
fn state(defined: bool, runnable: bool, paused: bool, record: Option<&AgentRecord>) -> &'static str {
    match (defined, runnable, paused, record) {
        (false, ..) => "undefined",
        (true, false, ..) => "no_plugin",
        (_, _, true, _) => "paused",
        (.., None) => "unmet",
        (.., Some(record)) => match record.breaker.state(record.now) {
            BreakerState::ForcedOpen => "forced_open",
            BreakerState::Open { .. } => "open",
            BreakerState::HalfOpen { .. } => "half_open",
            BreakerState::Closed | BreakerState::Disabled if record.items.active => "running",
            _ if record.items.queued > 0 => "ready",
            _ if record.cool_until.is_some_and(|until| until > record.now) => "cooling",
            _ => "idle",
        },
    }
}

/// The id of an agent by id or name; nothing for one that has a definition and was not met yet. One that nobody knows is
/// an error.
pub async fn known_id(api: &Api, asked: &str) -> Result<Option<AgentId>, ApiError> {
    if let Some(record) = api.ask(api.store.agents.agent(asked)).await? {
        return Ok(Some(record.id));
    }
    if asked == UNREADABLE {
        return Ok(AgentId::new(asked).ok());
    }
    defined(api, asked).map(|_| None)
}

/// The name of an agent that has a definition, right or wrong.
pub fn defined(api: &Api, asked: &str) -> Result<AgentName, ApiError> {
    let name = AgentName::new(asked).map_err(|error| ApiError::not_found(error.to_string()))?;
    match api.definitions.agent(&name) {
        Err(DefinitionError::Unknown { path, .. }) => Err(unknown(api, &name, &path)),
        Ok(_) | Err(DefinitionError::Invalid(_)) => Ok(name),
    }
}

fn unknown(api: &Api, name: &AgentName, path: &str) -> ApiError {
    ApiError::not_found(format!(
        "there is no agent {name}: neither has the Hub named it, nor is there a definition {path}; {}",
        meant(api, name)
    ))
}

/// The agent of nearly the same name that may have been meant.
pub fn meant(api: &Api, name: &AgentName) -> String {
    let names = api.definitions.names().unwrap_or_default();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.sort_unstable();
    match nearest(name.as_str(), names.into_iter()) {
        Some(meant) => format!("did you mean {meant}?"),
        None => "`warren agent list` shows all".to_owned(),
    }
}

pub async fn show(State(api): State<Api>, Segment(asked): Segment) -> Result<Json<AgentView>, ApiError> {
    let record = api.ask(api.store.agents.agent(&asked)).await?;
    let name = match &record {
        Some(record) => record.name.clone(),
        None => defined(&api, &asked)?,
    };
    let definition = api.definitions.agent(&name);
    let definition_error = definition.as_ref().err().map(ToString::to_string);
    let definition = definition.ok();
    let plugin = definition.as_ref().map(|definition| api.plugins.of(definition));
    let (items, paused) = match &record {
        Some(record) => (items_of(&api, &record.id).await?, record.paused),
        None => (Vec::new(), api.ask(api.store.agents.paused_ahead(&name)).await?),
    };
    let why = sentences(&Facts {
        definition: definition
            .as_deref()
            .ok_or_else(|| definition_error.as_deref().unwrap_or_default()),
        plugin: plugin.as_ref(),
        record: record.as_ref(),
        paused_ahead: record.is_none() && paused,
        items: &items,
    });
    let (plugin, plugin_error) = match plugin {
        Some(Ok(plugin)) => (Some(plugin), None),
        Some(Err(error)) => (None, Some(error)),
        None => (None, None),
    };
    let record = record.as_ref();
    Ok(Json(AgentView {
        name: name.to_string(),
        id: record.map(|record| record.id.to_string()),
        definition: definition.as_deref().map(views::definition),
        definition_error,
        plugin,
        plugin_error,
        paused,
        breaker: record.map(|record| views::breaker(&record.into())),
        cool_until: record
            .and_then(|record| record.cool_until.filter(|until| *until > record.now))
            .map(views::time),
        last_run: record.and_then(views::last_run),
        endings: record
            .iter()
            .flat_map(|record| &record.endings)
            .map(|(reason, count)| (reason.to_string(), *count))
            .collect(),
        posts_today: record.map_or(0, |record| record.posts_today),
        comments_today: record.map_or(0, |record| record.comments_today),
        workspace: workspaces::view(&api, record.map(|record| &record.id), definition.as_deref()).await,
        items: items.iter().map(views::item).collect(),
        why,
    }))
}

/// What is not done yet first, then the newest of what is. A store may hold millions of items: its newest are searched,
/// and its oldest, which have waited longest.
async fn items_of(api: &Api, agent: &AgentId) -> Result<Vec<ItemRecord>, ApiError> {
    let (mut items, more) = search(api, agent, false).await?;
    if more {
        let (oldest, _) = search(api, agent, true).await?;
        items.extend(oldest.into_iter().rev());
        let mut seen = HashSet::new();
        items.retain(|item| seen.insert(item.item.id));
    }
    items.sort_by_key(|item| matches!(item.state, ItemState::Done | ItemState::Dead));
    items.truncate(SHOWN_ITEMS);
    Ok(items)
}

/// An agent's items at one end of the order of enqueueing, and whether there are others that were not looked at.
async fn search(api: &Api, agent: &AgentId, oldest_first: bool) -> Result<(Vec<ItemRecord>, bool), ApiError> {
    let mut filter = ItemFilter {
        agent: Some(agent.clone()),
        limit: ITEMS,
        oldest_first,
        ..ItemFilter::default()
    };
    let mut found = Vec::new();
    for _ in 0..SEARCHED_PAGES {
        let page = api.ask(api.store.queue.page(&filter)).await?;
        found.extend(page.items);
        filter.after = page.next;
        if page.next.is_none() || found.len() >= ITEMS as usize {
            break;
        }
    }
    Ok((found, filter.after.is_some()))
}
