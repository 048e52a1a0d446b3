//! `warren config check|show`.

use serde_json::json;

use super::{
    Global,
    exit::{Exit, Failure},
    output::{json, print, table},
};
use crate::app::config::{Entry, Loaded, Problems};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Say whether `warren run` would accept the configuration and finds its folders, and if not, everything that is wrong.
    Check,
    /// Show every value that holds, and where it came from.
    Show,
}

pub fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    match args.command {
        Command::Check => check(global),
        Command::Show => {
            let loaded = global.load()?;
            print(&if global.json {
                json(&loaded.entries)?
            } else {
                show(&loaded.entries)
            })?;
            Ok(Exit::Ok)
        }
    }
}

fn check(global: &Global) -> Result<Exit, Failure> {
    let checked = crate::app::config::Sources::of_process(global.config.clone())
        .and_then(|sources| sources.load())
        .and_then(|loaded| loaded.require_hub().map(|()| loaded))
        .and_then(|loaded| loaded.require_folders().map(|()| loaded));
    match (checked, global.json) {
        (Ok(loaded), false) => print(&good(&loaded))?,
        (Ok(_), true) => print(&json(&json!({ "ok": true, "problems": [] }))?)?,
        (Err(problems), false) => return Err(problems.into()),
        (Err(Problems(problems)), true) => {
            print(&json(&json!({ "ok": false, "problems": problems }))?)?;
            return Ok(Exit::Usage);
        }
    }
    Ok(Exit::Ok)
}

fn good(loaded: &Loaded) -> String {
    let set = loaded.entries.iter().filter(|entry| entry.source != "default").count();
    let file = match &loaded.file {
        Some(file) => file.display().to_string(),
        None => "no file, the environment and defaults".to_owned(),
    };
    format!(
        "the configuration is good: {file}; {set} of {} values are not the default",
        loaded.entries.len()
    )
}

fn show(entries: &[Entry]) -> String {
    let rows = entries
        .iter()
        .map(|entry| [entry.key.clone(), entry.value.to_string(), entry.source.clone()]);
    table(["KEY", "VALUE", "FROM"], rows)
}
