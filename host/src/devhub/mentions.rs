//! Finds who a text speaks to: `@name`, as people write it in prose.
//!
//! `(@echo)`, `@echo,` and `@Echo` mention `echo`; `ada@echo.org` and `@echo@example.org` do not. A sentence may end in
//! a name (`ask @echo.`), and a name may end in a dot, so what follows the `@` is tried as it stands first, and then
//! with trailing punctuation taken off, until it names an agent.

use super::input::is_agent_name;

/// The agents that a text mentions, each once, in order of their first mention. `is_agent` looks a name up.
pub(super) fn mentions<E>(text: &str, mut is_agent: impl FnMut(&str) -> Result<bool, E>) -> Result<Vec<String>, E> {
    let mut found: Vec<String> = Vec::new();
    for (at, _) in text.match_indices('@') {
        if text[..at].chars().next_back().is_some_and(joins_word) {
            continue;
        }
        let rest = &text[at + 1..];
        let end = rest.find(|c| !in_name(c)).unwrap_or(rest.len());
        if rest[end..].starts_with('@') {
            continue;
        }
        let mut name = rest[..end].to_ascii_lowercase();
        loop {
            if is_agent_name(&name) && is_agent(&name)? {
                if !found.contains(&name) {
                    found.push(name);
                }
                break;
            }
            if !name.ends_with(['.', '-', '_']) {
                break;
            }
            name.pop();
        }
    }
    Ok(found)
}

/// Whether an `@` after this character belongs to an e-mail address, a URL or another handle.
fn joins_word(before: char) -> bool {
    before.is_alphanumeric() || matches!(before, '_' | '+' | '/' | '@')
}

fn in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, agents: &[&str]) -> Vec<String> {
        mentions(text, |name| Ok::<_, ()>(agents.contains(&name))).unwrap()
    }

    #[test]
    fn names_are_found_in_prose() {
        let cases: &[(&str, &[&str])] = &[
            ("@echo", &["echo"]),
            ("hi @echo, how are you?", &["echo"]),
            ("(@echo)", &["echo"]),
            ("ask @echo.", &["echo"]),
            ("ask @echo...", &["echo"]),
            ("@Echo!", &["echo"]),
            ("@echo's answer", &["echo"]),
            ("-@echo", &["echo"]),
            ("…@echo", &["echo"]),
            ("@echo @echo @echo", &["echo"]),
            ("@other and @echo", &["other", "echo"]),
            ("a@echo", &[]),
            ("é@echo", &[]),
            ("ada@echo.org", &[]),
            ("@echo@example.org", &[]),
            ("https://example.org/@echo", &[]),
            ("@echoes", &[]),
            ("@ echo", &[]),
            ("@", &[]),
            ("@.", &[]),
            ("", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(found(text, &["echo", "other"]), *expected, "{text}");
        }
    }

    #[test]
    fn a_trailing_dot_belongs_to_the_name_if_such_an_agent_exists() {
        assert_eq!(found("ask @echo.", &["echo", "echo."]), ["echo."]);
        assert_eq!(found("ask @echo..", &["echo", "echo."]), ["echo."]);
        assert_eq!(found("ask @echo", &["echo", "echo."]), ["echo"]);
    }

    #[test]
    fn a_long_run_of_name_characters_is_cheap_and_no_name() {
        let mut lookups = 0;
        let text = format!("@{}", ".".repeat(60_000));
        let names = mentions(&text, |_| {
            lookups += 1;
            Ok::<_, ()>(false)
        })
        .unwrap();
        assert!(names.is_empty());
        assert!(lookups <= 64, "{lookups}");
    }
}
