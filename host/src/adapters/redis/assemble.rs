//! A script's text, put together from its file and the parts that it names.
//!
//! Redis runs the whole text at every call, and a closure costs more the more locals it captures. So what never changes
//! during a call is no local: constants and keys are written in where they are used; and of the parts only the functions
//! that are called are taken.

use std::{collections::HashMap, fmt::Write};

/// Words and what is written in their place.
pub(super) type Words = HashMap<String, String>;

/// A piece of Lua: a word (a name or a number), or something else as it stands (a string with its quotes, a sign).
pub(super) fn tokens(source: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '-' if rest.starts_with("--") => {
                rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
                continue;
            }
            '\'' | '"' => string_length(rest, first),
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        found.push(&rest[..length]);
        rest = &rest[length..];
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The bytes of a string with both of its quotes.
fn string_length(source: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in source.char_indices().skip(1) {
        if !escaped && c == quote {
            return at + 1;
        }
        escaped = !escaped && c == '\\';
    }
    source.len()
}

/// One statement at the left margin, with what is indented below it.
struct Statement<'a> {
    text: &'a str,
    /// The function that it defines.
    function: Option<&'a str>,
}

fn statements(source: &str) -> Vec<Statement<'_>> {
    let mut found: Vec<Statement<'_>> = Vec::new();
    let mut start = 0;
    let mut open = false;
    let mut at = 0;
    for line in source.split_inclusive('\n') {
        let margin = !line.starts_with([' ', '\n', '-']);
        let begins = line.starts_with("local function ");
        if margin && !open {
            start = at;
            open = begins && !line.trim_end().ends_with(" end");
        } else if margin && line.trim_end() == "end" {
            open = false;
        }
        at += line.len();
        if margin && !open {
            let text = &source[start..at];
            let function = text
                .strip_prefix("local function ")
                .and_then(|rest| rest.split('(').next());
            found.push(Statement { text, function });
        } else if !margin && !open {
            // What is indented below a statement belongs to it.
            if let Some(last) = found.last_mut().filter(|_| line.starts_with(' ')) {
                last.text = &source[start..at];
            }
        }
    }
    found
}

/// Constants that a statement like `local A, B = 1, 2` names.
fn constants(statement: &str) -> Option<Vec<(&str, &str)>> {
    let (names, values) = statement.strip_prefix("local ")?.trim_end().split_once(" = ")?;
    let names: Vec<&str> = names.split(", ").collect();
    let values: Vec<&str> = values.split(", ").collect();
    let upper = |name: &&str| {
        name.chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    };
    let literal = |value: &&str| {
        value.parse::<u64>().is_ok() || (value.len() > 2 && value.starts_with('\'') && value.ends_with('\''))
    };
    let fits = names.len() == values.len() && names.iter().all(upper) && values.iter().all(literal);
    fits.then(|| names.into_iter().zip(values).collect())
}

/// The parts and the script's own text, as Redis gets them: with `words` replaced, without comments and what is not used.
pub(super) fn assemble(parts: &[&str], own: &str, mut words: Words) -> String {
    let mut all: Vec<Statement<'_>> = parts.iter().flat_map(|part| statements(part)).collect();
    all.retain(|statement| match constants(statement.text) {
        Some(found) => {
            words.extend(
                found
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value.to_owned())),
            );
            false
        }
        None => true,
    });
    // From the last to the first: whatever is called was defined before.
    let mut used: Vec<&str> = tokens(own);
    let mut kept = vec![own];
    for statement in all.iter().rev() {
        if statement.function.is_none_or(|name| used.contains(&name)) {
            used.extend(tokens(statement.text));
            kept.push(statement.text);
        }
    }
    let mut text = String::new();
    for piece in kept.iter().rev() {
        for token in tokens(piece) {
            text.push_str(words.get(token).map_or(token, String::as_str));
        }
    }
    let mut lines = String::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        // Writing to a string does not fail.
        let _ = writeln!(lines, "{}", line.trim());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_written_in_and_what_is_not_called_is_left_out() {
        let part = "-- A part.\nlocal ONE, TWO = 1, 'two'\nlocal state = {}\nlocal function a(x)\n  return x[ONE]\nend\n\
                    local function b() return 'ONE ' .. TWO end\nlocal function c() return a(KEY) end\n";
        let own = "local function d()\n  -- TWO\n  return c()\nend\nreturn d()\n";
        let words = Words::from([("KEY".to_owned(), "KEYS[1]".to_owned())]);
        assert_eq!(
            assemble(&[part], own, words),
            "local state = {}\nlocal function a(x)\nreturn x[1]\nend\nlocal function c() return a(KEYS[1]) end\n\
             local function d()\nreturn c()\nend\nreturn d()\n"
        );
        let words = Words::default();
        assert!(assemble(&[part], "return b()", words).contains("return 'ONE ' .. 'two'"));
    }

    #[test]
    fn strings_with_quotes_are_one_token() {
        assert_eq!(tokens(r#"a'b\'c'.."d" -- e"#), ["a", r"'b\'c'", ".", ".", "\"d\"", " "]);
    }
}
