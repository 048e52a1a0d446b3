//! The scope of one verification, on all hosts that are in it.

use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::{Duration, Instant},
};

use tokio::{sync::Notify, time};

use super::cluster::{Cluster, Member};
use crate::{
    app::{
        api::types::{
            BreakerExercise, DestroyedScope, JoinedScope, LeftScope, LoadAnswer, LoadRequest, ProbeItem, QueueView,
            RunView, ScopeRequest,
        },
        verify::ScopeId,
    },
    cli::exit::Failure,
    domain::ids::ItemId,
};

/// Probes of a load.
pub const ITEMS: usize = 400;
/// Their agents: several items each, so that some must wait for others.
pub const AGENTS: u32 = 40;
/// Probes that are brought together.
const PORTION: usize = 20;
/// Between two portions: the load lasts for some seconds.
const PORTION_EVERY: Duration = Duration::from_millis(100);
/// After so many portions there is something to disturb.
const SOME: usize = 4;
const DRY_WITHIN: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A host that joins opens a store and may compile the probe; one that leaves drains.
const TAKES: Duration = Duration::from_secs(30);
/// While a host is asked to leave, another one may still be in the scope.
const DESTROYS: usize = 3;

pub struct Probes {
    pub scope: ScopeId,
    members: Vec<Member>,
    /// Where somebody may be in the scope although the answer did not come.
    asked: Vec<Member>,
    /// The keys or the file that the scope is kept in.
    kept_in: String,
    problems: Vec<String>,
    portions: AtomicUsize,
    portion: Notify,
}

/// A load, as the one who brought it saw it.
#[derive(Clone, Debug, Default)]
pub struct Load {
    pub accepted: Vec<String>,
    /// Brought, but without an answer that they are in.
    pub unanswered: usize,
    pub problems: Vec<String>,
    pub took: Duration,
    /// What the scope's queue had at the end.
    pub left_over: Option<QueueView>,
}

/// What ran, as the hosts tell when they leave.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    pub all: Vec<RunOn>,
    pub hosts: usize,
    /// Hosts that did not tell.
    pub problems: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct RunOn {
    pub host: String,
    pub run: RunView,
    pub clock_error_micros: i64,
}

/// What is left of a scope after it was destroyed.
#[derive(Clone, Debug)]
pub struct Remains {
    pub scope: String,
    pub kept_in: String,
    pub left: Result<u64, String>,
}

impl Probes {
    /// Every live runner joins a new scope.
    pub async fn join(cluster: &Cluster) -> Probes {
        let scope = ScopeId::fresh();
        let mut probes = Probes {
            scope,
            members: Vec::new(),
            asked: Vec::new(),
            kept_in: String::new(),
            problems: Vec::new(),
            portions: AtomicUsize::new(0),
            portion: Notify::new(),
        };
        for member in cluster.members.iter().filter(|member| member.has("runner")) {
            probes.asked.push(member.clone());
            match probes.call::<JoinedScope>(member, "join").await {
                Ok(joined) => {
                    probes.kept_in = joined.kept_in;
                    probes.members.push(member.clone());
                }
                Err(failure) => probes
                    .problems
                    .push(format!("{} can't join: {}", member.name(), failure.message)),
            }
        }
        if probes.members.is_empty() && probes.problems.is_empty() {
            probes.problems.push("no live host has the role runner".to_owned());
        }
        probes
    }

    pub fn joined(&self) -> usize {
        self.members.len()
    }

    /// Resolves once some of the load is in, or there will be none.
    pub async fn loaded_some(&self) {
        while self.portions.load(SeqCst) < SOME && !self.members.is_empty() {
            self.portion.notified().await;
        }
    }

    /// Bring the load, in portions, each by way of the next host.
    pub async fn load(&self) -> Load {
        let mut load = Load {
            problems: self.problems.clone(),
            ..Load::default()
        };
        let agents = (0..AGENTS).cycle();
        let items: Vec<ProbeItem> = agents
            .take(ITEMS)
            .map(|agent| ProbeItem {
                id: ItemId::fresh().to_string(),
                agent,
            })
            .collect();
        for (n, portion) in items.chunks(PORTION).enumerate() {
            if n > 0 {
                time::sleep(PORTION_EVERY).await;
            }
            self.bring(n, portion, &mut load).await;
            self.portions.fetch_add(1, SeqCst);
            self.portion.notify_one();
        }
        load
    }

