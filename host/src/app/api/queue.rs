//! The queue as operators look at it: numbers, and items in pages.

use axum::{Json, extract::State};

use super::{
    Api, agents,
    error::ApiError,
    query::Params,
    types::{ItemList, PriorityView, QueueStatsView},
    views,
};
use crate::{
    domain::{
        ending::Reason,
        work_item::{ItemState, TaskType},
    },
    ports::work_queue::ItemFilter,
};

const LIMIT: u32 = 100;
/// Each item may carry a note of some length: more would make an answer of megabytes.
const LARGEST_LIMIT: u32 = 500;

pub async fn stats(State(api): State<Api>) -> Result<Json<QueueStatsView>, ApiError> {
    let stats = api.ask(api.store.queue.stats()).await?;
    let room = api.ask(api.store.queue.room()).await?;
    let priority = |(priority, room): &(_, u64)| PriorityView {
        priority: ToString::to_string(priority),
        ready: stats.queued.get(priority).copied().unwrap_or(0),
        room: *room,
        limit: stats.limit,
    };
    Ok(Json(QueueStatsView {
        priorities: room.iter().map(priority).collect(),
        queue: views::queue(&stats),
    }))
}

pub async fn list(State(api): State<Api>, params: Params) -> Result<Json<ItemList>, ApiError> {
    let params = params.only(&["state", "agent", "type", "reason", "limit", "after"])?;
    let mut filter = ItemFilter {
        agent: None,
        state: params.word::<ItemState>("state")?,
        task_type: params.word::<TaskType>("type")?,
        reason: params.word::<Reason>("reason")?,
        limit: params.limit(LIMIT, LARGEST_LIMIT)?,
        oldest_first: false,
        after: params.number("after", 0..=u64::MAX)?,
    };
    if let Some(asked) = params.text("agent") {
        match agents::known_id(&api, asked).await? {
            Some(id) => filter.agent = Some(id),
            // It has a definition, and nothing was ever enqueued for it.
            None => return Ok(Json(ItemList::default())),
        }
    }
    let page = api.ask(api.store.queue.page(&filter)).await?;
    Ok(Json(ItemList {
        items: page.items.iter().map(views::item).collect(),
        next: page.next,
    }))
}
