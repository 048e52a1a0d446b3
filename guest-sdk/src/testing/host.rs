//! The host in memory, as a test sets it up, lets it work and looks at it.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;

use super::{
    Activation, Capability, Ended, Limits, Reason,
    calls::{self, Stopped},
    hub::Hub,
    mentions::is_agent_name,
    metrics::{Kind, Metrics},
    running::{Running, World},
    workspace::Workspace,
};
use crate::{
    Agent, ErrorKind, Outcome, TaskType, WorkItem,
    hub::{Author, Comment, NewPost, Notification, NotificationKind, Post},
};

/// 2026-01-01T00:00:00Z, in seconds since 1970.
const BEGINNING: i64 = 1_767_225_600;

/// A host in memory with one agent, its Hub, its state and its clock. See [the module](super).
///
/// The agent's id is its name. Everything is granted unless [`Host::grants`] says otherwise; the clock stands at
/// 2026-01-01T00:00:00Z until [`Host::advance`] moves it.
pub struct Host {
    /// Away only while an activation has it.
    world: Option<World>,
    items: u32,
    last: Option<(WorkItem, Reason)>,
}

impl Host {
    /// A host of this agent.
    ///
    /// # Panics
    /// If this is no name of an agent: 1–64 of `a-z 0-9 - _ .`.
    #[track_caller]
    pub fn new(agent: &str) -> Self {
        assert!(
            is_agent_name(agent),
            "{agent:?} is no agent's name: 1 to 64 of a-z 0-9 - _ ."
        );
        let world = World {
            agent: Author {
                id: agent.to_owned(),
                name: agent.to_owned(),
            },
            grants: Capability::ALL.into_iter().collect(),
            limits: Limits::default(),
            config: BTreeMap::new(),
            now: Timestamp::from_second(BEGINNING).unwrap_or_default(),
            hub: Hub::default(),
            state: BTreeMap::new(),
            workspace: Workspace::default(),
            metrics: Metrics::default(),
            done: HashMap::new(),
            hub_answers: None,
            state_fails: false,
            dies_after: None,
        };
        Self {
            world: Some(world),
            items: 0,
            last: None,
        }
    }

    /// Grants these capabilities and no others.
    #[must_use]
    pub fn grants(mut self, grants: impl IntoIterator<Item = Capability>) -> Self {
        self.world_mut().grants = grants.into_iter().collect();
        self
    }

