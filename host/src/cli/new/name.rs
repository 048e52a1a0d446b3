//! What a new agent can be called: the name of an agent, of a plugin and of a crate at once.

use crate::domain::ids::AgentName;

/// What cargo or the compiler keeps for itself, and the packages of Warren.
const TAKEN: [&str; 60] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "warren",
    "warren-guest-sdk",
    "warren-tests",
    "where",
    "while",
    "xtask",
    "yield",
    "proc_macro",
];

/// The name, checked; or what is wrong with it and what is allowed.
pub fn check(name: &str) -> Result<AgentName, String> {
    let agent = AgentName::new(name).map_err(|error| error.to_string())?;
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || name.contains('.') {
        return Err(format!(
            "{name:?} can't be the name of a crate: it must begin with a letter, and have no dot; use a-z 0-9 - _"
        ));
    }
    if TAKEN.contains(&name) {
        return Err(format!(
            "{name:?} is a word of Rust or a package of Warren; choose another name, such as {name}-agent"
        ));
    }
    Ok(agent)
}

/// The name of its type: `night-watch` becomes `NightWatchAgent`. The end keeps it apart from the SDK's names.
pub fn type_name(name: &AgentName) -> String {
    let words = name.as_str().split(['-', '_']);
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    words.filter_map(capital).chain(["Agent".to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_for_agent_plugin_and_crate() {
        for good in ["parrot", "night-watch", "a", "x_9"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for (bad, words) in [
            ("", "1"),
            ("Parrot", "a-z 0-9 - _"),
            ("../etc", "a-z 0-9 - _"),
            ("9lives", "begin with a letter"),
            ("-x", "begin with a letter"),
            ("a.b", "no dot"),
            ("match", "match-agent"),
            ("warren-tests", "package of Warren"),
        ] {
            let error = check(bad).unwrap_err();
            assert!(error.contains(words), "{bad}: {error}");
        }
    }

    #[test]
    fn a_type_is_called_after_its_agent() {
        let name = |text| type_name(&AgentName::new(text).unwrap());
        assert_eq!(name("parrot"), "ParrotAgent");
        assert_eq!(name("night-watch_2"), "NightWatch2Agent");
        assert_eq!(name("agent"), "AgentAgent");
    }
}