    /// A portion whose answer does not come is brought again by way of the next host: the ids are the same.
    async fn bring(&self, n: usize, portion: &[ProbeItem], load: &mut Load) {
        let request = LoadRequest {
            scope: self.scope.to_string(),
            items: portion.to_vec(),
        };
        for tried in 0..self.members.len() {
            let member = &self.members[(n + tried) % self.members.len()];
            match member.client.post::<LoadAnswer>(&["verify", "load"], &request).await {
                Ok(answer) => {
                    if answer.refused > 0 {
                        load.problems
                            .push(format!("the scope's queue was full for {} probes", answer.refused));
                    }
                    load.accepted.extend(answer.accepted);
                    return;
                }
                Err(failure) => load
                    .problems
                    .push(format!("{} took no load: {}", member.name(), failure.message)),
            }
        }
        load.unanswered += portion.len();
    }

    /// Wait until the scope's queue has nothing more to do; what it had at last.
    pub async fn run_dry(&self) -> Option<QueueView> {
        let deadline = Instant::now() + DRY_WITHIN;
        let mut last = None;
        while Instant::now() < deadline && !self.members.is_empty() {
            for member in &self.members {
                if let Ok(queue) = self.call::<QueueView>(member, "state").await {
                    last = Some(queue);
                    break;
                }
            }
            if last.as_ref().is_some_and(|queue| unfinished(queue) == 0) {
                break;
            }
            time::sleep(LOOK_EVERY).await;
        }
        last
    }

    pub async fn breaker(&self, takes: Duration) -> Result<BreakerExercise, String> {
        let member = self.members.first().ok_or("no host is in the scope")?;
        let answer = member
            .client
            .post_for(&["verify", "breaker"], &self.request(), takes)
            .await;
        answer.map_err(|failure| format!("{}: {}", member.name(), failure.message))
    }

    pub async fn leave(&mut self) -> Runs {
        let mut runs = Runs {
            hosts: self.members.len(),
            ..Runs::default()
        };
        for member in std::mem::take(&mut self.members) {
            match self.call::<LeftScope>(&member, "leave").await {
                Ok(left) => runs.all.extend(left.runs.into_iter().map(|run| RunOn {
                    host: member.name().to_owned(),
                    run,
                    clock_error_micros: left.clock_error_micros,
                })),
                Err(failure) => runs.problems.push(format!(
                    "{} does not tell what it ran: {}",
                    member.name(),
                    failure.message
                )),
            }
        }
        runs
    }

    /// Destroy the scope by way of every host that was asked to join, since one may be in it still.
    pub async fn destroy(&self) -> Remains {
        let mut left = Err("no host was in the scope".to_owned());
        for _ in 0..DESTROYS {
            let mut reached = None;
            for member in &self.asked {
                match self.call::<DestroyedScope>(member, "destroy").await {
                    Ok(destroyed) => reached = Some(destroyed.left),
                    Err(failure) if reached.is_none() => left = Err(failure.message),
                    Err(_) => {}
                }
            }
            if let Some(keys) = reached {
                left = Ok(keys);
            }
            if left == Ok(0) {
                break;
            }
        }
        Remains {
            scope: self.scope.to_string(),
            kept_in: self.kept_in.clone(),
            left,
        }
    }

    async fn call<T: serde::de::DeserializeOwned>(&self, member: &Member, what: &str) -> Result<T, Failure> {
        member.client.post_for(&["verify", what], &self.request(), TAKES).await
    }

    fn request(&self) -> ScopeRequest {
        ScopeRequest {
            scope: self.scope.to_string(),
        }
    }
}

/// Items that have not come to an end.
pub fn unfinished(queue: &QueueView) -> u64 {
    queue.queued.values().sum::<u64>() + queue.waiting + queue.delayed + queue.held + queue.active
}
