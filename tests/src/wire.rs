//! What calls of the store's scripts say: the one place of the harness that knows how the host talks to Redis.
//!
//! Positions are those of the headers in `host/src/adapters/redis/lua/*.lua`, counted from 0 (`ARGV[1]`, the time, is 0).

use std::{fs, path::Path, sync::OnceLock, time::Duration};

use redis::Value;

use crate::history::{Claim, Ended, NewItem, StoreCall};

/// An answer of Redis, as far as it matters here.
#[derive(Clone, Debug)]
pub enum Reply {
    Value(Value),
    /// Redis's words, without the sign in front.
    Error(String),
    /// Nobody knows.
    None,
}

impl Reply {
    pub fn read(frame: &[u8]) -> Reply {
        match frame.first() {
            Some(b'-') => Reply::Error(String::from_utf8_lossy(&frame[1..]).trim_end().to_owned()),
            _ => redis::parse_redis_value(frame).map_or(Reply::None, Reply::Value),
        }
    }

    fn refused(&self, word: &str) -> bool {
        matches!(self, Reply::Error(error) if error.starts_with(word))
    }

    fn list(&self) -> &[Value] {
        match self {
            Reply::Value(Value::Array(values)) => values,
            _ => &[],
        }
    }
}

/// What is known of a call: nothing, if it had no effect that matters or was refused for a reason of Redis's own.
pub fn facts(script: &str, argv: &[Vec<u8>], reply: &Reply) -> Vec<StoreCall> {
    let args = Args(argv);
    let refused = match reply {
        Reply::Error(error) if !error.starts_with("FENCED") && !error.starts_with("STALE") => return Vec::new(),
        Reply::Error(_) => true,
        Reply::Value(_) | Reply::None => false,
    };
    let list = reply.list();
    match script {
        "enqueue" => {
            let fence = (!args.text(1).is_empty()).then(|| fenced(script, &args, None, refused));
            let items = if refused { Vec::new() } else { added(&args, list) };
            fence.into_iter().chain([StoreCall::Enqueue { items }]).collect()
        }
        "claim" => vec![StoreCall::Claim {
            lease: args.millis(2),
            tokens: (4..).map(|at| args.text(at)).take(args.number(3) as usize).collect(),
            claims: list.iter().skip(2).filter_map(claim).collect(),
        }],
        "renew" => vec![StoreCall::Renew {
            lease: args.millis(1),
            claims: (2..argv.len())
                .step_by(3)
                .map(|at| (args.text(at), args.text(at + 1)))
                .collect(),
            held: list.iter().map(|held| integer(held) == 1).collect(),
        }],
        "complete" => vec![StoreCall::Complete {
            item: args.text(1),
            token: args.text(2),
            reason: args.text(3),
            counted: args.text(8) == "1",
            ended: match word(list, 0).as_str() {
                _ if reply.refused("STALE") => Ended::Stale,
                "dead" => Ended::Dead,
                "retry" => Ended::Retry,
                _ => Ended::Done,
            },
        }],
        "give_back" => vec![StoreCall::GiveBack {
            item: args.text(1),
            token: args.text(2),
            applied: !refused,
        }],
        "sweep" => vec![StoreCall::Sweep {
            recovered: list.iter().skip(5).step_by(3).map(text).collect(),
            whole: list.get(2).is_some_and(|more| integer(more) == 0),
        }],
        "effect_begin" | "state_set" | "state_delete" => vec![StoreCall::Claimed {
            script: script.to_owned(),
            item: args.text(1),
            token: args.text(2),
            applied: !refused,
        }],
        _ => leadership(script, &args, reply, refused),
    }
}

/// The same of the calls that are about the leader's lease.
fn leadership(script: &str, args: &Args<'_>, reply: &Reply, refused: bool) -> Vec<StoreCall> {
    let list = reply.list();
    match script {
        "leader_acquire" => vec![StoreCall::Acquire {
            holder: args.text(1),
            lease: args.millis(4),
            term: list.get(1).filter(|_| word(list, 0) == "won").map(integer),
            held: word(list, 0) == "held" && list.len() > 1,
        }],
        "leader_renew" => vec![fenced(script, args, Some(args.millis(3)), refused)],
        "leader_save" | "leader_reserve" => vec![fenced(script, args, None, refused)],
        "leader_release" => vec![StoreCall::Release {
            holder: args.text(1),
            term: args.number(2),
            applied: matches!(reply, Reply::Value(Value::Int(1))),
        }],
        _ => Vec::new(),
    }
}

fn fenced(script: &str, args: &Args<'_>, lease: Option<Duration>, refused: bool) -> StoreCall {
    StoreCall::Fenced {
        script: script.to_owned(),
        holder: args.text(1),
        term: args.number(2),
        lease,
        applied: !refused,
    }
}

/// Fields of an item in a call of `enqueue`, and where the first begins.
const FIELDS: usize = 9;
const FIRST: usize = 3;

