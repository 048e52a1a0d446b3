//! Keys that somebody else has taken, each of the prefix in turn: what can't be done is not done at all and is told by the
//! key's name, and hosts go on once it is deleted.

use std::collections::BTreeMap;

use warren::{
    domain::{
        ending::{Ending, Reason},
        event::NewEvent,
        ids::{ItemId, PluginName},
        plugin::Digest,
    },
    ports::{
        agent_records::BreakerCommand,
        agent_state::{StateQuota, StateScope},
        leadership::{Acquired, Bid},
        store::{Store, StoreError, StorePolicy},
        work_queue::{Claimed, Fence, GiveBack, ItemFilter},
    },
};

use super::{
    effects::comment,
    harness::Harness,
    leadership::{TTL, bid},
    redis::{PREFIX, RedisHarness, Shared},
    support::*,
};

/// The table of all keys: what is added there is tried here.
const TABLE: &str = include_str!("../../src/adapters/redis/keys.rs");

/// Every key that a store has one of: without the prefix, and whether it holds a string.
fn keys() -> Vec<(String, bool)> {
    let rows = TABLE.lines().filter_map(|line| line.trim().strip_prefix("(\""));
    let keys: Vec<_> = rows
        .filter_map(|row| {
            let words: Vec<&str> = row.split('"').collect();
            let name = (*words.get(2)?).to_owned();
            // Not the two of which there are many, by what stands behind them.
            (!name.ends_with(':')).then(|| (name, words.get(4) == Some(&"string")))
        })
        .collect();
    assert!(keys.len() >= 25, "the table of keys is read wrongly: {keys:?}");
    keys
}

/// A store in which there is something of everything.
struct Lived {
    harness: RedisHarness,
    store: Store,
    claimed: Claimed,
    leads: Bid,
    fence: Fence,
    dead: ItemId,
}

impl Lived {
    async fn in_place(place: &Shared) -> Lived {
        let mut policy = StorePolicy {
            max_attempts: 1,
            ..policy()
        };
        policy.breaker.threshold = 2;
        let harness = RedisHarness::fresh_in(place, policy).await;
        let store = harness.store();
        let leads = bid("h1");
        let Acquired::Won(term) = store.leadership.acquire(&leads).await.unwrap() else {
            panic!("it is free")
        };
        let fence = Fence {
            holder: leads.holder.clone(),
            term,
        };
        store.leadership.acquire(&bid("h2")).await.unwrap();
        let mut died = Vec::new();
        for name in ["d", "e", "e"] {
            let item = direct(name);
            add_ready(&store, &item).await;
            end(&store, &claim_item(&store, &item).await, Reason::Trap).await;
            died.push(item.id);
        }
        // Behind a breaker, behind an active item, and ready in every list.
        add(&store, &direct("e")).await;
        for item in [inbox("a", 1), direct("a"), inbox("b", 1), discovery("c")] {
            add(&store, &item).await;
        }
        let claimed = claim_one(&store).await;
        assert_eq!(claimed.item.agent_id, agent("a"));
        Lived {
            harness,
            store,
            claimed,
            leads,
            fence,
            dead: died[0],
        }
    }

    /// Everything that Redis holds.
    async fn held(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let dump = "local all = {} for _, key in ipairs(redis.call('KEYS', '*')) do \
                    all[#all + 1] = key all[#all + 1] = redis.call('DUMP', key) end return all";
        let all: Vec<Vec<u8>> = self.harness.redis(&["EVAL", dump, "0"]).await;
        all.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
    }

    /// The same for people, and to be compared: how Redis writes a hash down changes by itself.
    async fn told(&self) -> BTreeMap<String, Vec<String>> {
        let mut all = BTreeMap::new();
        let mut connection = self.harness.beside().await;
        let keys: Vec<String> = self.harness.redis(&["KEYS", "*"]).await;
        for key in keys {
            let kind: String = redis::cmd("TYPE").arg(&key).query_async(&mut connection).await.unwrap();
            let mut read = redis::Cmd::new();
            match kind.as_str() {
                "hash" => read.arg("HGETALL").arg(&key),
                "list" => read.arg("LRANGE").arg(&key).arg(0).arg(-1),
                "zset" => read.arg("ZRANGE").arg(&key).arg(0).arg(-1).arg("WITHSCORES"),
                "stream" => read.arg("XRANGE").arg(&key).arg("-").arg("+"),
                _ => read.arg("GET").arg(&key),
            };
            let held: redis::Value = read.query_async(&mut connection).await.unwrap();
            let mut text: Vec<String> = match &held {
                redis::Value::Array(values) if kind == "hash" => {
                    values.chunks(2).map(|pair| format!("{pair:?}")).collect()
                }
                value => vec![format!("{value:?}")],
            };
            text.sort();
            all.insert(key, text);
        }
        all
    }

