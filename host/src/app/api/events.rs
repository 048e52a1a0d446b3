//! The event stream in parts, for whoever asks again by itself.

use std::collections::HashMap;

use axum::{Json, extract::State};

use super::{
    Api, agents,
    error::ApiError,
    query::Params,
    types::{EventList, EventView, EventsLost},
    views, wait_of,
};
use crate::domain::{event::Event, ids::AgentId};

const LIMIT: u32 = 100;
const LARGEST_LIMIT: u32 = 1000;
/// Names of agents that are remembered while events are shown.
const MOST_NAMES: usize = 1000;
/// The longest kind that can be asked for.
const LONGEST_KIND: usize = 64;

pub async fn list(State(api): State<Api>, params: Params) -> Result<Json<EventList>, ApiError> {
    let params = params.only(&["after", "kind", "agent", "limit", "wait"])?;
    let limit = params.limit(LIMIT, LARGEST_LIMIT)?;
    let wait = wait_of(&params)?;
    let filter = EventFilter::read(&api, &params).await?;
    let after = params.number("after", 0..=u64::MAX)?.unwrap_or(0);
    let events = api.wait(wait, api.store.events.after(after, limit, wait)).await?;
    let next = events.last().map_or(after, |event| event.seq);
    let lost = match events.first() {
        Some(first) if after > 0 => lost_between(&api, after, first.seq).await?,
        _ => None,
    };
    let mut names = Names::default();
    let mut shown = Vec::with_capacity(events.len());
    for event in &events {
        shown.extend(filter.show(&api, &mut names, event).await);
    }
    Ok(Json(EventList {
        events: shown,
        lost,
        next,
    }))
}

/// What came after `seen`, before the event `first`, and is not kept any more. A number may have been skipped without an
/// event: it is lost only if it is older than all that are kept.
pub(super) async fn lost_between(api: &Api, seen: u64, first: u64) -> Result<Option<EventsLost>, ApiError> {
    if first <= seen.saturating_add(1) {
        return Ok(None);
    }
    let oldest = api.ask(api.store.events.after(0, 1, std::time::Duration::ZERO)).await?;
    Ok(oldest
        .first()
        .filter(|oldest| oldest.seq > seen.saturating_add(1))
        .map(|_| EventsLost {
            from: seen + 1,
            to: first - 1,
            message: format!(
                "the events {} to {} are not kept any more (queue.keep_events says how many are)",
                seen + 1,
                first - 1
            ),
        }))
}

/// Which events are shown.
pub(super) struct EventFilter {
    /// Whole kinds, or their beginnings up to an underscore; empty for all.
    kinds: Vec<String>,
    agent: Option<String>,
}

impl EventFilter {
    pub async fn read(api: &Api, params: &Params) -> Result<EventFilter, ApiError> {
        let kinds: Vec<String> = params
            .text("kind")
            .map(|kinds| kinds.split(',').map(|kind| kind.trim().to_owned()).collect())
            .unwrap_or_default();
        let valid = |kind: &String| {
            (1..=LONGEST_KIND).contains(&kind.len()) && kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        };
        if let Some(wrong) = kinds.iter().find(|kind| !valid(kind)) {
            let shown: String = wrong.chars().take(LONGEST_KIND).collect();
            return Err(ApiError::invalid(format!(
                "kind: {shown:?} is not allowed: kinds are 1 to {LONGEST_KIND} of a-z and _, several with commas between, such as \
                 breaker_opened, or breaker for all that begin so"
            )));
        }
        let agent = params.text("agent");
        if let Some(asked) = agent {
            agents::known_id(api, asked).await?;
        }
        Ok(EventFilter {
            kinds,
            agent: agent.map(str::to_owned),
        })
    }

    /// The event as it is shown, if it is.
    pub async fn show(&self, api: &Api, names: &mut Names, event: &Event) -> Option<EventView> {
        if !self.kinds.is_empty() && !self.kinds.iter().any(|kind| fits(kind, &event.kind)) {
            return None;
        }
        let name = match &event.agent {
            Some(agent) => names.of(api, agent).await,
            None => None,
        };
        let wanted = self.agent.as_ref().is_none_or(|wanted| {
            Some(wanted) == name.as_ref() || Some(wanted.as_str()) == event.agent.as_ref().map(AgentId::as_str)
        });
        wanted.then(|| views::event(event, name))
    }
}

fn fits(asked: &str, kind: &str) -> bool {
    kind.strip_prefix(asked)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

/// Names of agents by their ids, each asked for once.
#[derive(Default)]
pub(super) struct Names(HashMap<AgentId, Option<String>>);

impl Names {
    async fn of(&mut self, api: &Api, agent: &AgentId) -> Option<String> {
        if let Some(name) = self.0.get(agent) {
            return name.clone();
        }
        // Without a name the event is shown all the same.
        let record = api.ask(api.store.agents.agent(agent.as_str())).await.ok().flatten();
        let name = record
            .filter(|record| record.id == *agent)
            .map(|record| record.name.to_string());
        if self.0.len() >= MOST_NAMES {
            self.0.clear();
        }
        self.0.insert(agent.clone(), name.clone());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn kinds_are_whole_or_beginnings() {
        assert!(fits("breaker_opened", "breaker_opened") && fits("breaker", "breaker_opened"));
        assert!(!fits("break", "breaker_opened") && !fits("breaker_opened", "breaker"));
    }
}
