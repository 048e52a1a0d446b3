//! Turns agents that the Hub named into work items, in the leader's name.
//!
//! What the Hub names is collected first and looked up afterwards, on a thread that may block: definitions are files, and
//! ten thousand of them read among the host's own tasks would hold up renewals.

use std::{
    collections::HashSet,
    ops::ControlFlow,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context;
use tokio::task;
use tracing::{debug, info, warn};

use super::election::LeaderTerm;
use crate::{
    domain::{
        hub::PolledAgent,
        ids::{AgentName, ItemId},
        time::UnixMillis,
        work_item::{Priority, TaskType, WorkItem},
    },
    ports::{
        definitions::{DefinitionError, Definitions},
        store::StoreError,
        telemetry::Telemetry,
        work_queue::{Enqueued, WorkQueue},
    },
};

/// Items that are enqueued in one step: large enough to be cheap, small enough not to hold up the store.
const BATCH: usize = 200;

/// The most agents that one poll turns into items; a plain poll may name a million.
pub const MOST_AGENTS: usize = 10_000;

/// The most agents that are taken from one answer of the Hub; some 20 MB of names.
const MOST_NAMED: usize = 100_000;

/// The most agents without a definition that one answer of the Hub complains about by name; the others are counted.
const MOST_COMPLAINTS: usize = 100;

/// How many names without a usable definition are remembered as already logged.
const MOST_REMEMBERED: usize = 10_000;

pub struct Intake {
    pub queue: Arc<dyn WorkQueue>,
    roster: Arc<Roster>,
}

/// What one poll added to the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Items that were not in the queue before, or that have become larger.
    pub news: usize,
    /// The priority was at its limit: stop polling for a while.
    pub full: bool,
}

impl Intake {
    pub fn new(queue: Arc<dyn WorkQueue>, definitions: Arc<dyn Definitions>, telemetry: Arc<dyn Telemetry>) -> Intake {
        Intake {
            queue,
            roster: Arc::new(Roster {
                definitions,
                telemetry,
                complained: Mutex::default(),
            }),
        }
    }

    /// How many more items of this kind the queue takes: nothing means backpressure.
    pub async fn room(&self, task_type: TaskType) -> Result<u64, StoreError> {
        let priority = task_type.default_priority();
        let room = self.queue.room().await?;
        Ok(room
            .into_iter()
            .find(|(p, _): &(Priority, u64)| *p == priority)
            .map_or(0, |(_, free)| free))
    }

    /// Takes the agents of one answer of the Hub.
    pub async fn collector(&self) -> anyhow::Result<Collector> {
        let definitions = Arc::clone(&self.roster.definitions);
        let defined = task::spawn_blocking(move || definitions.names())
            .await
            .context("listing the agents that have a definition")?;
        Ok(Collector {
            defined,
            agents: Vec::new(),
            undefined: Vec::new(),
            undefined_more: 0,
        })
    }

    /// Enqueue those of the collected agents that have a definition and want this kind of work: batch by batch, checking
    /// the leadership before each.
    pub async fn enqueue(&self, term: &LeaderTerm, task_type: TaskType, named: Collector) -> anyhow::Result<Taken> {
        let items = self.items(named, task_type).await?;
        let mut taken = Taken::default();
        for batch in items.chunks(BATCH) {
            let fence = term.check()?;
            let answers = term.written(self.queue.enqueue(Some(fence), batch.to_vec()).await)?;
            for (item, answer) in batch.iter().zip(&answers) {
                self.roster.telemetry.enqueued(item.task_type, answer);
                match answer {
                    Enqueued::Added(state) => {
                        taken.news += 1;
                        info!(agent = %item.agent_name, item = %item.id, task_type = %item.task_type, %state, "enqueued");
                    }
                    Enqueued::Merged { news, .. } => taken.news += usize::from(*news),
                    Enqueued::Skipped { .. } => {}
                    Enqueued::Full { .. } => taken.full = true,
                }
            }
            if taken.full {
                break;
            }
        }
        Ok(taken)
    }

    async fn items(&self, named: Collector, task_type: TaskType) -> anyhow::Result<Vec<WorkItem>> {
        let Collector {
            agents,
            undefined,
            undefined_more,
            ..
        } = named;
        if agents.is_empty() && undefined.is_empty() {
            return Ok(Vec::new());
        }
        let roster = Arc::clone(&self.roster);
        task::spawn_blocking(move || {
            for _ in 0..undefined_more {
                roster.telemetry.agent_without_definition();
            }
            // Those without a definition are looked up all the same: the error says where it should be.
            let named = undefined.into_iter().chain(agents);
            let items = named.filter_map(|agent| roster.item(agent, task_type));
            items.take(MOST_AGENTS).collect()
        })
        .await
        .context("looking up the agents that the Hub named")
    }
}

/// Who of the agents that the Hub names can be run.
struct Roster {
    definitions: Arc<dyn Definitions>,
    telemetry: Arc<dyn Telemetry>,
    /// What was already complained about, so that a poll every second does not fill the log.
    complained: Mutex<HashSet<String>>,
}