    /// Make Redis hold that, and nothing else.
    async fn put_back(&self, held: &BTreeMap<Vec<u8>, Vec<u8>>) {
        let restore = "for _, key in ipairs(redis.call('KEYS', '*')) do redis.call('DEL', key) end \
                       for n = 1, #ARGV, 2 do redis.call('RESTORE', ARGV[n], 0, ARGV[n + 1]) end return 1";
        let mut all = redis::cmd("EVAL");
        all.arg(restore).arg(0);
        for (key, dump) in held {
            all.arg(key).arg(dump);
        }
        all.query_async::<()>(&mut self.harness.beside().await).await.unwrap();
    }

    /// What hosts and operators ask of a store.
    async fn ask(&self, n: usize) -> Result<(), StoreError> {
        match n {
            0..10 => self.ask_of_the_queue(n).await,
            10..17 => self.ask_of_the_leader(n).await,
            17..20 => self.ask_of_agents(n).await,
            _ => self.read(n).await,
        }
    }

    async fn ask_of_the_queue(&self, n: usize) -> Result<(), StoreError> {
        let (queue, claimed, agents) = (&self.store.queue, &self.claimed, &self.store.agents);
        match n {
            0 => queue.enqueue(Some(&self.fence), vec![inbox("f", 1)]).await.map(drop),
            1 => {
                let many = vec![inbox("f", 1), direct("g"), discovery("g"), direct("e"), inbox("b", 7)];
                queue.enqueue(None, many).await.map(drop)
            }
            2 => queue.claim(&request(&host("h1"), 3)).await.map(drop),
            3 => {
                let ending = Ending::new(Reason::Trap, "");
                queue.complete(&completion(claimed, ending)).await.map(drop)
            }
            4 => {
                let (item, token) = (claimed.item.id, claimed.token);
                queue.give_back(item, token, GiveBack::Shutdown).await
            }
            5 => agents.set_paused(&agent("b"), true).await.map(drop),
            6 => {
                let command = BreakerCommand::ForceOpen;
                agents.command_breaker(&agent("b"), command).await.map(drop)
            }
            7 => queue.sweep().await.map(drop),
            8 => queue.requeue_dead(&[self.dead]).await.map(drop),
            _ => queue.purge_dead(&[self.dead]).await.map(drop),
        }
    }

    async fn ask_of_the_leader(&self, n: usize) -> Result<(), StoreError> {
        let (leadership, fence) = (&self.store.leadership, &self.fence);
        match n {
            10 => leadership.renew(fence, TTL).await,
            11 => leadership.acquire(&self.leads).await.map(drop),
            12 => leadership.release(fence).await,
            13 => leadership.reserve(fence, &host("h2"), seconds(2)).await,
            14 => leadership.save_state(fence, "a state").await,
            15 => self.store.hosts.beat(&self.leads.holder, "{}", TTL).await,
            _ => {
                let event = NewEvent {
                    kind: "store_lost_data",
                    host: Some(host("h1")),
                    agent: None,
                    item: None,
                    detail: String::new(),
                };
                self.store.events.append(event).await
            }
        }
    }

    async fn ask_of_agents(&self, n: usize) -> Result<(), StoreError> {
        let (store, claimed) = (&self.store, &self.claimed);
        let scope = StateScope {
            agent: claimed.item.agent_id.clone(),
            item: claimed.item.id,
            token: claimed.token,
        };
        let quota = StateQuota {
            bytes: 100,
            keys: 3,
            value: 60,
        };
        match n {
            17 => store.effects.begin(&comment(claimed, "n")).await.map(drop),
            18 => store.agent_state.set(&scope, "k", b"v", &quota).await.map(drop),
            _ => {
                let plugin = PluginName::new("p").unwrap();
                store.plugins.generation(&plugin, &Digest([7; 32])).await.map(drop)
            }
        }
    }

