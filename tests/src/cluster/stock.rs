//! What there is to see of a cluster once all has calmed down, for its history.

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::Cluster;
use crate::{
    SOON, checkers,
    history::{HubEffect, What},
    hub::HubProcess,
};

impl Cluster {
    /// Adds to the history what the Hub did and holds, and what became of every submitted item: to be called once all
    /// should have calmed down.
    #[track_caller]
    pub fn take_stock(&self) {
        // Not one more panic: a host that does nothing is the checkers' to name.
        let given_up = Instant::now() + SOON;
        while !checkers::resumed(&self.recorder.history()) && Instant::now() < given_up {
            thread::sleep(Duration::from_millis(200));
        }
        for effect in effects(&self.hub) {
            self.recorder.note("", What::Effect(effect));
        }
        self.take_events();
        let (mut items, mut posts, mut agents) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for record in self.recorder.history() {
            match record.what {
                What::Submitted { item, .. } => _ = items.insert(item),
                What::Mentioned { post, agent } => {
                    posts.insert(post);
                    agents.insert(agent);
                }
                _ => {}
            }
        }
        for post in posts {
            for (agent, text) in self.hub.comments(&post) {
                let post = post.clone();
                self.recorder.note("", What::Comment { post, agent, text });
            }
        }
        for agent in agents.into_iter().filter(|agent| !agent.is_empty()) {
            let count = self.hub.unread(&agent);
            self.recorder.note("", What::Unread { agent, count });
        }
        for item in items {
            let (state, reason) = self.became(&item);
            self.recorder.note("", What::Became { item, state, reason });
        }
    }

    /// What the cluster tells of itself.
    #[track_caller]
    fn take_events(&self) {
        let (api, mut after) = (self.members[0].host.api(), 0);
        loop {
            let list = api
                .get(&format!("/api/v1/events?after={after}&limit=1000"))
                .expect(200)
                .json();
            let events = list["events"].as_array().expect("a list of events");
            if events.is_empty() {
                return;
            }
            for event in events {
                let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
                let (kind, detail) = (text("kind"), text("detail"));
                self.recorder.note(&text("host"), What::Event { kind, detail });
            }
            after = list["next"].as_u64().expect("where it goes on");
        }
    }

    /// State and reason of an item; no state if the store does not know it.
    #[track_caller]
    fn became(&self, item: &str) -> (Option<String>, String) {
        let answer = self.members[0].host.api().get(&format!("/api/v1/items/{item}"));
        if answer.status == 404 {
            return (None, String::new());
        }
        let view = answer.expect(200).json();
        let text = |name: &str| view[name].as_str().map(str::to_owned);
        (text("state"), text("reason").unwrap_or_default())
    }
}

/// What the Hub has written, in order.
#[track_caller]
fn effects(hub: &HubProcess) -> Vec<HubEffect> {
    let log = hub.client.get("/admin/log?limit=100000").expect(200).json();
    let effects = log["effects"].as_array().expect("the Hub's log has effects");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let read = |effect: &Value| HubEffect {
        effect: text(&effect["effect"]),
        agent: text(&effect["agent_id"]),
        target: text(&effect["target"]),
        key: effect["idempotency_key"].as_str().map(str::to_owned),
        repeat: effect["repeat"] == true,
        detail: effect["detail"].to_string(),
    };
    effects.iter().map(read).collect()
}
