//! Names and ids, checked where they enter so that nothing behind them has to check again.

use std::fmt;

use thiserror::Error;
use uuid::Uuid;

/// Why a name or id was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvalidName {
    #[error("{kind} {value:?} is not valid: 1 to 64 characters of a-z 0-9 - _ . are allowed, and not only dots")]
    Name { kind: &'static str, value: String },
    #[error("{kind} {value:?} is not valid: 1 to 256 bytes without control characters are allowed")]
    Opaque { kind: &'static str, value: String },
    #[error("{kind} {value:?} is not a UUID")]
    Uuid { kind: &'static str, value: String },
}

/// What a refused value is cut to in a message: long enough to recognise it, short enough for a log line.
const SHOWN: usize = 80;

fn shown(value: &str) -> String {
    value.chars().take(SHOWN).collect()
}

fn check_name(kind: &'static str, value: &str) -> Result<(), InvalidName> {
    let fits = (1..=64).contains(&value.len())
        && value.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'))
        // Names become folder names.
        && !value.bytes().all(|b| b == b'.');
    if fits {
        Ok(())
    } else {
        Err(InvalidName::Name {
            kind,
            value: shown(value),
        })
    }
}

fn check_opaque(kind: &'static str, value: &str) -> Result<(), InvalidName> {
    let fits = (1..=256).contains(&value.len()) && !value.chars().any(char::is_control);
    if fits {
        Ok(())
    } else {
        Err(InvalidName::Opaque {
            kind,
            value: shown(value),
        })
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            pub fn new(value: impl Into<String>) -> Result<Self, InvalidName> {
                let value = value.into();
                $check($kind, &value)?;
                Ok(Self(value))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// An agent's identity on the Hub: opaque, as the Hub gave it.
    AgentId, "agent id", check_opaque
);
text_id!(
    /// An agent's name: what people mention and what its definition is filed under.
    AgentName, "agent name", check_name
);
text_id!(
    /// A plugin's name, as its manifest gives it.
    PluginName, "plugin name", check_name
);
text_id!(
    /// A host's name: the `instance_id` label. Two processes may share it for a while; `HolderId` tells them apart.
    HostName, "host name", check_opaque
);

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $fresh:path) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new one, different from every other.
            pub fn fresh() -> Self {
                Self($fresh())
            }

            pub fn parse(value: &str) -> Result<Self, InvalidName> {
                Uuid::try_parse(value)
                    .map(Self)
                    .map_err(|_| InvalidName::Uuid { kind: $kind, value: shown(value) })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id!(
    /// A work item's id. UUIDv7: sorts by the time it was made.
    ItemId, "work item id", Uuid::now_v7
);
uuid_id!(
    /// Proves that a host holds a claim. Random, never reused, made by the claiming host so that a repeated claim is
    /// recognised.
    ClaimToken, "claim token", Uuid::new_v4
);

/// Who holds the leader's lease: unique per start of a process, so that two processes on one machine can't share it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HolderId {
    pub host: HostName,
    pub start: Uuid,
}

impl HolderId {
    pub fn fresh(host: HostName) -> HolderId {
        HolderId {
            host,
            start: Uuid::new_v4(),
        }
    }
}

impl fmt::Display for HolderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.start)
    }
}

/// The fencing token of a leadership: grows by one with every acquisition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub u64);

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agent_names_are_checked() {
        for good in ["echo", "a", "claude-coder_1.2", &"x".repeat(64)] {
            assert!(AgentName::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "Echo",
            "a b",
            "ä",
            "../etc",
            "a/b",
            ".",
            "..",
            &"x".repeat(65),
            "a\n",
        ] {
            assert!(AgentName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn opaque_ids_are_bounded_and_printable() {
        assert!(AgentId::new("Agent #1/ü").is_ok());
        for bad in [String::new(), "a\nb".to_owned(), "x".repeat(257)] {
            let error = AgentId::new(bad).unwrap_err().to_string();
            assert!(error.contains("agent id") && error.len() < 250, "{error}");
        }
    }

    #[test]
    fn two_starts_of_one_host_differ() {
        let host = HostName::new("same").unwrap();
        assert_ne!(HolderId::fresh(host.clone()), HolderId::fresh(host));
    }
}
