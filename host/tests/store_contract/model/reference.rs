//! The reference of a store: what the queue promises (I3, I4, I5, I8; DESIGN §4), as simply as it can be said. Everything
//! is in lists that are searched from end to end; nothing is fast, bounded or written down anywhere.
//!
//! What chance decides is taken from the store (`Luck`), as far as it is allowed.

mod ends;
mod moves;
mod records;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use warren::{
    domain::{
        breaker::{BreakerMode, BreakerState},
        ending::Reason,
        ids::{AgentId, AgentName, ClaimToken, ItemId},
        time::UnixMillis,
        work_item::{ItemRecord, ItemState, Priority, TaskType, WorkItem},
    },
    ports::{
        agent_records::AgentItems,
        store::StorePolicy,
        work_queue::{ClaimRequest, Claimed, Completed, Enqueued},
    },
};

use super::breaker::{Breaker, Times};

pub struct Reference {
    pub policy: StorePolicy,
    pub now: UnixMillis,
    /// In the order in which they are served.
    pub items: Vec<Item>,
    pub agents: BTreeMap<AgentId, Agent>,
    /// Agents that will be paused as soon as they are met.
    paused_ahead: BTreeSet<AgentName>,
    /// Every token that was used, until it is forgotten.
    claims: BTreeMap<ClaimToken, Claim>,
    /// The answers to items that were not added.
    answers: BTreeMap<ItemId, (UnixMillis, Enqueued)>,
    /// Claims in a row for which a lower priority was passed over.
    passed_over: u32,
    pub luck: Luck,
}

#[derive(Clone)]
pub struct Item {
    pub record: ItemRecord,
    /// The answer to a repeated enqueue.
    first: ItemState,
    pub ready_at: UnixMillis,
    /// It is delayed by the breaker, and by nothing else.
    by_breaker: bool,
    /// It was started before: the interval does not hold it up.
    resumed: bool,
    pub held: Option<Hold>,
}

/// A claim, while it lasts.
#[derive(Clone)]
pub struct Hold {
    token: ClaimToken,
    pub lease_until: UnixMillis,
    probe: bool,
    waited: Duration,
    /// The agent's last start before this one.
    started_before: Option<UnixMillis>,
}

#[derive(Default)]
pub struct Agent {
    pub name: Option<AgentName>,
    pub paused: bool,
    pub breaker: Breaker,
    pub cool_until: Option<UnixMillis>,
    pub cool_downs: u32,
    pub last_started: Option<UnixMillis>,
    pub last_ended: Option<UnixMillis>,
    pub last_reason: Option<Reason>,
    pub last_detail: String,
    pub endings: BTreeMap<Reason, u64>,
}

struct Claim {
    item: ItemId,
    ended: Option<(UnixMillis, End)>,
}

#[derive(Clone)]
enum End {
    Completed(Completed),
    Returned,
    Lost,
}

/// What chance decided in a step, as the store shows it afterwards. A time that it could not have decided for becomes the
/// nearest allowed one: then store and reference differ.
#[derive(Default)]
pub struct Luck {
    pub half_open_from: BTreeMap<AgentId, UnixMillis>,
    pub due_at: BTreeMap<ItemId, UnixMillis>,
}

fn allowed(decided: Option<&UnixMillis>, times: &Times) -> UnixMillis {
    decided.map_or(*times.start(), |time| *time.clamp(times.start(), times.end()))
}

