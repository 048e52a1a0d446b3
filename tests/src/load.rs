//! Steady work for a cluster: people who mention agents, and systems that submit items and ask again when they get no
//! answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    agent::Agent,
    cluster::{Cluster, hasty},
    history::{Recorder, What},
    http::Client,
};

/// Agents that answer mentions at once.
const QUICK: [&str; 2] = ["ann", "bob"];
/// Agents that take a while for it, so that faults find them at it.
const SLOW: [&str; 2] = ["cat", "dan"];
/// Does as its items say, and often that is to fail.
const FAILING: &str = "fay";

const MENTION_EVERY: Duration = Duration::from_millis(400);
const SUBMIT_EVERY: Duration = Duration::from_millis(150);
/// One in so many submits is for the agent that fails.
const FAILS: u32 = 25;

/// The agents that a cluster needs for this work.
pub fn agents() -> Vec<Agent> {
    let quick = QUICK.iter().map(|name| Agent::hostile(name, "answer"));
    let slow = SLOW.iter().map(|name| Agent::hostile(name, "answer-slow 250"));
    quick.chain(slow).chain([Agent::hostile(FAILING, "answer")]).collect()
}

/// Those that are mentioned, and do not fail.
pub fn regulars() -> Vec<&'static str> {
    QUICK.into_iter().chain(SLOW).collect()
}

/// Work that goes on until it is stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    pub fn start(cluster: &Cluster, seed: u64) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let board = cluster.hub.post("the board");
        cluster.mentioned(&board, "");
        let mentions = Mentions {
            hub: cluster.hub.client.clone(),
            recorder: cluster.recorder.clone(),
        };
        let submits = Submits {
            hosts: cluster.members.iter().map(|member| hasty(&member.url())).collect(),
            names: cluster.members.iter().map(|member| member.name.clone()).collect(),
            recorder: cluster.recorder.clone(),
            board,
        };
        let (mut first, mut second) = (StdRng::seed_from_u64(seed), StdRng::seed_from_u64(seed ^ 1));
        let (until, also_until) = (stop.clone(), stop.clone());
        let threads = vec![
            thread::spawn(move || {
                while !until.load(Ordering::Relaxed) {
                    mentions.one(&mut first);
                    thread::sleep(MENTION_EVERY);
                }
            }),
            thread::spawn(move || submits.many(&mut second, &also_until)),
        ];
        Load { stop, threads }
    }

    /// Begins nothing new, and returns when all that was submitted has been acknowledged.
    #[track_caller]
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("the load ends well");
        }
    }
}

struct Mentions {
    hub: Client,
    recorder: Recorder,
}

impl Mentions {
    fn one(&self, dice: &mut StdRng) {
        let everybody = regulars();
        let agent = *everybody.choose(dice).expect("there are agents");
        let post = json!({ "author_name": "ada", "content": format!("@{agent} what is {}?", dice.random::<u16>()) });
        let created = self.hub.post("/api/v1/posts", &post).expect(201).json();
        let what = What::Mentioned {
            post: created["id"].as_str().expect("a post has an id").to_owned(),
            agent: agent.to_owned(),
        };
        self.recorder.note("", what);
    }
}

struct Submits {
    hosts: Vec<Client>,
    names: Vec<String>,
    recorder: Recorder,
    /// A post for agents to comment on.
    board: String,
}

impl Submits {
    /// Submits until `stop`, and what got no answer again and again, by way of any host.
    fn many(&self, dice: &mut StdRng, stop: &AtomicBool) {
        let mut unanswered: Vec<Value> = Vec::new();
        loop {
            if !stop.load(Ordering::Relaxed) {
                unanswered.push(self.item(dice));
            } else if unanswered.is_empty() {
                return;
            }
            let at = dice.random_range(0..unanswered.len());
            if self.acknowledged(&unanswered[at], dice) {
                unanswered.swap_remove(at);
            }
            thread::sleep(SUBMIT_EVERY / (1 + u32::try_from(unanswered.len()).unwrap_or(u32::MAX).min(9)));
        }
    }

    fn item(&self, dice: &mut StdRng) -> Value {
        let id = Uuid::now_v7().to_string();
        let (agent, payload) = if dice.random_ratio(1, FAILS) {
            let deed = ["trap", "fail transient no", "clock", "clock", "clock"].choose(dice);
            (FAILING, deed.expect("there are deeds").to_string())
        } else {
            let everybody = regulars();
            let payload = match dice.random_range(0..4) {
                0 => "sleep 300".to_owned(),
                1 => "burn 20".to_owned(),
                // What it says is its own: whoever reads the board sees how often it was done.
                _ => format!("comment {} {id}", self.board),
            };
            (*everybody.choose(dice).expect("there are agents"), payload)
        };
        let priority = ["high", "normal", "low"].choose(dice).expect("there are priorities");
        json!({ "id": id, "agent": agent, "agent_id": agent, "payload": payload, "priority": priority })
    }

    fn acknowledged(&self, item: &Value, dice: &mut StdRng) -> bool {
        let at = dice.random_range(0..self.hosts.len());
        let from = self.recorder.now();
        let answer = self.hosts[at].try_send("POST", "/api/v1/items", Some(item));
        let acknowledged = match &answer {
            Ok(answer) if answer.status < 500 && answer.status != 429 => {
                assert_eq!(answer.status, 201, "{}", answer.body);
                true
            }
            _ => false,
        };
        if acknowledged {
            let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
            let what = What::Submitted {
                item: text("id"),
                agent: text("agent"),
                payload: text("payload"),
            };
            self.recorder.span(&self.names[at], from, self.recorder.now(), what);
        }
        acknowledged
    }
}
