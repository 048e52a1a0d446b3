//! The scripts: one per state change, each in a file of its own under `lua/`, kept by Redis as the functions of one library.
//!
//! A file's header is read here: `KEYS:` names the keys, which the script then has under the same words in upper case;
//! `Uses:` names the parts that stand before it. What the store decides by is written in as constants, and so are the
//! names of the keys, so that a call carries only what is its own, and one key that says where it belongs.
//!
//! The library is named by its prefix and its content: hosts of other versions, prefixes or policies have libraries of
//! their own. A host that starts with a new one removes the others of its prefix; one that still uses one of
//! them loads it again.

use std::fmt::Write;

use sha2::{Digest, Sha256};

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
    /// What Redis calls it.
    pub function: String,
    /// Names and kinds of all the keys that it touches.
    pub keys: Vec<(String, Kind)>,
}

/// What Redis is given once.
pub(super) struct Library {
    pub name: String,
    pub text: String,
    /// What the names of all libraries of this prefix begin with.
    pub family: String,
}

const PARTS: [(&str, &str); 22] = [
    ("idle", include_str!("lua/parts/idle.lua")),
    ("base", include_str!("lua/parts/base.lua")),
    ("fence", include_str!("lua/parts/fence.lua")),
    ("leader", include_str!("lua/parts/leader.lua")),
    ("candidates", include_str!("lua/parts/candidates.lua")),
    ("ranks", include_str!("lua/parts/ranks.lua")),
    ("plain_claimed", include_str!("lua/parts/plain_claimed.lua")),
    ("plain_enqueue", include_str!("lua/parts/plain_enqueue.lua")),
    ("plain_claim", include_str!("lua/parts/plain_claim.lua")),
    ("plain_complete", include_str!("lua/parts/plain_complete.lua")),
    ("writes", include_str!("lua/parts/writes.lua")),
    ("signals", include_str!("lua/parts/signals.lua")),
    ("agents", include_str!("lua/parts/agents.lua")),
    ("breaker", include_str!("lua/parts/breaker.lua")),
    ("items", include_str!("lua/parts/items.lua")),
    ("order", include_str!("lua/parts/order.lua")),
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
        pub(super) struct Scripts { pub library: Library, $(pub $name: Prepared),+ }

        impl Scripts {
            pub fn prepare(keys: &Keys, policy: &StorePolicy) -> Scripts {
                let library = library(SOURCES, keys, &constants(policy));
                Scripts {
                    $($name: Prepared {
                        function: function(&library.name, stringify!($name)),
                        keys: header(include_str!(concat!("lua/", stringify!($name), ".lua")), "KEYS")
                            .filter_map(|name| keys.named(name))
                            .collect(),
                    },)+
                    library,
                }
            }
        }

        const SOURCES: &[(&str, &str)] = &[$((stringify!($name), include_str!(concat!("lua/", stringify!($name), ".lua")))),+];
    };
}

scripts!(
    open,
    enqueue,
    claim,
    complete,
    give_back,
    plugin_came,
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
    watch,
    list,
    stats,
    agents,
    backoff,
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

fn function(library: &str, script: &str) -> String {
    format!("{library}_{script}")
}

/// In hexadecimal digits.
fn digest(text: &str) -> String {
    let mut digits = String::new();
    for byte in Sha256::digest(text) {
        // Writing to a string does not fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// All scripts as one library. Its name is in its functions' names, so the name is of what it is without it.
fn library(sources: &[(&str, &str)], keys: &Keys, constants: &[(&'static str, String)]) -> Library {
    let text_for = |library: &str| -> String {
        let functions = sources
            .iter()
            .map(|(name, source)| text(&function(library, name), source, keys, constants));
        format!("#!lua name={library}\n{}", functions.collect::<String>())
    };
    let family = format!("warren_{}_", &digest(&keys.of("data"))[..8]);
    let name = format!("{family}{}", &digest(&text_for("warren"))[..16]);
    Library {
        text: text_for(&name),
        name,
        family,
    }
}

/// The function of a script's file.
fn text(function: &str, source: &str, keys: &Keys, constants: &[(&'static str, String)]) -> String {
    let (first, own) = source.split_once('\n').unwrap_or((source, ""));
    let parts: Vec<&str> = header(source, "Uses")
        .filter_map(|part| PARTS.iter().find(|(name, _)| *name == part))
        .map(|(_, text)| *text)
        .collect();
    let mut words: Words = constants
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    for name in header(source, "KEYS") {
        // Of keys of which there are many the caller names one.
        let text = match name {
            "kept" | "heartbeat" => "KEYS[2]".to_owned(),
            _ => quoted(&keys.of(name)),
        };
        words.insert(name.to_uppercase(), text);
    }
    let flags: Vec<String> = first
        .split_once("flags=")
        .map_or("", |(_, flags)| flags)
        .split(',')
        .filter(|flag| !flag.is_empty())
        .map(|flag| format!("'{flag}'"))
        .collect();
    let register = format!("function_name='{function}',flags={{{}}}", flags.join(","));
    assemble(&parts, own, words, &register)
}

/// A string of Lua with this text, whatever it is.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("'");
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b":_-{}./".contains(&byte) {
            quoted.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(quoted, "\\{byte:03}");
        }
    }
    quoted + "'"
}

#[cfg(test)]
mod tests {
    use super::{
        super::{assemble::tokens, keys::KEYS},
        *,
    };

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
        let known: Vec<String> = KEYS.iter().map(|(word, ..)| word.to_uppercase()).collect();
        let constants = constants(&StorePolicy::default());
        for (name, source) in SOURCES {
            // Of what is declared, nothing is left: its name is written in.
            let text = text(name, source, &Keys::new(""), &constants);
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

    #[test]
    fn a_library_is_named_by_its_content() {
        let of = |prefix: &str, max_queue: u64| {
            let policy = StorePolicy {
                max_queue,
                ..StorePolicy::default()
            };
            Scripts::prepare(&Keys::new(prefix), &policy)
        };
        let one = of("", 10);
        assert_eq!(one.library.name, of("", 10).library.name);
        assert!(
            one.library
                .text
                .starts_with(&format!("#!lua name={}\n", one.library.name))
        );
        assert!(one.claim.function.starts_with(&one.library.name));
        for other in [of("p:", 10), of("", 11)] {
            assert_ne!(one.library.name, other.library.name);
        }
    }

    #[test]
    fn any_prefix_is_a_string() {
        assert_eq!(quoted("{s0}:a'b\\c\n\"é"), r"'{s0}:a\039b\092c\010\034\195\169'");
    }
}
