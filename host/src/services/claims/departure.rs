//! The last step of a clean departure: whatever this process may still have claimed is ready for others at once.
//!
//! Each claim is given back by its own token, so another process of the same name loses nothing. Most are gone by then:
//! the runner gives back what did not finish in the grace period. What is left are claims whose give-back found no store,
//! whose activation was aborted, and those of a claim call that nobody has heard the answer of.

use std::{
    mem,
    sync::{Arc, PoisonError},
};

use futures_util::{StreamExt, stream};
use tracing::{debug, warn};

use super::{Claims, HeldClaim};
use crate::{
    domain::ids::{ClaimToken, ItemId},
    ports::{
        store::StoreError,
        work_queue::{ClaimRequest, GiveBack},
    },
};

/// Calls at once: the store shares a commit or a round trip among them.
const AT_ONCE: usize = 64;

impl Claims {
    /// Nobody knows what this call has claimed; it is asked again at the departure.
    pub fn doubt(&self, request: ClaimRequest) {
        self.doubted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(request);
    }

    /// Give everything back that may still be claimed. Nothing of it may be started or renewed any more. The number of
    /// items that are ready for others; what the store does not take now, the leases give back.
    pub async fn give_all_back(&self) -> usize {
        let mut left = self.take_held();
        let doubted = mem::take(&mut *self.doubted.lock().unwrap_or_else(PoisonError::into_inner));
        for request in doubted {
            match self.bounded(self.queue.claim(&request)).await {
                Ok(claimed) => left.extend(claimed.into_iter().map(|claimed| (claimed.item.id, claimed.token))),
                Err(error) => warn!(%error, "leaving without knowing what the last claim got; its lease gives it back"),
            }
        }
        let answers: Vec<bool> = stream::iter(left)
            .map(|(item, token)| self.give_one_back(item, token))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        answers.into_iter().filter(|given| *given).count()
    }

    /// All claims, which end here: no effect is started in their name.
    fn take_held(&self) -> Vec<(ItemId, ClaimToken)> {
        let take = |(item, claim): (ItemId, Arc<HeldClaim>)| {
            claim.close();
            claim.lost.cancel();
            (item, claim.token)
        };
        self.lock().drain().map(take).collect()
    }

    async fn give_one_back(&self, item: ItemId, token: ClaimToken) -> bool {
        match self
            .bounded(self.queue.give_back(item, token, GiveBack::Shutdown))
            .await
        {
            Ok(()) => true,
            Err(StoreError::StaleClaim) => {
                debug!(%item, "the claim had ended already");
                false
            }
            Err(error) => {
                warn!(%item, %error, "could not hand the item back; its lease does it");
                false
            }
        }
    }
}
