//! One item and one agent.

use std::time::Duration;

use warren::{
    domain::{
        ending::{Ending, Reason},
        ids::{AgentId, ClaimToken},
        time::UnixMillis,
        work_item::{ItemRecord, ItemState, WorkItem},
    },
    ports::{store::StorePolicy, work_queue::Claimed},
};

use super::{Agent, Item, Place, Why};

pub fn cool_down(before: u32, policy: &StorePolicy) -> Duration {
    policy
        .cool_down
        .base
        .saturating_mul(1 << before.min(20))
        .min(policy.cool_down.max)
}

impl Agent {
    pub fn note_end(&mut self, now: UnixMillis, reason: Reason, detail: &str) {
        self.last_ended = Some(now);
        self.last_reason = Some(reason);
        detail.clone_into(&mut self.last_detail);
        *self.endings.entry(reason).or_default() += 1;
    }

    /// What ended uncounted or handled nothing would come back at once: a pause, which doubles.
    pub fn cool_down(&mut self, now: UnixMillis, ending: &Ending, policy: &StorePolicy) {
        if ending.cools_down() {
            self.cool_until = Some(now + cool_down(self.cool_downs, policy));
            self.cool_downs += 1;
        } else {
            self.cool_until = None;
            self.cool_downs = 0;
        }
    }
}

impl Item {
    pub fn new(work: WorkItem, now: UnixMillis) -> Item {
        Item {
            record: ItemRecord {
                item: work,
                state: ItemState::Queued,
                note: String::new(),
                due_at: None,
                host: None,
                reason: None,
                ended_at: None,
                generation: None,
            },
            first: ItemState::Queued,
            ready_at: now,
            by_breaker: false,
            resumed: false,
            held: None,
        }
    }

    pub fn agent(&self) -> &AgentId {
        &self.record.item.agent_id
    }

    pub fn token(&self) -> Option<ClaimToken> {
        self.held.as_ref().map(|hold| hold.token)
    }

    pub fn is_open(&self) -> bool {
        use ItemState::{Delayed, Held, Queued, Waiting};
        matches!(self.record.state, Queued | Waiting | Delayed | Held)
    }

    pub fn put(&mut self, place: Place, now: UnixMillis) {
        let (state, due_at, why, note) = match place {
            Place::Queued => (ItemState::Queued, None, Why::Other, ""),
            Place::Waiting => (ItemState::Waiting, None, Why::Other, ""),
            Place::Delayed(until, why, note) => (ItemState::Delayed, Some(until), why, note),
            Place::Held(note) => (ItemState::Held, None, Why::Other, note),
        };
        self.record.state = state;
        self.record.due_at = due_at;
        note.clone_into(&mut self.record.note);
        self.by_breaker = why == Why::Breaker;
        self.ready_at = now;
    }

    pub fn finish(&mut self, state: ItemState, now: UnixMillis, note: String) {
        self.record.state = state;
        self.record.ended_at = Some(now);
        self.record.note = note;
    }

    pub fn claimed(&self) -> Claimed {
        let hold = self.held.as_ref().expect("a claim is made of an item that is held");
        Claimed {
            token: hold.token,
            item: self.record.item.clone(),
            probe: hold.probe,
            waited: hold.waited,
        }
    }
}
