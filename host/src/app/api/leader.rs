//! Who leads, and handing the leadership over.

use std::time::Duration;

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
};

use super::{
    Api, body,
    error::ApiError,
    types::{CandidateView, HandoverRequest, HandoverView, HostStanding, LeadershipView, TransitionView},
    views,
};
use crate::{
    domain::ids::HostName,
    ports::{leadership::Candidate, telemetry::LeadershipEvent},
    services::election::{Office, Standing},
};

/// Among so many of the newest events the last change of leadership is looked for.
const EVENTS: u32 = 1_000;

pub async fn show(State(api): State<Api>) -> Result<Json<LeadershipView>, ApiError> {
    let leader = api.ask(api.store.leadership.leader()).await?;
    let candidates = api.ask(api.store.leadership.candidates()).await?;
    Ok(Json(LeadershipView {
        leader: leader.as_ref().map(views::leader),
        host: standing(&api),
        candidates: candidates
            .iter()
            .map(|candidate| CandidateView {
                host: candidate.host.to_string(),
                score: candidate.score.0,
            })
            .collect(),
        last_change: last_change(&api).await?,
    }))
}

fn standing(api: &Api) -> HostStanding {
    let office = api.office.as_ref();
    let standing = match office.map(Office::standing) {
        None => "not_a_coordinator",
        Some(Standing::Unknown) => "unknown",
        Some(Standing::Following(_)) => "following",
        Some(Standing::Leading(_)) => "leading",
    };
    HostStanding {
        name: api.host.name.to_string(),
        standing: standing.to_owned(),
        score: office.map(|office| office.score().0),
        lease_left_seconds: office.map_or(0.0, |office| office.lease_left().as_secs_f64()),
    }
}

async fn last_change(api: &Api) -> Result<Option<TransitionView>, ApiError> {
    let newest = api.ask(api.store.events.latest()).await?;
    let after = newest.saturating_sub(u64::from(EVENTS));
    let events = api.ask(api.store.events.after(after, EVENTS, Duration::ZERO)).await?;
    let change = events
        .iter()
        .rev()
        .find(|event| LeadershipEvent::ALL.iter().any(|known| known.as_str() == event.kind));
    Ok(change.map(|event| TransitionView {
        at: views::time(event.at),
        kind: event.kind.clone(),
        host: event.host.as_ref().map(ToString::to_string),
        detail: event.detail.clone(),
    }))
}

/// Only the leader gets here.
pub async fn hand_over(State(api): State<Api>, request: Request) -> Result<Json<HandoverView>, ApiError> {
    let too_large = || ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "a handover names one host");
    let request: HandoverRequest = body::json(&api, request, too_large).await?;
    let to = request
        .to
        .map(HostName::new)
        .transpose()
        .map_err(|error| ApiError::invalid(error.to_string()))?;
    let waiting = api.ask(api.store.leadership.candidates()).await?;
    check(&api.host.name, to.as_ref(), &waiting)?;
    let busy = |message: String| {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not_leader", message).retry_after(Duration::from_secs(1))
    };
    let office = api
        .office
        .as_ref()
        .ok_or_else(|| busy("this host does not lead".to_owned()))?;
    let done = office
        .hand_over(to.clone())
        .await
        .map_err(|refused| busy(refused.to_string()))?;
    match done.leader {
        Some(leader) => Ok(Json(HandoverView {
            from: api.host.name.to_string(),
            to: to.map(|to| to.to_string()),
            leader: views::leader(&leader),
            took_seconds: done.took.as_secs_f64(),
        })),
        None => Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "nobody_took_over",
            format!(
                "{} gave the leadership up, but no other host took it within {:?}; it bids again now",
                api.host.name, done.took
            ),
        )),
    }
}

/// Whether there is somebody to hand over to, before anything is given up.
fn check(own: &HostName, to: Option<&HostName>, waiting: &[Candidate]) -> Result<(), ApiError> {
    let conflict = |code, message: String| Err(ApiError::new(StatusCode::CONFLICT, code, message));
    match to {
        Some(to) if waiting.iter().any(|candidate| candidate.host == *to) => Ok(()),
        Some(to) if to == own => conflict("already_leads", format!("{own} leads already")),
        _ if waiting.is_empty() => conflict(
            "alone",
            format!("no host but {own} can lead: a handover needs another one that runs with the role coordinator"),
        ),
        None => Ok(()),
        Some(to) => {
            let mut names: Vec<&str> = waiting.iter().map(|candidate| candidate.host.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            Err(ApiError::not_found(format!(
                "host {to} does not wait for the leadership: there is none of that name, it is gone, or it runs without the \
                 role coordinator. These wait: {}",
                names.join(", ")
            )))
        }
    }
}
