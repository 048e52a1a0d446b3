//! Finds whom a text mentions, by the rules of the development Hub: `@name` in prose, but not in an address.

const LONGEST_NAME: usize = 64;

/// Whether a text mentions the agent of this name.
pub(super) fn mentions(text: &str, agent: &str) -> bool {
    text.match_indices('@').any(|(at, _)| {
        if text[..at].chars().next_back().is_some_and(joins_word) {
            return false;
        }
        let rest = &text[at + 1..];
        let end = rest.find(|c| !in_name(c)).unwrap_or(rest.len());
        if rest[end..].starts_with('@') {
            return false;
        }
        // A sentence may end in a name, and a name in a dot: what follows is tried as it stands, then without its end.
        let name = rest[..end].to_ascii_lowercase();
        name.strip_prefix(agent)
            .is_some_and(|more| more.bytes().all(|b| matches!(b, b'.' | b'-' | b'_')))
    })
}

/// Whether this can be an agent's name.
pub(super) fn is_agent_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len())
        && name.chars().all(in_name)
        && !name.bytes().any(|b| b.is_ascii_uppercase())
}

fn joins_word(before: char) -> bool {
    before.is_alphanumeric() || matches!(before, '_' | '+' | '/' | '@')
}

fn in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_prose_and_not_in_addresses() {
        for text in ["@echo", "hi @Echo, you", "(@echo)", "ask @echo...", "…@echo", "@echo's"] {
            assert!(mentions(text, "echo"), "{text}");
        }
        for text in [
            "a@echo",
            "@echo@example.org",
            "https://x.org/@echo",
            "@echoes",
            "@ echo",
            "@",
            "",
        ] {
            assert!(!mentions(text, "echo"), "{text}");
        }
    }
}
