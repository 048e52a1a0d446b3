//! Dead letters, put back or deleted: by id, an agent's, or all.
//!
//! A request does a bounded part of the work, in steps that are each one atomic change of the store, and says where to go
//! on. So ten thousand at once keep nobody waiting, a connection that is cut loses no more than the count, and whoever asks
//! again goes on with what is still dead. Oldest first: where the queue has no room for all, those that waited longest get it.

use std::time::{Duration, Instant};

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
};
use tracing::warn;

use super::{
    Api, agents, body,
    error::ApiError,
    types::{DeadAnswer, DeadRequest},
};
use crate::{
    domain::{
        ending::Reason,
        event::NewEvent,
        ids::{AgentId, ItemId},
        time::UnixMillis,
        work_item::ItemState,
    },
    ports::work_queue::{ItemFilter, Requeued},
};

/// Items of one step: few enough that a store is back within milliseconds.
const STEP: u32 = 200;
/// Items of one request...
const MOST: u64 = 1_000;
/// ...and how long it starts further steps.
const BEGIN_WITHIN: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Deed {
    Requeue,
    Purge,
}

/// What a request is about, checked.
enum Which {
    Ids(Vec<ItemId>),
    /// All that a filter selects.
    All {
        agent: Option<AgentId>,
        reason: Option<Reason>,
    },
}

pub async fn requeue(State(api): State<Api>, request: Request) -> Result<Json<DeadAnswer>, ApiError> {
    answer(&api, request, Deed::Requeue).await
}

pub async fn purge(State(api): State<Api>, request: Request) -> Result<Json<DeadAnswer>, ApiError> {
    answer(&api, request, Deed::Purge).await
}

async fn answer(api: &Api, request: Request, deed: Deed) -> Result<Json<DeadAnswer>, ApiError> {
    let too_large = || {
        let message = format!("the request is too large: at most {MOST} ids are allowed in one");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    };
    let request: DeadRequest = body::json(api, request, too_large).await?;
    let Some(which) = which(api, &request).await? else {
        return Ok(Json(DeadAnswer::default()));
    };
    let as_of = match request.as_of {
        Some(as_of) => UnixMillis(as_of),
        None => api.ask(api.store.queue.health()).await?.now,
    };
    let mut answer = DeadAnswer {
        as_of: as_of.0,
        ..DeadAnswer::default()
    };
    let done = match &which {
        Which::Ids(ids) => by_id(api, deed, ids, &mut answer).await,
        Which::All { agent, reason } => {
            let filter = ItemFilter {
                agent: agent.clone(),
                state: Some(ItemState::Dead),
                reason: *reason,
                limit: STEP,
                oldest_first: true,
                after: request.after,
                ..ItemFilter::default()
            };
            all(api, deed, filter, as_of, &mut answer).await
        }
    };
    // Also what was done before a step failed.
    tell(api, deed, &which, &answer).await;
    done.map(|()| Json(answer))
}

/// What is asked for; nothing if it is an agent of which there can't be any.
async fn which(api: &Api, request: &DeadRequest) -> Result<Option<Which>, ApiError> {
    let asked = [!request.ids.is_empty(), request.agent.is_some(), request.all];
    if asked.iter().filter(|asked| **asked).count() != 1 {
        return Err(ApiError::invalid(
            "exactly one is needed of `ids` (which ones), `agent` (all of one agent) and `all`",
        ));
    }
    let reason = match &request.reason {
        Some(reason) => Some(
            reason
                .parse::<Reason>()
                .map_err(|error| ApiError::invalid(format!("reason: {error}")))?,
        ),
        None => None,
    };
    if !request.ids.is_empty() {
        if reason.is_some() {
            return Err(ApiError::invalid(
                "`reason` selects among an agent's or all, not among `ids`",
            ));
        }
        if request.ids.len() as u64 > MOST {
            let message = format!(
                "ids: {} are too many for one request: {MOST} are allowed",
                request.ids.len()
            );
            return Err(ApiError::invalid(message));
        }
        let ids: Result<_, _> = request.ids.iter().map(|id| ItemId::parse(id)).collect();
        return Ok(Some(Which::Ids(
            ids.map_err(|error| ApiError::invalid(format!("ids: {error}")))?,
        )));
    }
    let agent = match &request.agent {
        Some(asked) => match agents::known_id(api, asked).await? {
            Some(id) => Some(id),
            None => return Ok(None),
        },
        None => None,
    };
    Ok(Some(Which::All { agent, reason }))
}

async fn by_id(api: &Api, deed: Deed, ids: &[ItemId], answer: &mut DeadAnswer) -> Result<(), ApiError> {
    for step in ids.chunks(STEP as usize) {
        do_step(api, deed, step, answer).await?;
    }
    Ok(())
}

/// Walk the dead in the order of enqueueing. What is put back has a place behind all others then, and would be met again
/// if it died at once: that is what `as_of` leaves alone.
async fn all(
    api: &Api,
    deed: Deed,
    mut filter: ItemFilter,
    as_of: UnixMillis,
    answer: &mut DeadAnswer,
) -> Result<(), ApiError> {
    let (started, mut seen) = (Instant::now(), 0);
    loop {
        let page = api.ask(api.store.queue.page(&filter)).await?;
        seen += page.items.len() as u64;
        let died = |item: &crate::domain::work_item::ItemRecord| item.ended_at.is_none_or(|at| at <= as_of);
        let ids: Vec<ItemId> = page
            .items
            .iter()
            .filter(|item| died(item))
            .map(|item| item.item.id)
            .collect();
        do_step(api, deed, &ids, answer).await?;
        filter.after = page.next;
        if page.next.is_none() || seen >= MOST || started.elapsed() >= BEGIN_WITHIN {
            answer.next = page.next;
            return Ok(());
        }
    }
}

async fn do_step(api: &Api, deed: Deed, ids: &[ItemId], answer: &mut DeadAnswer) -> Result<(), ApiError> {
    if ids.is_empty() {
        return Ok(());
    }
    match deed {
        Deed::Requeue => {
            for requeued in api.ask(api.store.queue.requeue_dead(ids)).await? {
                match requeued {
                    Requeued::Ready => answer.done += 1,
                    Requeued::Full => answer.no_room += 1,
                    Requeued::NotDead => answer.not_dead += 1,
                }
            }
        }
        Deed::Purge => {
            let purged = api.ask(api.store.queue.purge_dead(ids)).await?;
            answer.done += purged;
            answer.not_dead += (ids.len() as u64).saturating_sub(purged);
        }
    }
    Ok(())
}

/// One line on the event stream for each request that changed something.
async fn tell(api: &Api, deed: Deed, which: &Which, answer: &DeadAnswer) {
    if answer.done == 0 {
        return;
    }
    let (kind, verb) = match deed {
        Deed::Requeue => ("dead_requeued", "put back into the queue"),
        Deed::Purge => ("dead_purged", "deleted"),
    };
    let mut detail = format!("{} dead letters {verb}", answer.done);
    if answer.no_room > 0 {
        detail.push_str(&format!("; {} stay dead for want of room in the queue", answer.no_room));
    }
    let event = NewEvent {
        kind,
        host: Some(api.host.name.clone()),
        agent: match which {
            Which::All { agent, .. } => agent.clone(),
            Which::Ids(_) => None,
        },
        item: match which {
            Which::Ids(ids) if ids.len() == 1 => ids.first().copied(),
            _ => None,
        },
        detail,
    };
    if let Err(error) = api.ask(api.store.events.append(event)).await {
        warn!(?error, kind, "what was done is missing on the event stream");
    }
}