    async fn read(&self, n: usize) -> Result<(), StoreError> {
        let store = &self.store;
        let filter = ItemFilter {
            limit: 10,
            ..ItemFilter::default()
        };
        match n {
            20 => store.queue.health().await.map(drop),
            21 => store.queue.stats().await.map(drop),
            22 => store.queue.items(&filter).await.map(drop),
            23 => store.agents.in_backoff(10).await.map(drop),
            24 => store.leadership.candidates().await.map(drop),
            25 => store.hosts.list().await.map(drop),
            _ => store.leadership.leader().await.map(drop),
        }
    }

    async fn set_wrong(&self, key: &str, is_string: bool) {
        let wrong: &[&str] = match is_string {
            true => &["RPUSH", key, "somebody's"],
            false => &["SET", key, "somebody's"],
        };
        let _: redis::Value = self.harness.redis(wrong).await;
    }
}

/// How many of the questions of [`Lived::ask`] there are.
const QUESTIONS: usize = 27;

#[track_caller]
fn names_it(error: &StoreError, key: &str, kind: &str, what: &str) {
    assert!(matches!(error, StoreError::Corrupt(_)), "{what}: {error}");
    let words = error.to_string();
    for word in [key, kind, "rename or delete"] {
        assert!(words.contains(word), "{what}: {word}: {words}");
    }
}

#[tokio::test]
async fn keys_of_the_wrong_type_are_named_and_nothing_is_half_done() {
    let place = RedisHarness::place().await;
    let lived = Lived::in_place(&place).await;
    let good = lived.held().await;
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    for (name, is_string) in keys() {
        let key = format!("{PREFIX}{name}");
        let mut wrong = good.clone();
        wrong.remove(key.as_bytes());
        lived.put_back(&wrong).await;
        lived.set_wrong(&key, is_string).await;
        let (wrong, told) = (lived.held().await, lived.told().await);
        for n in 0..QUESTIONS {
            let what = format!("{key}, question {n}");
            lived.put_back(&wrong).await;
            let Err(error) = lived.ask(n).await else { continue };
            names_it(&error, &key, if is_string { "list" } else { "string" }, &what);
            let now = lived.told().await;
            let changed: Vec<&String> = now.keys().filter(|key| now.get(*key) != told.get(*key)).collect();
            assert!(now.len() >= told.len(), "{what}: something is gone");
            assert!(changed.is_empty(), "{what}: half done, {changed:?}");
            *refused.entry(name.clone()).or_default() += 1;
            lived.put_back(&good).await;
            if let Err(error) = lived.ask(n).await {
                panic!("{what}: {error}");
            }
        }
    }
    for (name, _) in keys() {
        // Wake-ups are best effort: who is not woken looks by itself.
        assert!(
            refused.contains_key(&name) || name == "warren:wake",
            "nothing that was asked needs {name}: {refused:?}"
        );
    }
}

/// What stood in the key is gone with it: the rest is still a store that works.
#[tokio::test]
async fn hosts_go_on_once_a_key_of_the_wrong_type_is_deleted() {
    let place = RedisHarness::place().await;
    let lived = Lived::in_place(&place).await;
    let good = lived.held().await;
    for (name, is_string) in keys() {
        let key = format!("{PREFIX}{name}");
        lived.put_back(&good).await;
        let _: i64 = lived.harness.redis(&["DEL", &key]).await;
        lived.set_wrong(&key, is_string).await;
        for n in 0..QUESTIONS {
            if let Err(StoreError::Corrupt(words)) = lived.ask(n).await {
                assert!(words.contains(&key), "{key}, question {n}: {words}");
            }
        }
        let _: i64 = lived.harness.redis(&["DEL", &key]).await;
        for n in 0..QUESTIONS {
            if let Err(error @ (StoreError::Corrupt(_) | StoreError::Unavailable(_))) = lived.ask(n).await {
                panic!("{key}, question {n}, once it is deleted: {error}");
            }
        }
        // What comes now is done, whatever is left of what was there.
        let (store, item) = (&lived.store, direct("new"));
        add(store, &item).await;
        lived.harness.advance(LEASE * 2);
        sweep(store).await;
        let claims = claim(store, 20).await;
        let mine = claims.iter().find(|claimed| claimed.item.id == item.id);
        end(store, mine.unwrap_or_else(|| panic!("{key}: {claims:?}")), Reason::Ok).await;
        assert_eq!(record(store, item.id).await.state.as_str(), "done", "{key}");
    }
}