    /// Sets the limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.world_mut().limits = limits;
        self
    }

    /// Sets a value of the definition's `config:`. `system_prompt` is the text of `system-prompt.md`.
    #[must_use]
    pub fn config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.world_mut().config.insert(key.into(), value.into());
        self
    }

    /// Lets a person write a post, as a text or a [`NewPost`]. A mention of the agent becomes a notification.
    ///
    /// # Panics
    /// If the Hub would not take it.
    #[track_caller]
    pub fn post(&mut self, person: &str, post: impl Into<NewPost>) -> Post {
        let (world, post) = (self.world_mut(), post.into());
        let (agent, now) = (world.agent.id.clone(), world.now);
        match world.hub.write_post(&agent, author(person), &post, now) {
            Ok(post) => post,
            Err(error) => panic!("{person} can't write this post: {error}"),
        }
    }

    /// Lets a person comment on a post. A mention of the agent, or an answer below its post, becomes a notification.
    ///
    /// # Panics
    /// If the Hub would not take it.
    #[track_caller]
    pub fn comment(&mut self, person: &str, post_id: &str, text: &str) -> Comment {
        let world = self.world_mut();
        let (agent, now) = (world.agent.id.clone(), world.now);
        match world.hub.write_comment(&agent, author(person), (post_id, text), now) {
            Ok(comment) => comment,
            Err(error) => panic!("{person} can't comment on {post_id}: {error}"),
        }
    }

    /// Notifies the agent of something that is neither post nor comment: a `follow`, a `like`, a `dm`.
    pub fn notify(&mut self, kind: NotificationKind, person: &str, post_id: Option<&str>, text: &str) -> Notification {
        let world = self.world_mut();
        let (post_id, now) = (post_id.map(str::to_owned), world.now);
        world.hub.notify(kind, post_id, author(person), text, now)
    }

    /// Moves the clock forward.
    pub fn advance(&mut self, by: Duration) {
        let world = self.world_mut();
        world.now = world.now.saturating_add(by).unwrap_or(Timestamp::MAX);
    }

    /// What time it is.
    pub fn now(&self) -> SystemTime {
        self.world().now.into()
    }

    /// From now on the Hub answers this many calls of each activation, and fails all after them: 0 is an outage.
    pub fn hub_answers(&mut self, calls: u32) {
        self.world_mut().hub_answers = Some(calls);
    }

    /// Ends what [`Host::hub_answers`] began.
    pub fn hub_recovers(&mut self) {
        self.world_mut().hub_answers = None;
    }

    /// Lets every call to the state fail, or work again.
    pub fn state_fails(&mut self, fails: bool) {
        self.world_mut().state_fails = fails;
    }

    /// Lets the host die in the next activation, right after so many effects (posts, comments, changes of the state):
    /// the agent gets no answer any more, and nothing is marked read. What comes after is [`Host::repeat`].
    ///
    /// # Panics
    /// If that is 0: without an effect there is nothing to repeat.
    #[track_caller]
    pub fn dies_after(&mut self, effects: usize) {
        assert!(
            effects > 0,
            "a host that dies before the first effect is one that never ran the agent"
        );
        self.world_mut().dies_after = Some(effects);
    }

    /// Activates the agent for what is in its inbox.
    pub fn activate<A: Agent>(&mut self) -> Activation {
        self.run_new::<A>(TaskType::Inbox, None)
    }

    /// Activates the agent because it has not run for a while.
    pub fn discover<A: Agent>(&mut self) -> Activation {
        self.run_new::<A>(TaskType::Discovery, None)
    }

    /// Activates the agent for a payload, as `warren submit` does.
    pub fn submit<A: Agent>(&mut self, payload: impl Into<String>) -> Activation {
        self.run_new::<A>(TaskType::Direct, Some(payload.into()))
    }

    /// Activates the agent for the last work item again, as after the death of a host or a `transient` failure. What it
    /// did on the Hub the first time is not done again.
    ///
    /// # Panics
    /// If there was no activation yet.
    #[track_caller]
    pub fn repeat<A: Agent>(&mut self) -> Activation {
        let Some((mut item, reason)) = self.last.take() else {
            panic!("there is nothing to repeat: nothing was activated yet");
        };
        if item.task_type == TaskType::Direct && reason != Reason::LeaseLost {
            item.attempt += 1;
        }
        self.run::<A>(item)
    }

    /// The unread notifications, oldest first.
    pub fn unread(&self) -> &[Notification] {
        self.world().hub.unread()
    }

    /// All posts, oldest first.
    pub fn posts(&self) -> &[Post] {
        self.world().hub.posts()
    }

    /// The comments of a post, oldest first.
    pub fn comments(&self, post_id: &str) -> Vec<Comment> {
        self.world().hub.comments(post_id)
    }

    /// The agent's state.
    pub fn state(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.world().state
    }

    /// A value of the state as text; `None` if there is none, or if it is not UTF-8.
    pub fn state_text(&self, key: &str) -> Option<&str> {
        std::str::from_utf8(self.world().state.get(key)?).ok()
    }

    /// The folder that stands for the agent's workspace, to look into and to put files in; gone with this host.
    ///
    /// # Panics
    /// If it can't be made.
    pub fn workspace(&self) -> PathBuf {
        self.world().workspace.root()
    }

    /// Sets a value of the state, as if an earlier activation had.
    pub fn set_state(&mut self, key: impl Into<String>, value: impl Into<Vec<u8>>) {
        self.world_mut().state.insert(key.into(), value.into());
    }

    /// What a counter has come to; 0 if it was never used.
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.last_value(Kind::Counter, name, labels).unwrap_or(0.0)
    }

    /// What a gauge was last set to.
    pub fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.last_value(Kind::Gauge, name, labels)
    }

    /// What a histogram has observed, in order.
    pub fn observations(&self, name: &str, labels: &[(&str, &str)]) -> &[f64] {
        self.world().metrics.values(Kind::Histogram, name, labels)
    }

    /// Measurements that were not taken: wrong names or values, or over the limits.
    pub fn measurements_dropped(&self) -> u32 {
        self.world().metrics.dropped
    }

    fn last_value(&self, kind: Kind, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.world().metrics.values(kind, name, labels).last().copied()
    }

    fn world(&self) -> &World {
        match &self.world {
            Some(world) => world,
            None => unreachable!("an activation gives it back before it ends"),
        }
    }

    fn world_mut(&mut self) -> &mut World {
        match &mut self.world {
            Some(world) => world,
            None => unreachable!("an activation gives it back before it ends"),
        }
    }

    fn run_new<A: Agent>(&mut self, task_type: TaskType, payload: Option<String>) -> Activation {
        self.items += 1;
        let World { agent, hub, now, .. } = self.world();
        let unread = u32::try_from(hub.unread().len()).unwrap_or(u32::MAX);
        let item = WorkItem {
            id: format!("item-{}", self.items),
            agent_id: agent.id.clone(),
            agent_name: agent.name.clone(),
            task_type,
            attempt: 1,
            inbox_count: if task_type == TaskType::Inbox { unread } else { 0 },
            created_at: now.to_string(),
            payload,
        };
        self.run::<A>(item)
    }

    fn run<A: Agent>(&mut self, item: WorkItem) -> Activation {
        let Some(world) = self.world.take() else {
            unreachable!("an activation gives it back before it ends");
        };
        let handed_over = item.clone();
        let (ended, mut running) = calls::run(Running::new(world, item.id.clone()), || A::activate(handed_over));
        let (reason, ended) = judge(ended, &running);
        let mut read = Vec::new();
        if let Ended::Outcome(outcome) = &ended {
            read.extend(
                outcome
                    .handled
                    .iter()
                    .filter(|id| running.handed.contains(*id))
                    .cloned(),
            );
            read.iter().for_each(|id| running.world.hub.mark_read(id));
        }
        let inbox_was_empty = running.read_inbox && running.handed.is_empty();
        let handled_nothing = item.task_type == TaskType::Inbox && read.is_empty() && !inbox_was_empty;
        let cools_down = match reason {
            Reason::Ok => handled_nothing,
            Reason::Upstream | Reason::PluginUnavailable => true,
            _ => false,
        };
        self.world = Some(running.world);
        self.last = Some((item.clone(), reason));
        Activation {
            item,
            reason,
            ended,
            effects: running.effects,
            read,
            logs: running.logs,
            log_lines_dropped: running.log_lines_dropped,
            hub_calls: running.hub_calls,
            denied: running.denied,
            cools_down,
        }
    }
}

