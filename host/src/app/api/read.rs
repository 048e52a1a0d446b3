//! What operators ask.

use axum::{Json, extract::State};

use super::{
    Api,
    context::HubSight,
    error::ApiError,
    hosts,
    probes::readiness,
    types::{ActivationsView, HubView, PluginCounts, StatusView, StoreView},
    views,
};
use crate::services::leader_state;

/// Open breakers in the status.
const BREAKERS: u32 = 100;

pub async fn status(State(api): State<Api>) -> Result<Json<StatusView>, ApiError> {
    let health = api.ask(api.store.queue.health()).await?;
    let stats = api.ask(api.store.queue.stats()).await?;
    let leader = api.ask(api.store.leadership.leader()).await?;
    let notes = api.ask(leader_state::look(&*api.store.leadership)).await?;
    let breakers = api.ask(api.store.agents.in_backoff(BREAKERS)).await?;
    let (ready, failed): (Vec<_>, Vec<_>) = api
        .plugins
        .list()
        .plugins
        .into_iter()
        .partition(|p| p.running.is_some());
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
