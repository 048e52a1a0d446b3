//! What operators do to an agent: pause it, resume it, command its breaker. Each answer says what changed, in words.

use axum::{Json, extract::State};

use super::{Api, Segment, agents, error::ApiError, types::AgentChange};
use crate::{
    domain::{
        breaker::BreakerState,
        ids::{AgentId, AgentName},
    },
    ports::agent_records::{AgentRecord, BreakerCommand},
};

pub async fn pause(State(api): State<Api>, Segment(asked): Segment) -> Result<Json<AgentChange>, ApiError> {
    set_paused(&api, &asked, true).await.map(Json)
}

pub async fn resume(State(api): State<Api>, Segment(asked): Segment) -> Result<Json<AgentChange>, ApiError> {
    set_paused(&api, &asked, false).await.map(Json)
}

async fn set_paused(api: &Api, asked: &str, paused: bool) -> Result<AgentChange, ApiError> {
    // An agent may be met, for the first time, between two steps of this: then it is looked for once more.
    for _ in 0..2 {
        if let Some(before) = api.ask(api.store.agents.agent(asked)).await? {
            api.ask(api.store.agents.set_paused(&before.id, paused)).await?;
            let after = record(api, &before.id).await?;
            return Ok(paused_known(&before, &after));
        }
        let name = agents::defined(api, asked)?;
        let was_paused = api.ask(api.store.agents.paused_ahead(&name)).await?;
        if api.ask(api.store.agents.set_paused_ahead(&name, paused)).await? {
            return Ok(paused_ahead(&name, was_paused, paused));
        }
    }
    Err(ApiError::busy(format!(
        "agent {asked} changes its name just now; try again"
    )))
}

fn word(paused: bool) -> &'static str {
    if paused { "paused" } else { "running" }
}

fn paused_known(before: &AgentRecord, after: &AgentRecord) -> AgentChange {
    let name = &after.name;
    let text = match (before.paused, after.paused) {
        (true, true) => format!("{name} was paused already; {}", items(after)),
        (false, false) => format!("{name} was not paused; {}", items(after)),
        (false, true) => {
            let goes_on = if after.items.active {
                "what runs goes on to its end, and "
            } else {
                ""
            };
            format!(
                "{name} is paused: {goes_on}{}. `warren agent resume {name}` lets it run again",
                items(after)
            )
        }
        (true, false) => format!("{name} is resumed: {}", items(after)),
    };
    AgentChange {
        agent: name.to_string(),
        agent_id: Some(after.id.to_string()),
        before: word(before.paused).to_owned(),
        after: word(after.paused).to_owned(),
        text,
    }
}

fn paused_ahead(name: &AgentName, was_paused: bool, paused: bool) -> AgentChange {
    let text = match (was_paused, paused) {
        (_, true) => format!(
            "{name} is paused ahead: neither has the Hub named it to this cluster yet, nor was anything submitted for it; its \
             first item will find it paused. `warren agent resume {name}` takes that back"
        ),
        (true, false) => format!("{name} is resumed: it runs when the Hub has something for it"),
        (false, false) => format!("{name} was not paused; nothing was ever enqueued for it"),
    };
    AgentChange {
        agent: name.to_string(),
        agent_id: None,
        before: word(was_paused).to_owned(),
        after: word(paused).to_owned(),
        text,
    }
}

/// Where its items are now.
fn items(agent: &AgentRecord) -> String {
    let counts = [
        (agent.items.queued, "ready"),
        (agent.items.waiting, "waiting"),
        (agent.items.held, "held"),
        (agent.items.behind_breaker, "delayed by the breaker"),
    ];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if counts.is_empty() {
        "none of its items is ready, waiting or held".to_owned()
    } else {
        format!("of its items {}", counts.join(", "))
    }
}

pub async fn reset(State(api): State<Api>, Segment(asked): Segment) -> Result<Json<AgentChange>, ApiError> {
    breaker(&api, &asked, BreakerCommand::Reset).await.map(Json)
}

pub async fn force_open(State(api): State<Api>, Segment(asked): Segment) -> Result<Json<AgentChange>, ApiError> {
    breaker(&api, &asked, BreakerCommand::ForceOpen).await.map(Json)
}

pub async fn disable(State(api): State<Api>, Segment(asked): Segment) -> Result<Json<AgentChange>, ApiError> {
    breaker(&api, &asked, BreakerCommand::Disable).await.map(Json)
}

async fn breaker(api: &Api, asked: &str, command: BreakerCommand) -> Result<AgentChange, ApiError> {
    let Some(before) = api.ask(api.store.agents.agent(asked)).await? else {
        let name = agents::defined(api, asked)?;
        return Err(ApiError::not_found(format!(
            "agent {name} has no breaker yet: neither has the Hub named it to this cluster, nor was anything submitted for it. \
             `warren agent pause {name}` keeps it from running at all"
        )));
    };
    api.ask(api.store.agents.command_breaker(&before.id, command)).await?;
    let after = record(api, &before.id).await?;
    let (was, is) = (before.breaker.state(before.now), after.breaker.state(after.now));
    Ok(AgentChange {
        agent: after.name.to_string(),
        agent_id: Some(after.id.to_string()),
        text: transition(&before, &after, command),
        before: was.to_string(),
        after: is.to_string(),
    })
}

fn transition(before: &AgentRecord, after: &AgentRecord, command: BreakerCommand) -> String {
    let name = &after.name;
    let was = match before.breaker.state(before.now) {
        BreakerState::Closed => "was closed".to_owned(),
        BreakerState::Open { until } => format!(
            "was open for another {} s",
            until.since(before.now).as_millis().div_ceil(1000)
        ),
        BreakerState::HalfOpen { .. } => "was half open".to_owned(),
        BreakerState::ForcedOpen => "was forced open".to_owned(),
        BreakerState::Disabled => "was disabled".to_owned(),
    };
    let failures = match before.breaker.failures {
        0 => String::new(),
        1 => " after 1 failure".to_owned(),
        count => format!(" after {count} failures in a row"),
    };
    let now = match command {
        BreakerCommand::Reset => "is closed now, works by itself again, and has forgotten all failures",
        BreakerCommand::ForceOpen => "is forced open now: nothing of this agent runs until a reset",
        BreakerCommand::Disable => "is disabled now: no failure keeps this agent from running, until a reset",
    };
    let paused = if after.paused {
        "; the agent is paused all the same"
    } else {
        ""
    };
    format!(
        "the breaker of {name} {was}{failures}, and {now}; {}{paused}",
        items(after)
    )
}

async fn record(api: &Api, id: &AgentId) -> Result<AgentRecord, ApiError> {
    let record = api.ask(api.store.agents.agent(id.as_str())).await?;
    record.ok_or_else(|| ApiError::not_found(format!("agent {id} was just forgotten by the store; try again")))
}
