//! What tests steer and question: faults, the log, bulk data, budgets, consumption.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::devhub::Hub;
use crate::devhub::database::ledger::{self, Budget};
use crate::devhub::database::seed::{self, Seed, Seeded};
use crate::devhub::faults::Switches;
use crate::devhub::input::{Body, Id, Params, within};
use crate::devhub::problem::Problem;

/// Entries in one answer if the call doesn't say, and at most.
const ENTRIES_DEFAULT: u32 = 10_000;
const ENTRIES_MAX: u32 = 100_000;

pub(super) async fn faults(State(hub): State<Arc<Hub>>) -> Json<Value> {
    Json(hub.faults.report())
}

pub(super) async fn set_faults(State(hub): State<Arc<Hub>>, Body(value): Body<Value>) -> Result<Json<Value>, Problem> {
    hub.faults.replace(Switches::parse(value)?);
    Ok(Json(hub.faults.report()))
}

pub(super) async fn clear_faults(State(hub): State<Arc<Hub>>) -> StatusCode {
    hub.faults.replace(Switches::default());
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
pub(super) struct Entries {
    #[serde(default)]
    after: i64,
    limit: Option<u32>,
    agent_id: Option<String>,
}

pub(super) async fn log(
    State(hub): State<Arc<Hub>>,
    Params(Entries { after, limit, .. }): Params<Entries>,
) -> Result<Json<Value>, Problem> {
    let limit = within("limit", limit, ENTRIES_DEFAULT, 1..=ENTRIES_MAX)?;
    let effects = hub
        .database
        .read(move |data| ledger::effects(data, after, limit))
        .await?;
    let last = effects.last().map_or(after, |effect| effect.seq);
    Ok(Json(
        json!({ "effects": effects, "last": last, "requests": hub.request_counts() }),
    ))
}

pub(super) async fn seed(State(hub): State<Arc<Hub>>, Body(wanted): Body<Seed>) -> Result<Json<Seeded>, Problem> {
    Ok(Json(
        hub.database.write(move |change| seed::seed(change, &wanted)).await?,
    ))
}

pub(super) async fn set_budget(
    State(hub): State<Arc<Hub>>,
    Id(agent_id): Id,
    Body(budget): Body<Budget>,
) -> Result<Json<Budget>, Problem> {
    let read_back = hub.database.write(move |change| {
        ledger::set_budget(change, &agent_id, &budget)?;
        ledger::budget_health(&change.tx, &agent_id)
    });
    Ok(Json(read_back.await?))
}

pub(super) async fn consumption(
    State(hub): State<Arc<Hub>>,
    Params(Entries { after, limit, agent_id }): Params<Entries>,
) -> Result<Json<Value>, Problem> {
    let limit = within("limit", limit, ENTRIES_DEFAULT, 1..=ENTRIES_MAX)?;
    let entries = hub
        .database
        .read(move |data| ledger::consumed(data, agent_id.as_deref(), after, limit))
        .await?;
    let last = entries.last().map_or(after, |entry| entry.seq);
    Ok(Json(json!({ "consumption": entries, "last": last })))
}
