//! What time and operators do to items.

use warren::{
    domain::{
        breaker::{BreakerMode, Transition},
        ids::{AgentId, AgentName, HostName, ItemId},
        time::UnixMillis,
        work_item::ItemState,
    },
    ports::{agent_records::BreakerCommand, work_queue::Requeued},
};

use super::{FORCED, Item, PAUSED, Place, Reference};

impl Reference {
    /// Recover what is expired, promote what is due, forget what is old: the first two are told.
    pub fn sweep(&mut self) -> (Vec<(ItemId, AgentId, HostName)>, u64) {
        let now = self.now;
        let mut recovered = Vec::new();
        for n in 0..self.items.len() {
            if self.items[n].held.as_ref().is_some_and(|hold| hold.lease_until <= now) {
                let (item, host) = (&self.items[n], self.items[n].record.host.clone());
                recovered.extend(host.map(|host| (item.record.item.id, item.agent().clone(), host)));
                self.lose(n);
            }
        }
        let mut promoted = 0;
        for item in &mut self.items {
            if let Some(due) = item.record.due_at.filter(|due| *due <= now) {
                item.put(Place::Queued, due);
                promoted += 1;
            }
        }
        let old = |at: UnixMillis| at + self.policy.keep_done < now;
        let done = |item: &Item| item.record.state == ItemState::Done && item.record.ended_at.is_some_and(old);
        self.items.retain(|item| !done(item));
        self.claims
            .retain(|_, claim| !claim.ended.as_ref().is_some_and(|(at, _)| old(*at)));
        self.answers.retain(|_, (at, _)| !old(*at));
        (recovered, promoted)
    }

    /// The next moment at which something is due.
    pub fn next_moment(&self) -> Option<UnixMillis> {
        let items = self
            .items
            .iter()
            .flat_map(|item| [item.record.due_at, item.held.as_ref().map(|h| h.lease_until)]);
        let agents = self
            .agents
            .values()
            .flat_map(|a| [a.cool_until, a.breaker.half_open_from()]);
        items.chain(agents).flatten().filter(|at| *at > self.now).min()
    }

    pub fn pause(&mut self, id: &AgentId, paused: bool) -> bool {
        let Some(agent) = self.agents.get_mut(id) else {
            return false;
        };
        agent.paused = paused;
        let forced = agent.breaker.mode == BreakerMode::ForcedOpen;
        if paused {
            self.hold(id, PAUSED);
        } else if !forced {
            self.ready(id, |item| item.record.state == ItemState::Held);
        }
        true
    }

    pub fn command(&mut self, id: &AgentId, command: BreakerCommand) -> Option<Transition> {
        let agent = self.agents.get_mut(id)?;
        let paused = agent.paused;
        let transition = match command {
            BreakerCommand::ForceOpen => {
                agent.breaker.force_open();
                self.hold(id, FORCED);
                return Some(Transition::ForcedOpen);
            }
            BreakerCommand::Reset => {
                agent.breaker.reset();
                Transition::Reset
            }
            BreakerCommand::Disable => {
                agent.breaker.disable();
                Transition::Disabled
            }
        };
        self.ready(id, |item| {
            item.by_breaker || (item.record.state == ItemState::Held && !paused)
        });
        Some(transition)
    }

    fn hold(&mut self, agent: &AgentId, note: &'static str) {
        for item in self.items.iter_mut().filter(|item| item.agent() == agent) {
            if matches!(item.record.state, ItemState::Queued | ItemState::Waiting) {
                item.put(Place::Held(note), self.now);
            }
        }
    }

    fn ready(&mut self, agent: &AgentId, which: impl Fn(&Item) -> bool) {
        for item in self
            .items
            .iter_mut()
            .filter(|item| item.agent() == agent && which(item))
        {
            item.put(Place::Queued, self.now);
        }
    }

    /// False if an agent of this name has been met: that one is paused by its id.
    pub fn pause_ahead(&mut self, name: &AgentName, paused: bool) -> bool {
        let unknown = self.agents.values().all(|agent| agent.name.as_ref() != Some(name));
        match (unknown, paused) {
            (true, true) => self.paused_ahead.insert(name.clone()),
            (true, false) => self.paused_ahead.remove(name),
            (false, _) => false,
        };
        unknown
    }

    /// Dead items go to the tail of their queue, with attempt 1, as far as there is room.
    pub fn requeue(&mut self, ids: &[ItemId]) -> Vec<Requeued> {
        ids.iter().map(|id| self.requeue_one(*id)).collect()
    }

    fn requeue_one(&mut self, id: ItemId) -> Requeued {
        let Some(n) = self.dead(id) else {
            return Requeued::NotDead;
        };
        if self.depth(self.items[n].record.item.priority) >= self.policy.max_queue {
            return Requeued::Full;
        }
        let mut item = self.items.remove(n);
        item.put(Place::Queued, self.now);
        item.record.item.attempt = 1;
        item.record.reason = None;
        item.record.ended_at = None;
        item.resumed = false;
        self.items.push(item);
        Requeued::Ready
    }

    pub fn purge(&mut self, ids: &[ItemId]) -> u64 {
        let before = self.items.len();
        let dead = |item: &Item| item.record.state == ItemState::Dead && ids.contains(&item.record.item.id);
        self.items.retain(|item| !dead(item));
        (before - self.items.len()) as u64
    }

    fn dead(&self, id: ItemId) -> Option<usize> {
        self.find(id).filter(|n| self.items[*n].record.state == ItemState::Dead)
    }
}
