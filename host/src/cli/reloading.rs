//! What `plugin reload` and `agent reload` have in common: ask one host or every live one, say in words what became of each
//! thing, and fail with those that were refused.

use serde::Serialize;

use super::{
    Global, block_on,
    client::Client,
    exit::{Exit, Failure},
    fleet,
    output::{json, print},
};

/// A host's answer.
pub trait Reloaded: Serialize {
    /// What the answer calls the things that were reloaded.
    const THINGS: &'static str;
    /// What is said of a host that has none; and where they would be.
    const NONE: (&'static str, &'static str);

    /// Each in words: what was done, or what was refused.
    fn words(&self) -> Vec<Result<String, String>>;
}

/// Ask the host of `client`, or all.
pub fn run<A: Reloaded>(
    global: &Global,
    client: &Client,
    all_hosts: bool,
    ask: impl AsyncFn(&Client) -> Result<A, Failure>,
) -> Result<Exit, Failure> {
    if all_hosts {
        return block_on(on_all(global, client, ask))?;
    }
    let answer = block_on(ask(client))??;
    let (done, refused) = split(&answer);
    if global.json {
        print(&json(&answer)?)?;
    } else if !done.is_empty() {
        print(&done.join("\n"))?;
    } else if refused.is_empty() {
        print(&format!("this host {}; {}", A::NONE.0, A::NONE.1))?;
    }
    match refused.as_slice() {
        [] => Ok(Exit::Ok),
        refused => Err(Failure::new(Exit::Failed, refused.join("\n"))),
    }
}

async fn on_all<A: Reloaded>(
    global: &Global,
    client: &Client,
    ask: impl AsyncFn(&Client) -> Result<A, Failure>,
) -> Result<Exit, Failure> {
    let line = |answer: &A| {
        let (done, refused) = split(answer);
        if !refused.is_empty() {
            return Err([refused, done].concat().join("; "));
        }
        Ok(if done.is_empty() {
            A::NONE.0.to_owned()
        } else {
            done.join("; ")
        })
    };
    let answers = fleet::ask_all(client, ask, line, global.json).await?;
    let hosts = answers.len();
    let mut failed = Vec::new();
    let mut shown = Vec::new();
    for answered in answers {
        let why = match &answered.answer {
            Ok(answer) => split(answer).1.join("; "),
            Err(why) => why.clone(),
        };
        if !why.is_empty() {
            failed.push((answered.host.clone(), why));
        }
        let mut host = match answered.answer.as_ref().map(serde_json::to_value) {
            Ok(Ok(answer)) => serde_json::json!({ A::THINGS: answer[A::THINGS], "error": null }),
            Ok(Err(error)) => return Err(anyhow::Error::from(error).into()),
            Err(why) => serde_json::json!({ A::THINGS: null, "error": why }),
        };
        host["host"] = answered.host.into();
        shown.push(host);
    }
    if global.json {
        print(&json(&shown)?)?;
    }
    fleet::verdict(&failed, hosts)
}

/// What was done, and what was refused.
fn split(answer: &impl Reloaded) -> (Vec<String>, Vec<String>) {
    let (mut done, mut refused) = (Vec::new(), Vec::new());
    for words in answer.words() {
        match words {
            Ok(words) => done.push(words),
            Err(words) => refused.push(words),
        }
    }
    (done, refused)
}
