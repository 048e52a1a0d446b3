//! `warren new NAME`: an agent to begin with, which builds, is tested and answers as it is.

mod files;
mod name;
mod place;

use std::{env, fmt::Write, path::PathBuf};

use serde_json::json;

use self::{files::Files, place::Place};
use super::{
    Global,
    exit::{Exit, Failure},
    output::{json, print},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The name of the agent, its plugin and its crate: 1 to 64 of a-z 0-9 - _, a letter first.
    name: String,
    /// Make a crate of its own that uses this copy of the SDK (`guest-sdk` of a clone of Warren), also inside a clone.
    #[arg(long, value_name = "FOLDER")]
    sdk: Option<PathBuf>,
}

pub fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let usage = |words: String| Failure::new(Exit::Usage, words);
    let name = name::check(&args.name).map_err(usage)?;
    let here = env::current_dir()
        .map_err(|error| Failure::new(Exit::Failed, format!("the working directory can't be read: {error}")))?;
    let place = place::find(&here, args.sdk.as_deref()).map_err(usage)?;
    let files = Files::new(&name, &place, &here).map_err(usage)?;
    files.make().map_err(|words| Failure::new(Exit::Failed, words))?;
    let (made, next) = (files.paths(&here), next(name.as_str(), &place));
    print(&if global.json {
        json(&json!({ "name": name.as_str(), "made": made, "next": next }))?
    } else {
        words(name.as_str(), &made, &next)
    })?;
    Ok(Exit::Ok)
}

/// What to type next.
fn next(name: &str, place: &Place) -> Vec<String> {
    match place {
        Place::Repository(_) => vec![
            format!("cargo test --package {name}"),
            format!("cargo xtask dev --mention {name}"),
        ],
        Place::Alone { .. } => vec![
            format!("cd {name}"),
            "cargo test".to_owned(),
            "rustup target add wasm32-wasip2".to_owned(),
            "cargo build --release --target wasm32-wasip2".to_owned(),
            format!("warren dev --mention {name}"),
        ],
    }
}

fn words(name: &str, made: &[String], next: &[String]) -> String {
    let mut text = format!("The agent {name} is in\n");
    for path in made {
        let _ = writeln!(text, "  {path}");
    }
    text.push_str("\nTest it, build it, and let it answer:\n");
    for command in next {
        let _ = writeln!(text, "  {command}");
    }
    text
}
