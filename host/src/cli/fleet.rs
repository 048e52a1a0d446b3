//! Asks every live host of the registry for the same, one after the other, with a line for each as soon as it has answered.

use std::fmt::Write;

use super::{
    client::Client,
    exit::{Exit, Failure},
    hosts, output,
};
use crate::app::api::types::{HostList, HostView};

/// One host's part.
pub struct Answered<T> {
    pub host: String,
    /// Its answer, or why there is none.
    pub answer: Result<T, String>,
}

/// Ask all; `line` says what a host's answer comes to, or what went wrong there.
///
/// # Errors
/// If the registry can't be read or shows no live host. That a host fails is an answer.
pub async fn ask_all<T>(
    asked: &Client,
    ask: impl AsyncFn(&Client) -> Result<T, Failure>,
    line: impl Fn(&T) -> Result<String, String>,
    quiet: bool,
) -> Result<Vec<Answered<T>>, Failure> {
    let list: HostList = asked.get(&["hosts"], Default::default()).await?;
    let mut answers = Vec::new();
    for host in &list.hosts {
        let name = hosts::name(host, &list.hosts);
        let said = match host.state.as_str() {
            "live" => {
                let answer = ask_one(asked, host, &ask).await;
                let said = answer.as_ref().map_err(Clone::clone).and_then(&line);
                answers.push(Answered {
                    host: name.clone(),
                    answer,
                });
                said.unwrap_or_else(|why| format!("FAILED: {why}"))
            }
            "draining" => "is stopping: left out".to_owned(),
            _ => continue,
        };
        if !quiet {
            output::print(&format!("{name}: {}", output::one_line(&said)))?;
        }
    }
    if answers.is_empty() {
        let message = "the registry of hosts shows none that lives; `warren hosts` shows what it knows";
        return Err(Failure::new(Exit::Failed, message));
    }
    Ok(answers)
}

async fn ask_one<T>(
    asked: &Client,
    host: &HostView,
    ask: &impl AsyncFn(&Client) -> Result<T, Failure>,
) -> Result<T, String> {
    let client = asked.at(&host.address);
    let client = client.map_err(|failure| format!("it advertises a wrong address: {}", failure.message))?;
    ask(&client).await.map_err(|failure| failure.message)
}

/// Fail with the names and reasons of the hosts that did.
pub fn verdict(failed: &[(String, String)], hosts: usize) -> Result<Exit, Failure> {
    if failed.is_empty() {
        return Ok(Exit::Ok);
    }
    let mut message = format!("failed on {} of {hosts} hosts", failed.len());
    for (host, why) in failed {
        // Writing to a string does not fail.
        let _ = write!(message, "\n  {host}: {}", output::one_line(why));
    }
    Err(Failure::new(Exit::Failed, message))
}
