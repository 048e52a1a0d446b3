//! What calls of the store's scripts say: the one place of the harness that knows how the host talks to Redis.
//!
//! Positions are those of the headers in `host/src/adapters/redis/lua/*.lua`, counted from 0 (`ARGV[1]`, the time, is 0).

use std::time::Duration;

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
            let claim = claimed_along(&args, list).filter(|_| !refused);
            fence
                .into_iter()
                .chain([StoreCall::Enqueue { items }])
                .chain(claim)
                .collect()
        }
        "claim" => vec![StoreCall::Claim {
            lease: args.millis(2),
            tokens: (4..).map(|at| args.text(at)).take(args.number(3) as usize).collect(),
            claims: list.get(2..).unwrap_or_default().chunks(3).filter_map(claim).collect(),
        }],
        "renew" => vec![StoreCall::Renew {
            lease: args.millis(1),
            claims: (2..argv.len())
                .step_by(3)
                .map(|at| (args.text(at), args.text(at + 1)))
                .collect(),
            held: list.iter().map(|held| integer(held) == 1).collect(),
        }],
        "complete" => (2..argv.len())
            .step_by(ENDING)
            .enumerate()
            .map(|(n, at)| completion(&args, at, list.get(n)))
            .collect(),
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

/// Fields of an end in a call of `complete`.
const ENDING: usize = 6;

fn completion(args: &Args<'_>, at: usize, answer: Option<&Value>) -> StoreCall {
    let how = args.text(at + 2);
    let answered = match answer {
        Some(Value::Array(words)) => word(words, 0),
        Some(value) => text(value),
        None => String::new(),
    };
    StoreCall::Complete {
        item: args.text(at),
        token: args.text(at + 1),
        // Four digits, and the reason.
        reason: how.get(4..).unwrap_or_default().to_owned(),
        counted: how.starts_with('1'),
        ended: match answered.as_str() {
            "stale" => Ended::Stale,
            "dead" => Ended::Dead,
            "retry" => Ended::Retry,
            _ => Ended::Done,
        },
    }
}

/// Fields of an item in a call of `enqueue`, and where the first begins.
const FIELDS: usize = 6;
const FIRST: usize = 7;

fn added(args: &Args<'_>, answers: &[Value]) -> Vec<NewItem> {
    let items = (FIRST..args.0.len()).step_by(FIELDS).zip(answers);
    items
        .filter_map(|(at, answer)| {
            let queued = match answer {
                Value::Array(words) if word(words, 0) == "added" => word(words, 1) == "q",
                Value::Array(_) => return None,
                plain => text(plain) == "q",
            };
            Some(NewItem {
                id: args.text(at),
                agent: args.text(at + 1),
                // Name, type, rank and more, between tabs.
                task_type: args.text(at + 5).split('\t').nth(2).unwrap_or_default().to_owned(),
                rank: args
                    .text(at + 3)
                    .chars()
                    .nth(1)
                    .and_then(|digit| digit.to_digit(10))
                    .and_then(|rank| u8::try_from(rank).ok())?,
                queued,
            })
        })
        .collect()
}

/// The claim that went along with what was enqueued, if one did. What is known of its item stands behind the answers.
fn claimed_along(args: &Args<'_>, list: &[Value]) -> Option<StoreCall> {
    let token = args.text(5);
    let items = args.0.len().saturating_sub(FIRST) / FIELDS;
    let claims = list.get(items).and_then(|record| {
        let at = FIRST + usize::try_from(args.number(6)).ok()?.checked_sub(1)? * FIELDS;
        let item = Value::BulkString(args.text(at).into_bytes());
        let json = Value::BulkString(args.text(at + 4).into_bytes());
        claim(&[item, json, record.clone()])
    });
    (!token.is_empty()).then(|| StoreCall::Claim {
        lease: args.millis(4),
        tokens: vec![token],
        claims: claims.into_iter().collect(),
    })
}

/// Of a claim: id, item as JSON, and its record, whose first line says between tabs: state, token, …, whether it is a probe.
fn claim(fields: &[Value]) -> Option<Claim> {
    let item: serde_json::Value = serde_json::from_str(&word(fields, 1)).ok()?;
    let record = word(fields, 2);
    let known: Vec<&str> = record.lines().next()?.split('\t').collect();
    let ranks = ["high", "normal", "low"];
    let rank = ranks.iter().position(|name| item["priority"] == *name)?;
    Some(Claim {
        token: (*known.get(1)?).to_owned(),
        item: word(fields, 0),
        agent: item["agent_id"].as_str()?.to_owned(),
        rank: u8::try_from(rank).ok()?,
        probe: !known.get(7)?.is_empty(),
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

/// The script that a function of a host's library is: `warren_<prefix>_<content>_<script>`.
pub fn name(function: &str) -> &str {
    function.splitn(4, '_').nth(3).unwrap_or(function)
}