/// Where an item belongs that nobody runs.
pub enum Place {
    Queued,
    Waiting,
    Delayed(UnixMillis, Why, &'static str),
    Held(&'static str),
}

#[derive(PartialEq)]
pub enum Why {
    Breaker,
    Other,
}

const PAUSED: &str = "the agent is paused";
const FORCED: &str = "the breaker is forced open";

impl Reference {
    pub fn new(policy: StorePolicy, now: UnixMillis) -> Reference {
        Reference {
            policy,
            now,
            items: Vec::new(),
            agents: BTreeMap::new(),
            paused_ahead: BTreeSet::new(),
            claims: BTreeMap::new(),
            answers: BTreeMap::new(),
            passed_over: 0,
            luck: Luck::default(),
        }
    }

    fn find(&self, id: ItemId) -> Option<usize> {
        self.items.iter().position(|item| item.record.item.id == id)
    }

    /// The item that is claimed with this token now.
    fn held(&self, id: ItemId, token: ClaimToken) -> Option<usize> {
        self.find(id).filter(|n| self.items[*n].token() == Some(token))
    }

    pub fn token_of(&self, id: ItemId) -> Option<ClaimToken> {
        self.items[self.find(id)?].token()
    }

    pub fn is_held(&self, token: ClaimToken) -> bool {
        self.items.iter().any(|item| item.token() == Some(token))
    }

    fn agent(&mut self, id: &AgentId) -> &mut Agent {
        self.agents.entry(id.clone()).or_default()
    }

    /// How many of an agent's items are where.
    pub fn items_of(&self, agent: &AgentId) -> AgentItems {
        let of_agent = || self.items.iter().filter(|item| item.agent() == agent);
        let count = |state| of_agent().filter(|item| item.record.state == state).count() as u64;
        AgentItems {
            active: self.busy(agent),
            queued: count(ItemState::Queued),
            waiting: count(ItemState::Waiting),
            held: count(ItemState::Held),
            behind_breaker: of_agent().filter(|item| item.by_breaker).count() as u64,
        }
    }

    fn busy(&self, agent: &AgentId) -> bool {
        self.items
            .iter()
            .any(|item| item.agent() == agent && item.held.is_some())
    }

    /// Queued, waiting and held items of a priority.
    pub fn depth(&self, priority: Priority) -> u64 {
        use ItemState::{Held, Queued, Waiting};
        let counts = |item: &&Item| {
            item.record.item.priority == priority && matches!(item.record.state, Queued | Waiting | Held)
        };
        self.items.iter().filter(counts).count() as u64
    }

    pub fn enqueue(&mut self, items: &[WorkItem]) -> Vec<Enqueued> {
        items.iter().map(|work| self.enqueue_one(work.clone())).collect()
    }

    fn enqueue_one(&mut self, mut work: WorkItem) -> Enqueued {
        if let Some(n) = self.find(work.id) {
            return Enqueued::Added(self.items[n].first);
        }
        if let Some((_, answer)) = self.answers.get(&work.id) {
            return answer.clone();
        }
        if !self.agents.contains_key(&work.agent_id) {
            self.agent(&work.agent_id).paused = self.paused_ahead.remove(&work.agent_name);
        }
        self.agent(&work.agent_id).name = Some(work.agent_name.clone());
        let refused = self
            .merge(&work)
            .or_else(|| self.skip(&work))
            .or_else(|| self.full(&work));
        if let Some(answer) = refused {
            self.answers.insert(work.id, (self.now, answer.clone()));
            return answer;
        }
        if work.task_type != TaskType::Direct {
            work.payload = None;
        }
        let mut item = Item::new(work, self.now);
        let place = self.place(&item);
        item.put(place, self.now);
        item.first = item.record.state;
        let answer = Enqueued::Added(item.first);
        self.items.push(item);
        answer
    }

    /// Into the open item of this agent and type with the largest count; into the active one unless there is news.
    fn merge(&mut self, work: &WorkItem) -> Option<Enqueued> {
        let alike = |item: &&mut Item| {
            let other = &item.record.item;
            work.task_type.hub_remembers() && other.agent_id == work.agent_id && other.task_type == work.task_type
        };
        let mut alike: Vec<_> = self.items.iter_mut().filter(alike).collect();
        alike.sort_by_key(|item| Reverse(item.record.item.inbox_count));
        let open = alike.iter().position(|item| item.is_open());
        let covered = |item: &Item| item.held.is_some() && work.inbox_count <= item.record.item.inbox_count;
        let n = open.or_else(|| alike.iter().position(|item| covered(item)))?;
        let into = &mut alike[n].record.item;
        let news = work.inbox_count > into.inbox_count;
        into.inbox_count = into.inbox_count.max(work.inbox_count);
        Some(Enqueued::Merged { into: into.id, news })
    }

    /// The Hub brings it back, so it is not kept for an agent that may not run.
    fn skip(&self, work: &WorkItem) -> Option<Enqueued> {
        let agent = &self.agents[&work.agent_id];
        let reason = if !work.task_type.hub_remembers() {
            return None;
        } else if agent.paused {
            PAUSED.to_owned()
        } else if agent.breaker.mode == BreakerMode::ForcedOpen {
            FORCED.to_owned()
        } else {
            let left = agent.breaker.shut_until(self.now)?.since(self.now);
            format!("the breaker is open for another {} s", left.as_millis().div_ceil(1000))
        };
        Some(Enqueued::Skipped { reason })
    }

    fn full(&self, work: &WorkItem) -> Option<Enqueued> {
        let limit = self.policy.max_queue;
        (self.depth(work.priority) >= limit).then_some(Enqueued::Full { limit })
    }

    /// Where an item belongs now.
    fn place(&self, item: &Item) -> Place {
        let agent = &self.agents[item.agent()];
        if agent.paused {
            return Place::Held(PAUSED);
        }
        if agent.breaker.mode == BreakerMode::ForcedOpen {
            return Place::Held(FORCED);
        }
        if let Some(until) = agent.breaker.shut_until(self.now) {
            let note = match agent.breaker.state(self.now) {
                BreakerState::Open { .. } => "the breaker is open",
                _ => "the breaker is half-open and the next probe is not due",
            };
            return Place::Delayed(until, Why::Breaker, note);
        }
        if self.busy(item.agent()) {
            return Place::Waiting;
        }
        let work = &item.record.item;
        if work.task_type.hub_remembers() {
            if let Some(until) = agent.cool_until.filter(|until| *until > self.now) {
                return Place::Delayed(until, Why::Other, "the agent cools down");
            }
            let next = agent.last_started.map(|started| started + work.min_interval);
            if let Some(until) = next.filter(|until| *until > self.now && !item.resumed) {
                return Place::Delayed(until, Why::Other, "the agent's interval between activations");
            }
        }
        Place::Queued
    }

    pub fn claim(&mut self, request: &ClaimRequest) -> Vec<Claimed> {
        let mut claims = Vec::new();
        for token in &request.tokens {
            claims.extend(match self.claims.get(token) {
                // A repeat: the same claim, while it lasts.
                Some(claim) => self.held(claim.item, *token).map(|n| self.items[n].claimed()),
                None => self.claim_next(request, *token),
            });
        }
        claims
    }

    fn claim_next(&mut self, request: &ClaimRequest, token: ClaimToken) -> Option<Claimed> {
        loop {
            let (n, share) = self.best(&request.avoid)?;
            match self.place(&self.items[n]) {
                Place::Queued => {
                    self.passed_over = share.unwrap_or(self.passed_over);
                    return Some(self.activate(n, request, token));
                }
                // It turns out not to be ready: it is moved to where it belongs.
                elsewhere => {
                    let waits = matches!(elsewhere, Place::Waiting);
                    self.items[n].put(elsewhere, self.now);
                    if !waits {
                        self.release_waiting(n);
                    }
                }
            }
        }
    }

    /// The next item that is marked ready (I5): the first of the highest priority; but where lower ones wait behind it, the
    /// oldest of those in one of so many claims. And how many claims in a row will have passed them over.
    fn best(&self, avoid: &[AgentId]) -> Option<(usize, Option<u32>)> {
        let ready = |item: &Item| item.record.state == ItemState::Queued && !avoid.contains(item.agent());
        let ready: Vec<usize> = (0..self.items.len()).filter(|n| ready(&self.items[*n])).collect();
        let priority = |n: &usize| self.items[*n].record.item.priority;
        let highest = ready.iter().map(priority).min()?;
        let first = ready.iter().copied().find(|n| priority(n) == highest)?;
        let lower = ready.iter().copied().find(|n| priority(n) > highest);
        Some(match lower.filter(|_| self.policy.fairness > 0) {
            None => (first, None),
            Some(lower) if self.passed_over + 1 >= self.policy.fairness => (lower, Some(0)),
            Some(_) => (first, Some(self.passed_over + 1)),
        })
    }

    fn activate(&mut self, n: usize, request: &ClaimRequest, token: ClaimToken) -> Claimed {
        let now = self.now;
        let agent = self.agent(&self.items[n].agent().clone());
        let hold = Hold {
            token,
            lease_until: now + request.lease,
            probe: matches!(agent.breaker.state(now), BreakerState::HalfOpen { .. }),
            waited: Duration::ZERO,
            started_before: agent.last_started.replace(now),
        };
        let item = &mut self.items[n];
        item.held = Some(Hold {
            waited: now.since(item.ready_at),
            ..hold
        });
        item.record.state = ItemState::Active;
        item.record.host = Some(request.host.clone());
        item.record.note.clear();
        let id = item.record.item.id;
        self.claims.insert(token, Claim { item: id, ended: None });
        self.items[n].claimed()
    }

    /// The agent's best waiting item becomes ready, unless another one is active.
    fn release_waiting(&mut self, n: usize) {
        let agent = self.items[n].agent().clone();
        let waits = |item: &&mut Item| *item.agent() == agent && item.record.state == ItemState::Waiting;
        if !self.busy(&agent)
            && let Some(item) = self
                .items
                .iter_mut()
                .filter(waits)
                .min_by_key(|item| item.record.item.priority)
        {
            item.put(Place::Queued, self.now);
        }
    }
}
