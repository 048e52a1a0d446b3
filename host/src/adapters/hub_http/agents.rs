//! Lists of agents, read as a stream: a million agents need no more memory than a few.
//!
//! The JSON parser reads synchronously, so it has a blocking thread for the time of the body. Two short queues connect it:
//! the body's chunks go in, agents in windows come out, and whichever end stops ends the other. Within a window the order
//! is the one that the API promises, should the Hub have forgotten; windows are longer than the leader's batches.

use std::{
    io::{self, Read},
    ops::ControlFlow,
    pin::pin,
};

use bytes::{Buf, Bytes};
use futures_util::future::{Either, select};
use jiff::Timestamp;
use reqwest::Response;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinHandle},
};

use super::{
    address::Call,
    body,
    failure::{Failure, Kind},
};
use crate::{
    domain::{hub::PolledAgent, ids::AgentId},
    ports::hub::AgentSink,
};

/// Agents that are put in order together.
const WINDOW: usize = 1024;

/// Chunks of the body that may wait for the parser. A chunk is what one read of the connection brought.
const CHUNKS: usize = 4;

/// How a list is ordered.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    /// Most notifications first.
    Notifications,
    /// Longest without a run first; never ran is longest.
    Staleness,
}

/// Reads the list and hands every valid agent to `sink` as it comes. Returns how many there were; an error comes with how
/// many had been handed over before it.
pub(super) async fn stream(
    call: &Call,
    response: Response,
    max: u64,
    order: Order,
    sink: AgentSink<'_>,
) -> Result<usize, (usize, Failure)> {
    body::check_length(call, &response, max).map_err(|failure| (0, failure))?;
    let (status, content_type) = (response.status(), body::content_type(&response));
    let (chunks, waiting) = mpsc::channel(CHUNKS);
    let (windows, mut parsed) = mpsc::channel(1);
    let parser = tokio::task::spawn_blocking(move || parse(Chunks::new(waiting), windows, order));

    let feed = feed(call, response, max, chunks);
    let mut handed = 0;
    let hand_over = async {
        while let Some(window) = parsed.recv().await {
            for agent in window {
                handed += 1;
                if sink(agent).is_break() {
                    return ControlFlow::Break(());
                }
            }
        }
        ControlFlow::Continue(())
    };

    let flow = match select(pin!(feed), pin!(hand_over)).await {
        Either::Left((Ok(()), hand_over)) => Ok(hand_over.await),
        Either::Left((Err(failure), _)) => Err(failure),
        // The parser is done, or the sink has enough: the rest of the body is not wanted.
        Either::Right((flow, _)) => Ok(flow),
    };
    match flow {
        Err(failure) => return Err((handed, failure)),
        Ok(ControlFlow::Break(())) => return Ok(handed),
        Ok(ControlFlow::Continue(())) => {}
    }
    let skipped = match ended(parser).await {
        Some(Ok(skipped)) => skipped,
        Some(Err(error)) => {
            let what = body::words(&error);
            return Err((handed, body::not_the_api(call, status, &content_type, &what)));
        }
        None => {
            let message = format!("{call}: this host is shutting down");
            return Err((handed, Failure::new(Kind::Lost, message)));
        }
    };
    if skipped > 0 {
        tracing::warn!(%call, skipped, valid = handed, "the Hub listed agents without a valid id or name");
    }
    Ok(handed)
}

/// Gives the parser the body, up to `max` bytes of it. Ends early if the parser has seen enough, which then says why.
async fn feed(call: &Call, mut response: Response, max: u64, chunks: mpsc::Sender<Bytes>) -> Result<(), Failure> {
    let (status, mut size) = (response.status(), 0);
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| Failure::transport(call, error))?
    {
        size += chunk.len() as u64;
        if size > max {
            return Err(body::too_large(call, status, max));
        }
        if chunks.send(chunk).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// What a blocking task has come to; none if the runtime stopped before it began. Its panic goes on here.
async fn ended<T>(task: JoinHandle<T>) -> Option<T> {
    match task.await.map_err(JoinError::try_into_panic) {
        Ok(outcome) => Some(outcome),
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        Err(Err(_)) => None,
    }
}

/// The body as the parser reads it. The end of the queue is the end of the body.
struct Chunks {
    waiting: mpsc::Receiver<Bytes>,
    current: Bytes,
}

impl Chunks {
    fn new(waiting: mpsc::Receiver<Bytes>) -> Chunks {
        Chunks {
            waiting,
            current: Bytes::new(),
        }
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.waiting.blocking_recv() {
                Some(chunk) => self.current = chunk,
                None => return Ok(0),
            }
        }
        let size = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..size]);
        Ok(size)
    }
}

/// One agent as the Hub writes it.
#[derive(Deserialize)]
struct Entry {
    id: String,
    name: String,
    notification_count: Option<i64>,
    last_activated_at: Option<String>,
}

/// Parses `{"agents": […]}` and returns how many entries were not valid.
fn parse(body: Chunks, windows: mpsc::Sender<Vec<PolledAgent>>, order: Order) -> Result<usize, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_reader(io::BufReader::new(body));
    let mut list = List {
        windows,
        order,
        window: Vec::new(),
        skipped: 0,
    };
    Document(&mut list).deserialize(&mut json)?;
    json.end()?;
    Ok(list.skipped)
}

/// What has been read of the list.
struct List {
    windows: mpsc::Sender<Vec<PolledAgent>>,
    order: Order,
    /// The agents of the window with what they are ordered by, smallest first.
    window: Vec<(i64, PolledAgent)>,
    skipped: usize,
}

impl List {
    fn take(&mut self, entry: &RawValue) {
        // One entry that is wrong must not hide the others: it is skipped and counted.
        let Ok(entry) = serde_json::from_str::<Entry>(entry.get()) else {
            self.skipped += 1;
            return;
        };
        let Ok(id) = AgentId::new(entry.id) else {
            self.skipped += 1;
            return;
        };
        let count = entry.notification_count.unwrap_or(0).clamp(0, u32::MAX.into());
        let ran_at = entry.last_activated_at.and_then(|time| time.parse::<Timestamp>().ok());
        let rank = match self.order {
            Order::Notifications => -count,
            Order::Staleness => ran_at.map_or(i64::MIN, |time| time.as_millisecond()),
        };
        let agent = PolledAgent {
            id,
            name: entry.name,
            notification_count: u32::try_from(count).unwrap_or(u32::MAX),
        };
        self.window.push((rank, agent));
    }

    /// Hands the window over; false if nobody wants it any more.
    fn flush(&mut self) -> bool {
        self.window.sort_by_key(|(rank, _)| *rank);
        let window = self.window.drain(..).map(|(_, agent)| agent).collect();
        self.windows.blocking_send(window).is_ok()
    }
}

/// The whole answer.
struct Document<'a>(&'a mut List);

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object with `agents`")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "agents" {
                map.next_value_seed(Agents(&mut *self.0))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// The value of `agents`.
struct Agents<'a>(&'a mut List);

impl<'de> DeserializeSeed<'de> for Agents<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Agents<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of agents")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut entries: S) -> Result<(), S::Error> {
        while let Some(entry) = entries.next_element::<Box<RawValue>>()? {
            self.0.take(&entry);
            if self.0.window.len() >= WINDOW && !self.0.flush() {
                return Err(S::Error::custom("nobody wants the rest"));
            }
        }
        self.0.flush();
        Ok(())
    }
}
