//! Budgets and consumption, as hosts see them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use crate::devhub::Hub;
use crate::devhub::database::ledger::{self, Budget, Consumption};
use crate::devhub::input::{Body, Params};
use crate::devhub::problem::Problem;

#[derive(Deserialize)]
pub(super) struct Whose {
    agent_id: String,
}

pub(super) async fn budget_health(
    State(hub): State<Arc<Hub>>,
    Params(Whose { agent_id }): Params<Whose>,
) -> Result<Json<Budget>, Problem> {
    Ok(Json(
        hub.database
            .read(move |data| ledger::budget_health(data, &agent_id))
            .await?,
    ))
}

pub(super) async fn consumption(
    State(hub): State<Arc<Hub>>,
    Body(used): Body<Consumption>,
) -> Result<StatusCode, Problem> {
    hub.database.write(move |change| ledger::consume(change, &used)).await?;
    Ok(StatusCode::NO_CONTENT)
}
