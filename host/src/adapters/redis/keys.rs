//! The names of the keys, each made in one place. Scripts name them by the same words (see `scripts`).

use crate::domain::ids::AgentId;

/// What a key holds, as `TYPE` says it.
pub(super) type Kind = &'static str;

/// Keys of our own and the familiar ones: the word of the scripts, the name behind the prefix, what it holds.
pub(super) const KEYS: [(&str, &str, Kind); 27] = [
    ("meta", "warren:meta", "hash"),
    ("data", "warren:data", "hash"),
    ("index", "warren:index", "zset"),
    ("ready_high", "warren:ready:high", "zset"),
    ("ready_normal", "warren:ready:normal", "zset"),
    ("ready_low", "warren:ready:low", "zset"),
    ("delayed", "warren:delayed", "zset"),
    ("leases", "warren:leases", "zset"),
    ("dead", "warren:dead", "zset"),
    ("order", "warren:order", "zset"),
    ("ages", "warren:ages", "list"),
    ("leader", "warren:leader", "hash"),
    ("candidates", "warren:leader:candidates", "hash"),
    ("effects", "warren:effects", "hash"),
    ("effect_ages", "warren:effects:ages", "zset"),
    ("events", "warren:events", "stream"),
    ("wake", "warren:wake", "list"),
    ("hosts", "warren:hosts", "hash"),
    ("queue_high", "work:queue:high", "list"),
    ("queue_normal", "work:queue:normal", "list"),
    ("queue_low", "work:queue:low", "list"),
    ("active", "work:active", "hash"),
    ("failures", "work:failures", "hash"),
    ("backoff", "work:backoff", "hash"),
    ("lease", "coordinator:leader", "string"),
    // The two of which there are many, by what stands behind.
    ("kept", "warren:state:", "hash"),
    ("heartbeat", "runner:heartbeat:", "string"),
];

/// The keys of one cluster: every name begins with its prefix, which may hold a hash tag.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub fn new(prefix: &str) -> Keys {
        Keys {
            prefix: prefix.to_owned(),
        }
    }

    /// The key that scripts call `word`, with what it holds.
    pub fn named(&self, word: &str) -> Option<(String, Kind)> {
        let (_, name, kind) = KEYS.iter().find(|(known, ..)| *known == word)?;
        Some((format!("{}{name}", self.prefix), kind))
    }

    pub fn of(&self, word: &str) -> String {
        self.named(word).map_or_else(String::new, |(name, _)| name)
    }

    /// The keys that a store has one of.
    pub fn single(&self) -> Vec<String> {
        let names = KEYS.iter().map(|(_, name, _)| name);
        let single = names.filter(|name| !name.ends_with(':'));
        single.map(|name| format!("{}{name}", self.prefix)).collect()
    }

    /// What another system's runner renews while it lives.
    pub fn heartbeat_of(&self, runner: &str) -> String {
        format!("{}{runner}", self.of("heartbeat"))
    }

    /// What an agent keeps: its own keys and values.
    pub fn state_of(&self, agent: &AgentId) -> String {
        format!("{}{agent}", self.of("kept"))
    }
}
