//! Submitting work, and asking what became of it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    Api, Segment, agents, body,
    error::ApiError,
    query::Params,
    types::{ItemView, SubmitRequest, SubmitResponse},
    views, wait_of,
};
use crate::{
    domain::{
        ids::{AgentId, AgentName, ItemId},
        time::UnixMillis,
        work_item::{ItemState, MAX_PAYLOAD, Priority, TaskType, WorkItem},
    },
    ports::{definitions::DefinitionError, telemetry::Telemetry, work_queue::Enqueued},
};

/// JSON may need six bytes for one of the payload's; what is around it is small.
pub const LARGEST_BODY: usize = 6 * MAX_PAYLOAD + 64 * 1024;

/// How long somebody should wait who finds the queue full: about what a few items take.
const FULL_RETRY: Duration = Duration::from_secs(5);

/// A `traceparent` is 55 characters; later versions may be longer.
const LONGEST_TRACE: usize = 256;

pub async fn submit(State(api): State<Api>, request: Request) -> Result<Response, ApiError> {
    let headers = request.headers().clone();
    let submitted = body::json(&api, request, too_large).await?;
    let item = work_item(&api, submitted, &headers).await?;
    let id = item.id;
    let answers = api.ask(api.store.queue.enqueue(None, vec![item])).await?;
    if let Some(answer) = answers.first() {
        api.metrics.enqueued(TaskType::Direct, answer);
    }
    let state = match answers.into_iter().next() {
        Some(Enqueued::Added(state)) => state,
        Some(Enqueued::Full { limit }) => {
            let message =
                format!("the queue holds {limit} items of this priority, which is its limit; try again later");
            return Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", message).retry_after(FULL_RETRY));
        }
        Some(Enqueued::Skipped { reason }) => return Err(ApiError::new(StatusCode::CONFLICT, "skipped", reason)),
        // Direct items never merge, and one item gets one answer.
        other => {
            let message = format!("the queue answered {other:?} to a direct item");
            return Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected", message));
        }
    };
    Ok(created(id, state))
}

fn created(id: ItemId, state: ItemState) -> Response {
    let body = SubmitResponse {
        id: id.to_string(),
        state: state.to_string(),
    };
    let mut response = (StatusCode::CREATED, Json(body)).into_response();
    if let Ok(location) = HeaderValue::try_from(format!("/api/v1/items/{id}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn too_large() -> ApiError {
    let message = format!("the payload is larger than the {MAX_PAYLOAD} bytes that an item may carry");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
}

async fn work_item(api: &Api, request: SubmitRequest, headers: &HeaderMap) -> Result<WorkItem, ApiError> {
    if request.payload.len() > MAX_PAYLOAD {
        return Err(too_large());
    }
    let agent_name = AgentName::new(request.agent.as_str()).map_err(|error| ApiError::invalid(error.to_string()))?;
    let definition = api.definitions.agent(&agent_name).map_err(|error| match error {
        DefinitionError::Unknown { .. } => ApiError::not_found(format!("{error}; {}", agents::meant(api, &agent_name))),
        DefinitionError::Invalid(message) => ApiError::invalid(message),
    })?;
    let priority = match &request.priority {
        Some(priority) => priority.parse::<Priority>().map_err(ApiError::invalid)?,
        None => TaskType::Direct.default_priority(),
    };
    let id = match &request.id {
        Some(id) => ItemId::parse(id).map_err(|error| ApiError::invalid(error.to_string()))?,
        None => ItemId::fresh(),
    };
    let agent_id = agent_id(api, &agent_name, request.agent_id).await?;
    let trace = headers.get("traceparent").and_then(|value| value.to_str().ok());
    Ok(WorkItem {
        id,
        agent_id,
        agent_name,
        task_type: TaskType::Direct,
        priority,
        inbox_count: 0,
        created_at: now(),
        attempt: 1,
        payload: Some(request.payload),
        min_interval: definition.behavior.min_interval,
        trace_context: trace.filter(|trace| trace.len() <= LONGEST_TRACE).map(str::to_owned),
    })
}

/// The id that the Hub knows the agent by. It is not guessed: two ids would make two agents of one.
async fn agent_id(api: &Api, name: &AgentName, given: Option<String>) -> Result<AgentId, ApiError> {
    if let Some(given) = given {
        return AgentId::new(given).map_err(|error| ApiError::invalid(error.to_string()));
    }
    match api.ask(api.store.agents.agent(name.as_str())).await? {
        Some(record) => Ok(record.id),
        None => Err(ApiError::invalid(format!(
            "the Hub has not named agent {name} to this cluster yet, so the id that the Hub knows it by is not known; mention \
             {name} on the Hub once, or give the id with `agent_id` (`warren submit --agent-id`)"
        ))),
    }
}

/// Only said to people; nothing is decided by it.
fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

pub async fn show(
    State(api): State<Api>,
    Segment(id): Segment,
    params: Params,
    headers: HeaderMap,
) -> Result<Json<ItemView>, ApiError> {
    let wait = wait_of(&params.only(&["wait"])?)?;
    let id = ItemId::parse(&id).map_err(|error| ApiError::invalid(error.to_string()))?;
    let record = if wait.is_zero() {
        api.ask(api.store.queue.item(id)).await?
    } else {
        api.wait(wait, api.store.queue.wait_for_end(id, wait)).await?
    };
    match record {
        Some(record) => {
            let mut view = views::item(&record);
            // What an agent was asked is nobody else's to read.
            if api.access.check_token(&headers).is_ok() {
                view.payload = record.item.payload;
            }
            Ok(Json(view))
        }
        None => Err(ApiError::not_found(format!(
            "there is no item {id}, or it ended too long ago"
        ))),
    }
}
