//! The queue of work items (DESIGN §4). Every call is one atomic step and may be repeated: it carries ids that the caller
//! made, and a repeat within `StorePolicy::keep_done` gets the first answer.

use std::time::Duration;

use async_trait::async_trait;

use super::{
    standing_claim::StandingClaim,
    store::{QueueStats, StoreError, StoreHealth},
};
use crate::domain::{
    ending::{Ending, Reason},
    ids::{AgentId, ClaimToken, HolderId, HostName, ItemId, Term},
    time::{BootTime, UnixMillis},
    work_item::{ItemRecord, ItemState, Priority, TaskType, WorkItem},
};

/// Proof of leadership for a leader-only write (I1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    pub holder: HolderId,
    pub term: Term,
}

/// What became of one item that was to be enqueued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// It is in the queue, in this state.
    Added(ItemState),
    /// An item of this agent and task type was there already; it keeps id, attempt and place and has the larger
    /// `inbox_count`. `news` tells whether that grew.
    Merged { into: ItemId, news: bool },
    /// The breaker is open, or the agent is paused: the Hub brings inbox and discovery work back.
    Skipped { reason: String },
    /// The priority is at its limit.
    Full { limit: u64 },
}

#[derive(Clone, Debug)]
pub struct ClaimRequest {
    pub host: HostName,
    /// One claim for each, at most. The same tokens again get the same claims again, for `StorePolicy::keep_done` after the
    /// call was first made; later they may claim anew.
    pub tokens: Vec<ClaimToken>,
    pub lease: Duration,
    /// Agents that this host can't run for now: their items are left to others.
    pub avoid: Vec<AgentId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    pub token: ClaimToken,
    pub item: WorkItem,
    /// It is the one probe of a half-open breaker.
    pub probe: bool,
    /// How long the item had been ready.
    pub waited: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    pub item: ItemId,
    pub token: ClaimToken,
    /// The plugin's generation that runs it, as `name@number`, once it is known.
    pub generation: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    pub item: ItemId,
    pub token: ClaimToken,
    pub ending: Ending,
    pub generation: Option<String>,
}

/// What the end of an activation made of its item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completed {
    Done,
    /// A direct item that is tried again.
    Retry {
        at: UnixMillis,
        attempt: u32,
    },
    Dead,
}

/// What one sweep found; it does at most a bounded part of the work, so `more` asks for another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Claims whose lease had run out: their items are ready again, at the head.
    pub recovered: Vec<(ItemId, AgentId, HostName)>,
    /// Delayed items that became ready.
    pub promoted: u64,
    /// Kept items, effects and events that had grown too old.
    pub forgotten: u64,
    pub more: bool,
}

/// Why a host hands an item back unfinished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveBack {
    /// It shuts down: the item is ready at once, at the head of its queue.
    Shutdown,
    /// It can't run the agent's plugin; the item is delayed by this long unless another host takes it.
    PluginUnavailable { retry_after: Duration },
}

/// Which items to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemFilter {
    pub agent: Option<AgentId>,
    pub state: Option<ItemState>,
    pub task_type: Option<TaskType>,
    /// How the last activation ended.
    pub reason: Option<Reason>,
    /// At most so many.
    pub limit: u32,
    /// Those that were enqueued first come first, instead of last.
    pub oldest_first: bool,
    /// Only what comes after this place: an earlier page's `next`.
    pub after: Option<u64>,
}

/// Some of the items that a filter selects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemPage {
    pub items: Vec<ItemRecord>,
    /// The `after` of the next page; nothing at the end. An item that is put back into the queue gets a new place, after
    /// all others.
    pub next: Option<u64>,
}

/// What became of one dead item that was to be put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requeued {
    /// It is at the tail of its queue, with attempt 1.
    Ready,
    /// Its priority is at its limit: it stays dead.
    Full,
    /// There is no such item, or it is not dead.
    NotDead,
}

#[async_trait]
pub trait WorkQueue: Send + Sync {
    async fn health(&self) -> Result<StoreHealth, StoreError>;

    /// Add items, each by the rules of merging, bounds and breaker; one answer per item, in order. `fence` is required of
    /// what a leader enqueues and absent for what is submitted. The same item id again is answered as the first time.
    ///
    /// An inbox or discovery item merges into one of its agent and task type that is queued, waiting, delayed or held —
    /// and into an active one, unless its `inbox_count` is larger than the active one's: then there is news, and it waits.
    async fn enqueue(&self, fence: Option<&Fence>, items: Vec<WorkItem>) -> Result<Vec<Enqueued>, StoreError>;

