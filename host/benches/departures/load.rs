//! Steady work for the hosts: items that take a second, for agents of their own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::json;
use warren_tests::{cluster::hasty, host::Agent, http::Client};

use super::member::Member;

/// More than run at any moment, so that no item waits for its agent.
const AGENTS: usize = 60;
/// Thirty a second: about thirty run at any moment.
const EVERY: Duration = Duration::from_millis(33);

fn name(n: usize) -> String {
    format!("worker-{}", n % AGENTS)
}

/// Whom the hosts need for it.
pub fn agents() -> Vec<Agent> {
    (0..AGENTS).map(|n| Agent::hostile(&name(n), "answer")).collect()
}

/// Submits an item for each agent that sleeps so long; their ids.
pub fn one_each(api: &Client, sleep: Duration) -> Vec<String> {
    (0..AGENTS)
        .map(|n| submit(api, n, sleep).unwrap_or_else(|why| panic!("no item could be submitted: {why}")))
        .collect()
}

fn submit(api: &Client, n: usize, sleep: Duration) -> Result<String, String> {
    let (name, payload) = (name(n), format!("sleep {}", sleep.as_millis()));
    let item = json!({ "agent": name, "agent_id": name, "payload": payload });
    let answer = api.try_send("POST", "/api/v1/items", Some(&item))?;
    match answer.json()["id"].as_str() {
        Some(id) if answer.status == 201 => Ok(id.to_owned()),
        _ => Err(answer.body),
    }
}

/// Work that goes on until it is dropped.
pub struct Load {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    pub fn start(members: &[Member]) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let apis: Vec<Client> = members.iter().map(|member| hasty(&member.process.url())).collect();
        let until = stop.clone();
        let thread = thread::spawn(move || {
            for n in 0.. {
                if until.load(Ordering::Relaxed) {
                    return;
                }
                // One host in three is dead at times: what it does not take is nobody's loss here.
                let _ = submit(&apis[n % apis.len()], n, Duration::from_secs(1));
                thread::sleep(EVERY);
            }
        });
        Load {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // If it has panicked, it has said so.
            let _ = thread.join();
        }
    }
}
