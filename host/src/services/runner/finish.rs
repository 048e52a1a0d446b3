//! How an activation's end is told: to the Hub first, then to the store.

use std::{borrow::Cow, time::Duration};

use tokio::time;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::Runner;
use crate::{
    domain::{
        ending::{Ending, Reason, brief},
        work_item::WorkItem,
    },
    ports::{
        store::StoreError,
        work_queue::{Completed, Completion, GiveBack},
    },
    services::claims::HeldClaim,
};

/// Between two tries to tell the store how an activation ended.
const TELL_AGAIN: Duration = Duration::from_millis(200);

/// How often handing an item back is tried: its lease does it as well, only later.
const GIVE_BACK_TRIES: u32 = 3;

impl Runner {
    /// After success only: the notifications that were handled. If the Hub does not take it, they come back, so the
    /// activation has not succeeded; its effects won't be doubled.
    pub(super) async fn mark_read(&self, ending: Ending, handled: &[String], item: &WorkItem) -> Ending {
        if ending.reason != Reason::Ok || handled.is_empty() {
            return ending;
        }
        match self.hub.mark_read(handled).await {
            Ok(()) => ending,
            Err(error) => {
                warn!(agent = %item.agent_name, item = %item.id, %error, "could not mark notifications read");
                Ending::new(Reason::Upstream, format!("could not mark notifications read: {error}"))
            }
        }
    }

    pub(super) async fn report_activated(&self, item: &WorkItem, claim: &HeldClaim) {
        if claim.check().is_err() {
            return;
        }
        if let Err(error) = self.hub.activated(&item.agent_id).await {
            warn!(agent = %item.agent_name, item = %item.id, %error, "could not report the activation to the Hub");
        }
    }

    /// Tell the store how it ended, again and again while the claim holds: an end that is not told costs another run.
    /// Also when the host stops, but then once.
    pub(super) async fn complete(
        &self,
        item: &WorkItem,
        claim: &HeldClaim,
        ending: Ending,
        took: Duration,
        stop: &CancellationToken,
    ) {
        let completion = Completion {
            item: item.id,
            token: claim.token,
            ending,
            generation: claim.generation(),
        };
        let ending = &completion.ending;
        loop {
            let last = stop.is_cancelled();
            match self.tell(self.queue.complete(&completion)).await {
                Ok(completed) => {
                    claim.settle();
                    let next = match completed {
                        Completed::Done => Cow::Borrowed("done"),
                        Completed::Retry { attempt, .. } => Cow::Owned(format!("retried as attempt {attempt}")),
                        Completed::Dead => Cow::Borrowed("dead letter"),
                    };
                    info!(agent = %item.agent_name, item = %item.id, reason = ending.reason.as_str(),
                          detail = brief(&ending.detail), ?took, next = &*next, "activation ended");
                    return;
                }
                Err(error @ StoreError::Unavailable(_)) if last || claim.check().is_err() => {
                    warn!(agent = %item.agent_name, item = %item.id, %error, reason = %ending.reason,
                          "the end could not be recorded while the claim held; the item may run again");
                    return;
                }
                Err(error @ StoreError::Unavailable(_)) => {
                    debug!(item = %item.id, %error, "could not record the end yet")
                }
                Err(error @ StoreError::Corrupt(_)) => {
                    error!(agent = %item.agent_name, item = %item.id, %error, reason = %ending.reason,
                           "the end can't be recorded");
                    return;
                }
                Err(error @ (StoreError::StaleClaim | StoreError::Fenced { .. })) => {
                    claim.settle();
                    warn!(agent = %item.agent_name, item = %item.id, %error, reason = %ending.reason,
                          "the end was refused; somebody else has the item");
                    return;
                }
            }
            tokio::select! {
                () = time::sleep(TELL_AGAIN) => {}
                () = claim.lost() => {}
                () = stop.cancelled(), if !last => {}
            }
        }
    }

    pub(super) async fn give_back(&self, item: &WorkItem, claim: &HeldClaim, why: GiveBack) {
        for attempt in 1..=GIVE_BACK_TRIES {
            match self.tell(self.queue.give_back(item.id, claim.token, why)).await {
                Ok(()) => {
                    claim.settle();
                    info!(agent = %item.agent_name, item = %item.id, ?why, "handed back");
                    return;
                }
                Err(StoreError::Unavailable(_)) if attempt < GIVE_BACK_TRIES => time::sleep(TELL_AGAIN).await,
                Err(error) => {
                    // The departure tries again; otherwise the lease does it.
                    warn!(agent = %item.agent_name, item = %item.id, %error, "could not hand the item back");
                    return;
                }
            }
        }
    }

    /// A call to the store with a bound: one that hangs must not hold a slot for ever. Each may be repeated.
    pub(super) async fn tell<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        time::timeout(self.store_timeout, call)
            .await
            .unwrap_or_else(|_| Err(StoreError::no_answer(self.store_timeout)))
    }
}
