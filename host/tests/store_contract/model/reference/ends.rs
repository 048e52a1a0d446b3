//! How claims end: renewed, completed, handed back, lost.

use std::time::Duration;

use warren::{
    domain::{
        ending::{Ending, Reason},
        ids::{ClaimToken, ItemId},
        work_item::ItemState,
    },
    ports::{
        store::StoreError,
        work_queue::{Completed, Completion, GiveBack, Renewal, end_note},
    },
};

use super::{Claim, End, Hold, Place, Reference, Why, allowed, records::cool_down};

/// The shortest wait before a direct item is tried again whose end was nobody's fault.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

impl Reference {
    pub fn renew(&mut self, renewals: &[Renewal], lease: Duration) -> Vec<bool> {
        let until = self.now + lease;
        let one = |renewal: &Renewal| {
            let Some(n) = self.held(renewal.item, renewal.token) else {
                return false;
            };
            let item = &mut self.items[n];
            item.held.iter_mut().for_each(|hold| hold.lease_until = until);
            item.record.generation = renewal.generation.clone().or(item.record.generation.take());
            true
        };
        renewals.iter().map(one).collect()
    }

    /// End a claim with an answer for its repeats.
    fn end_claim(&mut self, n: usize, end: End) -> Option<Hold> {
        let hold = self.items[n].held.take()?;
        self.items[n].record.host = None;
        let ended = Some((self.now, end));
        let item = self.items[n].record.item.id;
        self.claims.insert(hold.token, Claim { item, ended });
        Some(hold)
    }

    /// How a claim has ended that is not held any more.
    fn earlier_end(&self, id: ItemId, token: ClaimToken) -> Option<End> {
        let claim = self.claims.get(&token).filter(|claim| claim.item == id)?;
        claim.ended.as_ref().map(|(_, end)| end.clone())
    }

    pub fn complete(&mut self, completion: &Completion) -> Result<Completed, StoreError> {
        let Some(n) = self.held(completion.item, completion.token) else {
            return match self.earlier_end(completion.item, completion.token) {
                Some(End::Completed(answer)) => Ok(answer),
                _ => Err(StoreError::StaleClaim),
            };
        };
        let ending = &completion.ending;
        let record = &mut self.items[n].record;
        record.generation = completion.generation.clone().or(record.generation.take());
        record.reason = Some(ending.reason);
        let (id, now, policy) = (self.items[n].agent().clone(), self.now, self.policy.clone());
        let decided = self.luck.half_open_from.get(&id).copied();
        let agent = self.agent(&id);
        agent.note_end(now, ending.reason, &ending.detail);
        agent.breaker.ended(now, ending.reason, &policy.breaker, |times| {
            allowed(decided.as_ref(), &times)
        });
        agent.cool_down(now, ending, &policy);
        let answer = self.settle(n, ending);
        self.end_claim(n, End::Completed(answer.clone()));
        self.release_waiting(n);
        Ok(answer)
    }

    /// What becomes of an item whose activation has ended.
    fn settle(&mut self, n: usize, ending: &Ending) -> Completed {
        let (now, policy) = (self.now, self.policy.clone());
        let note = end_note(ending.reason, &ending.detail);
        let item = &mut self.items[n];
        let (id, attempt) = (item.record.item.id, item.record.item.attempt);
        if ending.reason == Reason::Ok || item.record.item.task_type.hub_remembers() {
            item.finish(ItemState::Done, now, note);
            return Completed::Done;
        }
        if ending.permanent {
            item.finish(ItemState::Dead, now, note);
            return Completed::Dead;
        }
        let uses_attempt = ending.reason.uses_attempt();
        if uses_attempt && attempt >= policy.max_attempts {
            item.finish(
                ItemState::Dead,
                now,
                format!("{note} (attempt {attempt} of {})", policy.max_attempts),
            );
            return Completed::Dead;
        }
        let at = if uses_attempt {
            // Full jitter: anything up to the ceiling, which doubles with every try.
            let longest = now
                + policy
                    .retry
                    .base
                    .saturating_mul(1 << (attempt - 1))
                    .min(policy.retry.max);
            allowed(self.luck.due_at.get(&id), &(now..=longest))
        } else {
            let downs = self.agents[item.agent()].cool_downs.saturating_sub(1);
            now + cool_down(downs, &policy).max(SHORTEST_PAUSE)
        };
        item.put(Place::Delayed(at, Why::Other, ""), now);
        item.record.note = note;
        item.record.item.attempt += u32::from(uses_attempt);
        item.resumed = false;
        Completed::Retry {
            at,
            attempt: item.record.item.attempt,
        }
    }

    pub fn give_back(&mut self, id: ItemId, token: ClaimToken, why: GiveBack) -> Result<(), StoreError> {
        let Some(n) = self.held(id, token) else {
            return match self.earlier_end(id, token) {
                Some(End::Returned) => Ok(()),
                _ => Err(StoreError::StaleClaim),
            };
        };
        let hold = self.end_claim(n, End::Returned);
        let now = self.now;
        let item = &mut self.items[n];
        item.resumed = true;
        match why {
            GiveBack::Shutdown => item.put(Place::Queued, now),
            GiveBack::PluginUnavailable { retry_after } => {
                let note = "the host that took it can't run the agent's plugin";
                item.put(Place::Delayed(now + retry_after, Why::Other, note), now);
                // It ran nothing: its start was none.
                let id = item.agent().clone();
                self.agent(&id).last_started = hold.and_then(|hold| hold.started_before);
                self.release_waiting(n);
            }
        }
        Ok(())
    }

    /// The claim's host is gone: the item is ready again, unless that opens the agent's breaker.
    pub(super) fn lose(&mut self, n: usize) {
        self.end_claim(n, End::Lost);
        let (id, now, policy) = (self.items[n].agent().clone(), self.now, self.policy.breaker);
        let decided = self.luck.half_open_from.get(&id).copied();
        self.items[n].resumed = true;
        self.items[n].put(Place::Queued, now);
        let agent = self.agent(&id);
        let opened = agent
            .breaker
            .lease_lost(now, &policy, |times| allowed(decided.as_ref(), &times));
        let reason = if opened { Reason::HostKiller } else { Reason::LeaseLost };
        agent.note_end(now, reason, "the claim's lease ran out");
        let until = agent.breaker.half_open_from();
        self.items[n].record.reason = Some(reason);
        if let Some(until) = until.filter(|_| opened) {
            self.items[n].put(Place::Delayed(until, Why::Breaker, ""), now);
            self.items[n].record.note =
                format!("the breaker is open: {} hosts in a row were lost", policy.lease_losses);
            self.release_waiting(n);
        }
    }
}