impl Roster {
    /// The item for a polled agent, if it has a definition and wants such work.
    fn item(&self, polled: PolledAgent, task_type: TaskType) -> Option<WorkItem> {
        let name = match AgentName::new(polled.name.clone()) {
            Ok(name) => name,
            Err(error) => {
                self.complain(&polled.name, &error.to_string());
                return None;
            }
        };
        let definition = match self.definitions.agent(&name) {
            Ok(definition) => definition,
            Err(error @ (DefinitionError::Unknown { .. } | DefinitionError::Invalid(_))) => {
                self.complain(name.as_str(), &error.to_string());
                return None;
            }
        };
        if task_type == TaskType::Discovery && !definition.discovery {
            return None;
        }
        let id = ItemId::fresh();
        Some(WorkItem {
            id,
            agent_id: polled.id,
            agent_name: name,
            task_type,
            priority: task_type.default_priority(),
            inbox_count: polled.notification_count,
            created_at: made_at(id),
            attempt: 1,
            payload: None,
            min_interval: definition.behavior.min_interval,
            trace_context: None,
        })
    }

    /// Agents without a usable definition are not enqueued: said once each.
    fn complain(&self, name: &str, why: &str) {
        let mut complained = self.complained.lock().unwrap_or_else(PoisonError::into_inner);
        if complained.len() < MOST_REMEMBERED && complained.insert(name.to_owned()) {
            warn!(
                agent = name,
                why, "the Hub names an agent that this cluster can't run; not enqueued"
            );
        }
        self.telemetry.agent_without_definition();
    }
}

/// When an id was made, as its own first 48 bits say (RFC 9562, UUIDv7): the item then has one time of creation, not two.
pub fn made_at(id: ItemId) -> UnixMillis {
    let millis = id.0.get_timestamp().map_or(0, |at| {
        let (seconds, nanos) = at.to_unix();
        seconds
            .saturating_mul(1000)
            .saturating_add(u64::from(nanos) / 1_000_000)
    });
    UnixMillis(i64::try_from(millis).unwrap_or(i64::MAX))
}

/// Takes the agents of one answer as they come, in memory that does not grow with those that have no definition.
pub struct Collector {
    /// Who has a definition; nothing if everybody has to be looked up.
    defined: Option<HashSet<String>>,
    agents: Vec<PolledAgent>,
    undefined: Vec<PolledAgent>,
    undefined_more: u64,
}

impl Collector {
    /// Take one agent; `Break` once there are enough for one poll.
    pub fn take(&mut self, polled: PolledAgent) -> ControlFlow<()> {
        if self.defined.as_ref().is_none_or(|names| names.contains(&polled.name)) {
            self.agents.push(polled);
        } else if self.undefined.len() < MOST_COMPLAINTS {
            self.undefined.push(polled);
        } else {
            self.undefined_more += 1;
        }
        if self.agents.len() < MOST_NAMED {
            return ControlFlow::Continue(());
        }
        debug!(
            agents = self.agents.len(),
            "the Hub names more agents than one poll takes"
        );
        ControlFlow::Break(())
    }
}

/// A pause that doubles from `first` to `longest` while nothing comes, and starts anew after news.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Pace {
    pub fn new(first: Duration, longest: Duration) -> Pace {
        Pace {
            first,
            longest,
            next: first,
        }
    }

    pub fn news(&mut self) {
        self.next = self.first;
    }

    /// The pause to make now; the one after it is twice as long.
    pub fn pause(&mut self) -> Duration {
        let now = self.next;
        self.next = (now * 2).min(self.longest);
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::AgentId;

    #[test]
    fn the_pace_slows_down_without_news_and_starts_anew_with_them() {
        let mut pace = Pace::new(Duration::from_millis(100), Duration::from_millis(500));
        let millis: Vec<_> = (0..5).map(|_| pace.pause().as_millis()).collect();
        assert_eq!(millis, [100, 200, 400, 500, 500]);
        pace.news();
        assert_eq!(pace.pause().as_millis(), 100);
    }

    #[test]
    fn agents_without_a_definition_take_no_room_and_hide_nobody() {
        let mut collector = Collector {
            defined: Some(HashSet::from(["echo".to_owned()])),
            agents: Vec::new(),
            undefined: Vec::new(),
            undefined_more: 0,
        };
        let polled = |name: &str| PolledAgent {
            id: AgentId::new(name).unwrap(),
            name: name.to_owned(),
            notification_count: 1,
        };
        for n in 0..2 * MOST_NAMED {
            assert!(collector.take(polled(&format!("crowd-{n}"))).is_continue());
        }
        assert!(collector.take(polled("echo")).is_continue());
        assert_eq!(collector.agents.len(), 1);
        assert_eq!(collector.undefined.len(), MOST_COMPLAINTS);
        assert_eq!(collector.undefined_more, (2 * MOST_NAMED - MOST_COMPLAINTS) as u64);
    }

    #[test]
    fn an_item_was_made_when_its_id_was() {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let made = u128::try_from(made_at(ItemId::fresh()).0).unwrap();
        assert!(made.abs_diff(now.as_millis()) < 5_000);
    }
}