    /// Claim ready items, best first (I5). An item that turns out not to be ready (agent busy, breaker, paused, interval,
    /// cool-down) is moved once to where it belongs. An empty answer means that nothing is ready.
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, StoreError>;

    /// Extend leases to now + `lease`; for each whether it is still held. A lost claim can't be renewed.
    async fn renew(&self, renewals: &[Renewal], lease: Duration) -> Result<Vec<bool>, StoreError>;

    /// End a claim: the item is done, delayed for another try, or dead; the breaker, the cool-down and the agent's waiting
    /// items follow in the same step. Refused as `StaleClaim` if the token is not the current one, except that a repeat
    /// of what was accepted is answered the same.
    async fn complete(&self, completion: &Completion) -> Result<Completed, StoreError>;

    /// End a claim without an activation having counted: id, attempt and priority are kept.
    async fn give_back(&self, item: ItemId, token: ClaimToken, why: GiveBack) -> Result<(), StoreError>;

    /// Make those of these items ready that a [`GiveBack::PluginUnavailable`] delays, and leave the others as they are; how
    /// many were. Nobody is woken: whoever calls can run them, others may not, so it claims them itself.
    async fn plugin_came(&self, items: &[ItemId]) -> Result<u64, StoreError>;

    /// Recover expired claims, promote what is due, forget what is old. Any host may sweep at any time.
    async fn sweep(&self) -> Result<Swept, StoreError>;

    /// Return when there may be something to claim: after a wake-up, which may have come before the call, or at the
    /// latest after `at_most`. One wake-up wakes one waiter. Safe to cancel.
    async fn wait_for_work(&self, at_most: Duration);

    /// Have a claim stand, which takes the best of what this process enqueues next, in the same step, if it is ready and nothing
    /// else is; `departs` is asked just before. It may bring nothing: then what was enqueued is to be claimed as usual. Goes
    /// nowhere where a wake-up takes no time anyway.
    fn stand(&self, request: ClaimRequest, _departs: Box<dyn Fn() -> Option<BootTime> + Send + Sync>) -> StandingClaim {
        StandingClaim::never(request)
    }

    /// Return when the item has ended or `at_most` has passed, with what is known of it then. Safe to cancel.
    async fn wait_for_end(&self, item: ItemId, at_most: Duration) -> Result<Option<ItemRecord>, StoreError>;

    async fn item(&self, id: ItemId) -> Result<Option<ItemRecord>, StoreError>;

    /// A page of items. A call looks at a bounded number of them, so that a page may hold fewer than were asked for, or
    /// none, and still name a next one.
    async fn page(&self, filter: &ItemFilter) -> Result<ItemPage, StoreError>;

    /// As many items as were asked for, if there are so many: looks at all of them if it has to.
    async fn items(&self, filter: &ItemFilter) -> Result<Vec<ItemRecord>, StoreError> {
        let (mut found, mut filter) = (Vec::new(), filter.clone());
        while filter.limit > 0 {
            let page = self.page(&filter).await?;
            filter.limit = filter
                .limit
                .saturating_sub(u32::try_from(page.items.len()).unwrap_or(u32::MAX));
            found.extend(page.items);
            if page.next.is_none() {
                break;
            }
            filter.after = page.next;
        }
        Ok(found)
    }

    async fn stats(&self) -> Result<QueueStats, StoreError>;

    /// Put dead items back, as far as their queues have room; one answer per item, in order. Many are put back in bounded
    /// steps: after an error some may be, which a repeat finds not dead any more.
    async fn requeue_dead(&self, items: &[ItemId]) -> Result<Vec<Requeued>, StoreError>;

    /// Delete dead items for good. The number that were.
    async fn purge_dead(&self, items: &[ItemId]) -> Result<u64, StoreError>;

    /// Whether the queue has room: for each priority how many more items fit.
    async fn room(&self) -> Result<Vec<(Priority, u64)>, StoreError>;
}

/// A one-line account of an end, the same for every adapter: what `ItemRecord::note` says.
pub fn end_note(reason: Reason, detail: &str) -> String {
    if detail.is_empty() {
        reason.to_string()
    } else {
        format!("{reason}: {detail}")
    }
}
