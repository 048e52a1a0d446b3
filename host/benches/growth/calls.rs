//! What is asked of a store besides its steps: by idle hosts again and again, and by operators.

use warren::{
    domain::work_item::WorkItem,
    ports::work_queue::{Enqueued, ItemFilter},
};

use super::store::{Filled, Many};

#[derive(Clone, Copy, Debug)]
pub enum Call {
    Sweep,
    Stats,
    Backoff,
    Agents,
    Agent,
    Items,
    Merge,
    Pause,
}

impl Call {
    pub const ALL: [Call; 8] = [
        Call::Sweep,
        Call::Stats,
        Call::Backoff,
        Call::Agents,
        Call::Agent,
        Call::Items,
        Call::Merge,
        Call::Pause,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Call::Sweep => "a sweep",
            Call::Stats => "numbers of the queue",
            Call::Backoff => "the first 100 in backoff",
            Call::Agents => "a page of 100 agents",
            Call::Agent => "an agent by its name",
            Call::Items => "a page of 100 items",
            Call::Merge => "an item merges in the middle",
            Call::Pause => "pause and resume in the middle",
        }
    }

    /// Only queued items have something to merge into.
    pub fn is_for(self, many: Many) -> bool {
        !matches!(self, Call::Merge) || many == Many::Items
    }

    /// The `n`-th time.
    pub async fn make(self, filled: &Filled, n: usize) {
        let (queue, agents) = (&filled.store.queue, &filled.store.agents);
        let number = filled.in_the_middle(n);
        let agent = Filled::agent(number);
        match self {
            Call::Sweep => drop(queue.sweep().await.unwrap()),
            Call::Stats => drop(queue.stats().await.unwrap()),
            Call::Backoff => drop(agents.in_backoff(100).await.unwrap()),
            Call::Agents => assert_eq!(agents.agents(None, 100).await.unwrap().len(), 100),
            Call::Agent => assert!(agents.agent(agent.as_str()).await.unwrap().is_some()),
            Call::Items => {
                let filter = ItemFilter {
                    limit: 100,
                    ..ItemFilter::default()
                };
                drop(queue.page(&filter).await.unwrap());
            }
            Call::Merge => {
                let item = WorkItem {
                    inbox_count: 7,
                    ..Filled::item(number)
                };
                let answers = queue.enqueue(None, vec![item]).await.unwrap();
                assert!(matches!(answers[..], [Enqueued::Merged { .. }]), "{answers:?}");
            }
            Call::Pause => {
                assert!(agents.set_paused(&agent, true).await.unwrap());
                assert!(agents.set_paused(&agent, false).await.unwrap());
            }
        }
    }
}
