//! The registry of hosts.

use axum::{Json, extract::State};

use super::{
    Api,
    error::ApiError,
    types::{HostCountsView, HostList, HostPluginView, HostView},
};
use crate::{
    domain::host::{HostCounts, HostState, KnownHost},
    services::roster,
};

pub async fn list(State(api): State<Api>) -> Result<Json<HostList>, ApiError> {
    let hosts = api.ask(roster::all(&*api.store.hosts)).await?;
    let leader = api
        .ask(api.store.leadership.leader())
        .await?
        .map(|leader| leader.holder);
    let leads = |host: &KnownHost| leader.as_deref() == Some(&host.holder);
    Ok(Json(HostList {
        hosts: hosts.iter().map(|host| view(host, leads(host))).collect(),
    }))
}

/// How many hosts are how.
pub async fn counts(api: &Api) -> Result<HostCountsView, ApiError> {
    let counts = HostCounts::of(&api.ask(roster::all(&*api.store.hosts)).await?);
    let draining = counts.get(HostState::Draining);
    Ok(HostCountsView {
        live: counts.get(HostState::Live) + draining,
        draining,
        left: counts.get(HostState::Left),
        gone: counts.get(HostState::Gone),
    })
}

fn view(host: &KnownHost, leader: bool) -> HostView {
    let (report, error) = match &host.report {
        Ok(report) => (report.clone(), None),
        Err(error) => (Default::default(), Some(error.clone())),
    };
    let name = host.name().to_owned();
    let lives = matches!(host.state, HostState::Live | HostState::Draining);
    HostView {
        instance: host.holder[name.len()..].trim_start_matches('/').to_owned(),
        name,
        state: host.state.to_string(),
        leader,
        seconds_since_seen: host.silent.as_secs_f64(),
        version: report.version,
        roles: report.roles,
        labels: report.labels,
        address: report.address,
        in_flight: report.in_flight,
        slots: report.slots,
        plugins: report
            .plugins
            .into_iter()
            .map(|plugin| HostPluginView {
                name: plugin.name,
                generation: plugin.generation,
                digest: plugin.digest,
            })
            .collect(),
        uptime_seconds: (report.up + if lives { host.silent } else { Default::default() }).as_secs(),
        error,
    }
}
