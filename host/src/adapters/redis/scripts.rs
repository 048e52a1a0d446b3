//! The scripts: one per state change, each in a file of its own under `lua/`.
//!
//! A file's header is read here: `KEYS:` names the keys, which the script then has under the same words in upper case;
//! `Uses:` names the parts that stand before it. What the store decides by is written in as constants, so that a call
//! carries only what is its own.

use redis::Script;

use super::{
    assemble::{Words, assemble},
    keys::{Keys, Kind},
};
use crate::{
    domain::preference::{HEAD_START, LONGEST_HEAD_START},
    ports::store::StorePolicy,
};

/// A script with its keys, ready to be called.
pub(super) struct Prepared {
    pub script: Script,
    /// Names and kinds, in the order in which the script has them.
    pub keys: Vec<(String, Kind)>,
}

const PARTS: [(&str, &str); 15] = [
    ("base", include_str!("lua/parts/base.lua")),
    ("fence", include_str!("lua/parts/fence.lua")),
    ("leader", include_str!("lua/parts/leader.lua")),
    ("candidates", include_str!("lua/parts/candidates.lua")),
    ("writes", include_str!("lua/parts/writes.lua")),
    ("signals", include_str!("lua/parts/signals.lua")),
    ("agents", include_str!("lua/parts/agents.lua")),
    ("breaker", include_str!("lua/parts/breaker.lua")),
    ("items", include_str!("lua/parts/items.lua")),
    ("places", include_str!("lua/parts/places.lua")),
    ("insert", include_str!("lua/parts/insert.lua")),
    ("lose", include_str!("lua/parts/lose.lua")),
    ("hold", include_str!("lua/parts/hold.lua")),
    ("held", include_str!("lua/parts/held.lua")),
    ("effects", include_str!("lua/parts/effects.lua")),
];

macro_rules! scripts {
    ($($name:ident),+) => {
        /// All scripts, prepared for one prefix and one policy.
        pub(super) struct Scripts { $(pub $name: Prepared),+ }

        impl Scripts {
            pub fn prepare(keys: &Keys, policy: &StorePolicy) -> Scripts {
                let constants = constants(policy);
                Scripts {
                    $($name: prepare(include_str!(concat!("lua/", stringify!($name), ".lua")), keys, &constants)),+
                }
            }
        }

        #[cfg(test)]
        const SOURCES: &[(&str, &str)] = &[$((stringify!($name), include_str!(concat!("lua/", stringify!($name), ".lua")))),+];
    };
}

scripts!(
    open,
    enqueue,
    claim,
    complete,
    give_back,
    renew,
    sweep,
    adopt,
    strangers,
    stranger,
    bury,
    requeue,
    purge,
    pause,
    pause_ahead,
    paused_ahead,
    command,
    item,
    list,
    stats,
    agents,
    leader_acquire,
    leader_candidates,
    leader_renew,
    leader_release,
    leader_reserve,
    leader_save,
    leader_show,
    effect_begin,
    effect_finish,
    effect_abandon,
    state_set,
    state_delete,
    event_append,
    host_beat,
    host_leave,
    host_list,
    generation
);

/// The words after `-- <what>:` in a script's header.
fn header<'a>(source: &'a str, what: &'a str) -> impl Iterator<Item = &'a str> {
    source
        .lines()
        .filter_map(move |line| line.strip_prefix("-- ")?.strip_prefix(what)?.strip_prefix(": "))
        .flat_map(str::split_whitespace)
}

fn constants(policy: &StorePolicy) -> Vec<(&'static str, String)> {
    let millis = |span: std::time::Duration| span.as_millis().to_string();
    let breaker = &policy.breaker;
    vec![
        ("MAX_QUEUE", policy.max_queue.to_string()),
        ("FAIRNESS", policy.fairness.to_string()),
        ("THRESHOLD", breaker.threshold.to_string()),
        ("OPEN_BASE", millis(breaker.base)),
        ("OPEN_MAX", millis(breaker.max)),
        ("JITTER", breaker.jitter.to_string()),
        ("DECAY", millis(breaker.decay)),
        ("PROBE_RETRY", millis(breaker.probe_retry)),
        ("LEASE_LOSSES", breaker.lease_losses.to_string()),
        ("RETRY_BASE", millis(policy.retry.base)),
        ("RETRY_MAX", millis(policy.retry.max)),
        ("MAX_ATTEMPTS", policy.max_attempts.to_string()),
        ("COOL_BASE", millis(policy.cool_down.base)),
        ("COOL_MAX", millis(policy.cool_down.max)),
        ("KEEP_DONE", millis(policy.keep_done)),
        ("KEEP_EFFECTS", millis(policy.keep_effects)),
        ("KEEP_EVENTS", policy.keep_events.to_string()),
        ("HEAD_START", millis(HEAD_START)),
        ("LONGEST_HEAD_START", millis(LONGEST_HEAD_START)),
    ]
}

fn prepare(source: &str, keys: &Keys, constants: &[(&'static str, String)]) -> Prepared {
    Prepared {
        script: Script::new(&text(source, constants)),
        keys: header(source, "KEYS").filter_map(|name| keys.named(name)).collect(),
    }
}

/// The text that Redis gets of a script's file.
fn text(source: &str, constants: &[(&'static str, String)]) -> String {
    let (first, own) = source.split_once('\n').unwrap_or((source, ""));
    let parts: Vec<&str> = header(source, "Uses")
        .filter_map(|part| PARTS.iter().find(|(name, _)| *name == part))
        .map(|(_, text)| *text)
        .collect();
    let mut words: Words = constants
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    for (n, name) in header(source, "KEYS").enumerate() {
        words.insert(name.to_uppercase(), format!("KEYS[{}]", n + 1));
    }
    // The line that says which engine runs it has to be the first.
    format!("{first}\n{}", assemble(&parts, own, words))
}

#[cfg(test)]
mod tests {
    use super::{super::assemble::tokens, *};

    #[test]
    fn headers_name_keys_and_parts_that_exist() {
        let keys = Keys::new("");
        for (name, source) in SOURCES {
            assert!(source.starts_with("#!lua"), "{name}");
            let words: Vec<_> = header(source, "KEYS").collect();
            assert!(!words.is_empty(), "{name}");
            for word in words {
                assert!(keys.named(word).is_some(), "{name} names no key of ours: {word}");
            }
            let mut seen = String::new();
            for part in header(source, "Uses") {
                let (_, text) = PARTS.iter().find(|(known, _)| *known == part).expect(part);
                seen.push_str(text);
            }
            assert!(source.contains("-- ARGV: 1 time"), "{name}");
        }
    }

    #[test]
    fn scripts_declare_every_key_that_they_or_their_parts_touch() {
        let known: Vec<String> = [
            "data",
            "index",
            "leader",
            "lease",
            "candidates",
            "effects",
            "effect_ages",
            "events",
            "wake",
            "active",
        ]
        .iter()
        .chain(&[
            "failures",
            "backoff",
            "queue_high",
            "queue_normal",
            "queue_low",
            "kept",
            "meta",
            "hosts",
        ])
        .map(|word| word.to_uppercase())
        .collect();
        let constants = constants(&StorePolicy::default());
        for (name, source) in SOURCES {
            // Of what is declared, nothing is left: it is written as one of KEYS.
            let text = text(source, &constants);
            for word in tokens(&text) {
                assert!(
                    !known.iter().any(|key| key == word),
                    "{name} uses {word}, which is not among its KEYS"
                );
                assert!(
                    !constants.iter().any(|(constant, _)| *constant == word),
                    "{name}: {word} is no local"
                );
            }
        }
    }
}
