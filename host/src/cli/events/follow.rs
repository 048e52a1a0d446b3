//! Following the event stream: over cut connections and restarted hosts, without a gap and without a double.

use std::{
    io::{self, ErrorKind, Write},
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{sleep, timeout};

use super::{
    line,
    sse::{Message, Parser},
};
use crate::{
    app::api::types::{EventView, EventsLost},
    cli::{
        client::Client,
        exit::{Exit, Failure},
        output::one_line,
    },
};

/// A stream says something every 15 s: one that is silent for so long is cut.
const SILENCE: Duration = Duration::from_secs(40);
/// Between tries to connect; doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Prints one event at a time. What it prints tells whether anybody still reads.
pub struct Printer {
    pub json: bool,
}

impl Printer {
    pub fn event(&self, event: &EventView) -> Result<bool, Failure> {
        if self.json {
            self.json_line(event)
        } else {
            write_line(&line(event))
        }
    }

    /// Beside the events for people, among them for programs.
    pub fn lost(&self, lost: Option<&EventsLost>) -> Result<bool, Failure> {
        let Some(lost) = lost else { return Ok(true) };
        if self.json {
            return self.json_line(&serde_json::json!({ "lost": lost }));
        }
        eprintln!("warren: {}", one_line(&lost.message));
        Ok(true)
    }

    fn json_line(&self, value: &impl Serialize) -> Result<bool, Failure> {
        let text = serde_json::to_string(value)
            .map_err(|error| Failure::new(Exit::Failed, format!("can't print JSON: {error}")))?;
        write_line(&text)
    }
}

/// False once nobody reads any more.
fn write_line(text: &str) -> Result<bool, Failure> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(
            Exit::Failed,
            format!("can't write to standard output: {error}"),
        )),
    }
}

/// Print what comes after the event `seen` until nobody reads any more. A host that can't be reached at first, or that
/// refuses, is an error; one that goes away later is waited for.
pub async fn follow(
    client: &Client,
    params: &[(&str, String)],
    mut seen: u64,
    printer: &Printer,
) -> Result<Exit, Failure> {
    let (mut connected, mut told, mut wait) = (false, false, FIRST_WAIT);
    loop {
        match client.stream(&["events", "stream"], params, Some(seen)).await {
            Ok(response) => {
                if told {
                    eprintln!("warren: connected again");
                }
                (connected, told, wait) = (true, false, FIRST_WAIT);
                if !read(response, &mut seen, printer).await? {
                    return Ok(Exit::Ok);
                }
            }
            Err(failure) if !connected || !failure.passing => return Err(failure),
            Err(failure) => {
                if !told {
                    eprintln!("warren: {}; trying again until it is there", failure.message);
                    told = true;
                }
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
        sleep(wait).await;
    }
}

/// Print one stream to its end; false once nobody reads what is printed.
async fn read(mut response: reqwest::Response, seen: &mut u64, printer: &Printer) -> Result<bool, Failure> {
    let mut parser = Parser::default();
    // However it ends, the next one goes on behind what was seen.
    while let Ok(Ok(Some(piece))) = timeout(SILENCE, response.chunk()).await {
        let Ok(messages) = parser.feed(&piece) else { break };
        for message in messages {
            if !take(&message, seen, printer)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn take(message: &Message, seen: &mut u64, printer: &Printer) -> Result<bool, Failure> {
    if message.event == "lost" {
        let lost: EventsLost = parse(&message.data)?;
        // A store that begins anew counts from 1 again.
        if lost.to <= *seen {
            *seen = 0;
        }
        return printer.lost(Some(&lost));
    }
    let number = message.id.as_ref().and_then(|id| id.parse::<u64>().ok());
    let shows = !message.data.is_empty() && number.is_none_or(|number| number > *seen);
    *seen = number.map_or(*seen, |number| number.max(*seen));
    if message.event.is_empty() && shows {
        return printer.event(&parse(&message.data)?);
    }
    Ok(true)
}

fn parse<T: DeserializeOwned>(data: &str) -> Result<T, Failure> {
    serde_json::from_str(data).map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("the host sent what this command can't read ({error}): is it of this version?"),
        )
    })
}
