//! A script's text, put together from its file and the parts that it names.
//!
//! Redis keeps it as a function: what stands at the left margin as a function or a constant is made once, when it is
//! loaded; what a call starts from is set anew at each, and a part that returns something then has answered the call.
//! Constants and the names of keys are written in where they are used, and of the parts only the functions that are called
//! are taken.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write,
};

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
            c if is_word(c) => rest.bytes().position(|b| !is_word(char::from(b))).unwrap_or(rest.len()),
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
    /// It is the script's own, and not a part's.
    own: bool,
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
            found.push(Statement {
                text,
                function,
                own: false,
            });
        } else if !margin && !open {
            // What is indented below a statement belongs to it.
            if let Some(last) = found.last_mut().filter(|_| line.starts_with(' ')) {
                last.text = &source[start..at];
            }
        }
    }
    found
}

/// The names that a statement like `local a, b = 1, 2` or `local a` declares, and what follows them.
fn declared(statement: &str) -> Option<(Vec<&str>, Option<&str>)> {
    let rest = statement.strip_prefix("local ")?;
    if rest.starts_with("function ") {
        return None;
    }
    let line = rest.lines().next().unwrap_or(rest);
    let (names, value) = match line.split_once(" = ") {
        Some((names, _)) => (names, Some(&rest[names.len() + " = ".len()..])),
        None => (line, None),
    };
    Some((names.split(", ").map(str::trim).collect(), value))
}

fn is_constant(names: &[&str]) -> bool {
    let upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    names.iter().all(|name| name.chars().all(upper))
}

/// Constants that a statement like `local A, B = 1, 'two'` names, with the text of each.
fn literals(statement: &str) -> Option<Vec<(&str, &str)>> {
    let (names, value) = declared(statement)?;
    let values: Vec<&str> = value?.trim_end().split(", ").collect();
    let literal = |value: &&str| {
        value.parse::<u64>().is_ok()
            || (value.len() > 2 && string_length(value, '\'') == value.len() && value.starts_with('\''))
    };
    let fits = names.len() == values.len() && is_constant(&names) && values.iter().all(literal);
    fits.then(|| names.into_iter().zip(values).collect())
}

/// The parts and the script's own text as one function, which `register` names to Redis; with `words` replaced, and
/// without comments and what is not used.
pub(super) fn assemble(parts: &[&str], own: &str, mut words: Words, register: &str) -> String {
    let mut all: Vec<Statement<'_>> = parts.iter().flat_map(|part| statements(part)).collect();
    all.extend(
        statements(own)
            .into_iter()
            .map(|statement| Statement { own: true, ..statement }),
    );
    all.retain(|statement| {
        let found = literals(statement.text);
        words.extend(
            found
                .iter()
                .flatten()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        found.is_none()
    });
    // From the last to the first: whatever is called was defined before.
    let mut used: HashSet<&str> = HashSet::new();
    let mut kept = Vec::new();
    for statement in all.into_iter().rev() {
        if statement.function.is_none_or(|name| used.contains(name)) {
            used.extend(tokens(statement.text));
            kept.push(statement);
        }
    }
    kept.reverse();
    compact(&arranged(&kept, register), &words)
}

/// What is made once, then what a call does.
fn arranged(statements: &[Statement<'_>], register: &str) -> String {
    // In two functions, as one may name only so much of what is around it; and a script's own names may be a part's.
    let (mut parts, mut own) = ((String::new(), String::new()), (String::new(), String::new()));
    for statement in statements {
        let (once, each) = if statement.own { &mut own } else { &mut parts };
        match declared(statement.text) {
            _ if statement.function.is_some() => once.push_str(statement.text),
            Some((names, _)) if is_constant(&names) => once.push_str(statement.text),
            Some((names, value)) => {
                let names = names.join(", ");
                // Writing to a string does not fail, here and below.
                let _ = writeln!(once, "local {names}");
                let _ = write!(each, "{names} = {}", value.unwrap_or("nil\n"));
            }
            None => each.push_str(statement.text),
        }
    }
    format!(
        "do\nlocal KEYS, ARGV\n{}local function begin(keys, argv)\nKEYS, ARGV = keys, argv\n{}end\n{}\
         redis.register_function{{{register},callback=function(keys, argv)\nlocal early = begin(keys, argv)\n\
         if early then return early end\n{}end}}\nend\n",
        parts.0, parts.1, own.0, own.1
    )
}

/// The text with `words` replaced, without comments, indentation and empty lines.
fn compact(source: &str, words: &Words) -> String {
    let mut text = String::new();
    for token in tokens(source) {
        text.push_str(words.get(token).map_or(token, String::as_str));
    }
    let mut lines = String::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let _ = writeln!(lines, "{}", line.trim());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_written_in_what_is_made_once_is_and_what_is_not_called_is_left_out() {
        let part = "-- A part.\nlocal ONE, TWO = 1, 'two'\nlocal TABLE = { ONE }\nlocal state = {}\nlocal last\nlocal function a(x)\n  return x[ONE]\nend\n\
                    local function b() return 'ONE ' .. TWO end\nlocal function c() return a(KEY) end\n";
        let own = "local function d()\n  -- TWO\n  return c()\nend\nif state then\n  last = d()\nend\nreturn last\n";
        let words = Words::from([("KEY".to_owned(), "'key'".to_owned())]);
        assert_eq!(
            assemble(&[part], own, words, "function_name='f'"),
            "do\nlocal KEYS, ARGV\nlocal TABLE = { 1 }\nlocal state\nlocal last\nlocal function a(x)\nreturn x[1]\nend\n\
             local function c() return a('key') end\n\
             local function begin(keys, argv)\nKEYS, ARGV = keys, argv\nstate = {}\nlast = nil\nend\n\
             local function d()\nreturn c()\nend\n\
             redis.register_function{function_name='f',callback=function(keys, argv)\nlocal early = begin(keys, argv)\n\
             if early then return early end\nif state then\nlast = d()\nend\nreturn last\nend}\nend\n"
        );
        assert!(assemble(&[part], "return b()\n", Words::default(), "").contains("return 'ONE ' .. 'two'"));
    }

    #[test]
    fn strings_with_quotes_are_one_token() {
        assert_eq!(tokens(r#"a'b\'c'.."d" -- e"#), ["a", r"'b\'c'", ".", ".", "\"d\"", " "]);
    }
}