/// The reason code of an end.
fn judge(ended: Result<crate::Result<Outcome>, Stopped>, running: &Running) -> (Reason, Ended) {
    let limit = running.world.limits.outcome;
    let too_large = || {
        let detail = "its outcome is larger than the limit `outcome`".to_owned();
        (Reason::OutputLimit, Ended::Stopped(detail))
    };
    match ended {
        Err(Stopped::ByHost(stop)) => (stop.reason, Ended::Stopped(stop.detail)),
        Err(Stopped::Panicked(words)) => (Reason::Trap, Ended::Stopped(words)),
        Ok(Ok(outcome)) => {
            // In the host each text of a list takes 24 bytes besides itself.
            let ids: usize = outcome.handled.iter().map(|id| 24 + id.len()).sum();
            if outcome.summary.len() + ids > limit {
                return too_large();
            }
            (Reason::Ok, Ended::Outcome(outcome))
        }
        Ok(Err(error)) => {
            if error.message().len() > limit {
                return too_large();
            }
            let believed = error.kind() == ErrorKind::Upstream && running.upstream_failed;
            let reason = if believed { Reason::Upstream } else { Reason::GuestError };
            (reason, Ended::Failed(error))
        }
    }
}

fn author(person: &str) -> Author {
    Author {
        id: format!("person-{person}"),
        name: person.to_owned(),
    }
}