fn added(args: &Args<'_>, answers: &[Value]) -> Vec<NewItem> {
    let items = (FIRST..args.0.len()).step_by(FIELDS).zip(answers);
    items
        .filter_map(|(at, answer)| {
            let Value::Array(answer) = answer else { return None };
            (word(answer, 0) == "added").then(|| NewItem {
                id: args.text(at),
                agent: args.text(at + 1),
                task_type: args.text(at + 3),
                rank: u8::try_from(args.number(at + 4)).unwrap_or(u8::MAX),
                queued: word(answer, 1) == "q",
            })
        })
        .collect()
}

fn claim(value: &Value) -> Option<Claim> {
    let Value::Array(fields) = value else { return None };
    let item: serde_json::Value = serde_json::from_str(&word(fields, 2)).ok()?;
    Some(Claim {
        token: word(fields, 0),
        item: word(fields, 1),
        agent: item["agent_id"].as_str()?.to_owned(),
        rank: u8::try_from(integer(fields.get(7)?)).ok()?,
        probe: integer(fields.get(5)?) == 1,
    })
}

struct Args<'a>(&'a [Vec<u8>]);

impl Args<'_> {
    fn text(&self, at: usize) -> String {
        self.0
            .get(at)
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .unwrap_or_default()
    }

    fn number(&self, at: usize) -> u64 {
        self.text(at).parse().unwrap_or(0)
    }

    fn millis(&self, at: usize) -> Duration {
        Duration::from_millis(self.number(at))
    }
}

fn word(values: &[Value], at: usize) -> String {
    values.get(at).map(text).unwrap_or_default()
}

fn text(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        Value::Int(number) => number.to_string(),
        _ => String::new(),
    }
}

fn integer(value: &Value) -> u64 {
    text(value).parse().unwrap_or(0)
}

/// Which script a text is, by what is written in its file: the file whose lines are all in the text, and most of them.
pub fn name(text: &str) -> Option<&'static str> {
    static FILES: OnceLock<Vec<(String, Vec<Line>)>> = OnceLock::new();
    let files = FILES.get_or_init(read_files);
    let loaded: Vec<&str> = text.lines().map(str::trim).collect();
    let is_in = |line: &Line| loaded.iter().any(|text| line.fits(text));
    files
        .iter()
        .filter(|(_, lines)| lines.iter().all(is_in))
        .max_by_key(|(_, lines)| lines.len())
        .map(|(name, _)| name.as_str())
}

fn read_files() -> Vec<(String, Vec<Line>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src/adapters/redis/lua");
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.expect("a folder can be read").path();
        if path.extension().is_some_and(|extension| extension == "lua") {
            let source = fs::read_to_string(&path).expect("a script can be read");
            let lines: Vec<Line> = source.lines().filter_map(Line::read).collect();
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            files.push((name, lines));
        }
    }
    assert!(!files.is_empty(), "no scripts in {}", folder.display());
    files
}

/// A line of a script's file: what stands between its words in upper case, in whose place Redis gets something else.
struct Line(Vec<String>);

impl Line {
    /// Nothing, if it is a comment or says too little.
    fn read(line: &str) -> Option<Line> {
        let line = line.trim();
        if line.contains("--") || line.starts_with("#!") || line.len() <= 8 {
            return None;
        }
        let mut pieces = vec![String::new()];
        let mut quoted = false;
        let mut rest = line;
        while let Some(first) = rest.chars().next() {
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = match is_word(first) {
                true => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
                false => first.len_utf8(),
            };
            let (token, after) = rest.split_at(end);
            quoted ^= token == "'";
            let shouts = first.is_ascii_uppercase() && !token.contains(|c: char| c.is_ascii_lowercase());
            if shouts && !quoted {
                pieces.push(String::new());
            } else if let Some(piece) = pieces.last_mut() {
                piece.push_str(token);
            }
            rest = after;
        }
        Some(Line(pieces))
    }

    fn fits(&self, text: &str) -> bool {
        let (first, rest) = self.0.split_first().expect("a line has a piece");
        let Some(mut text) = text.strip_prefix(first.as_str()) else {
            return false;
        };
        let Some((last, between)) = rest.split_last() else {
            return text.is_empty();
        };
        for piece in between {
            let Some((_, after)) = text.split_once(piece.as_str()) else {
                return false;
            };
            text = after;
        }
        text.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fits_its_text_with_the_constants_written_in() {
        let line = Line::read("  call('HSET', LEADER, 'until', now + KEEP_DONE)").unwrap();
        assert!(line.fits("call('HSET', KEYS[1], 'until', now + 3600)"));
        assert!(!line.fits("call('HDEL', KEYS[1], 'until', now + 3600)"));
        assert!(!line.fits("call('HSET', KEYS[1], 'until', now + 3600) -- more"));
    }
}
