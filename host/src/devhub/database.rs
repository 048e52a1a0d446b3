//! The Hub's data: SQLite on a thread of its own.
//!
//! SQLite blocks, and a request must not block the runtime; so every statement runs in a job that is sent to one
//! thread. A write job is one transaction. One thread means that writes are serial, which is what makes an
//! `Idempotency-Key` safe against concurrent repeats. News and events are published by that thread after the commit,
//! not by the request: a request whose client went away still wakes whoever waits for its effect.

pub(super) mod agents;
pub(super) mod inbox;
pub(super) mod ledger;
pub(super) mod posts;
pub(super) mod reading;
pub(super) mod seed;
pub(super) mod values;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use serde::Serialize;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::problem::Problem;
use super::{Data, Error};
use values::Moment;

const SCHEMA: &str = include_str!("database/schema.sql");
/// The schema this program writes; `PRAGMA user_version` in the file.
const SCHEMA_VERSION: i64 = 1;
/// Marks a SQLite file as the development Hub's; `PRAGMA application_id` in the file.
const APPLICATION_ID: i64 = 0x5748_7562;
/// Jobs that may wait for the thread before senders wait too.
const JOBS: usize = 1024;
/// Events that a slow reader may be behind before it is told to `resync`.
const EVENTS: usize = 256;
/// How long to wait for another process to let go of the file, so that a restart needs no pause.
const BUSY: Duration = Duration::from_secs(2);

enum Job {
    Run(Box<dyn FnOnce(&mut Connection) + Send>),
    /// Ends the thread, also while a handle survives in some request that was cut.
    Close,
}

/// Something that happened, for the event stream.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) name: &'static str,
    /// JSON, shared by all streams that carry it.
    pub(super) data: Arc<str>,
}

/// A handle on the data; clones share it.
#[derive(Clone)]
pub(super) struct Database {
    jobs: mpsc::Sender<Job>,
    events: broadcast::Sender<Event>,
    /// Counts the commits that added notifications: long polls wait for it to move.
    news: Arc<watch::Sender<u64>>,
    ended: CancellationToken,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Database {
    /// Opens or creates the data and starts its thread.
    pub(super) async fn open(data: &Data) -> Result<Self, Error> {
        let data = data.clone();
        let opening = tokio::task::spawn_blocking(move || open_connection(&data));
        let connection = opening.await.map_err(|error| Error::Stopped(error.to_string()))??;
        let (jobs, inbox) = mpsc::channel(JOBS);
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        let thread = std::thread::Builder::new()
            .name("devhub-data".to_owned())
            .spawn(move || {
                // Dropped at the end of the thread, also when a job panics.
                let _guard = guard;
                work(connection, inbox);
            })
            .map_err(|error| Error::Stopped(format!("cannot start its data thread: {error}")))?;
        Ok(Self {
            jobs,
            events: broadcast::Sender::new(EVENTS),
            news: Arc::new(watch::Sender::new(0)),
            ended,
            thread: Arc::new(Mutex::new(Some(thread))),
        })
    }

    /// Runs a job that only reads.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.run(move |connection| job(connection)).await
    }

    /// Runs a job in a transaction: committed and published if it answers `Ok`, undone otherwise.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Change<'_>) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let (events, news) = (self.events.clone(), self.news.clone());
        self.run(move |connection| {
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut change = Change {
                tx,
                now: Moment::now(),
                events: Vec::new(),
                notified: false,
            };
            let value = job(&mut change)?;
            let Change {
                tx,
                events: happened,
                notified,
                ..
            } = change;
            tx.commit()?;
            if notified {
                news.send_modify(|count| *count += 1);
            }
            for event in happened {
                // Refused only when nobody listens.
                let _ = events.send(event);
            }
            Ok(value)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let (answer, answered) = oneshot::channel();
        let job = Job::Run(Box::new(move |connection| {
            // Refused when the request was given up; what the job did stands.
            let _ = answer.send(job(connection));
        }));
        self.jobs.send(job).await.map_err(|_| Problem::data_thread_gone())?;
        answered.await.map_err(|_| Problem::data_thread_gone())?
    }

    /// Moves whenever notifications were added. Subscribe before looking, or a notification in between is missed.
    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Events from now on.
    pub(super) fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Waits for the thread's end, which comes early only after a panic.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Lets the jobs that wait finish, closes the file and waits for the thread.
    pub(super) async fn close(self) {
        // Refused when the thread has ended already.
        let _ = self.jobs.send(Job::Close).await;
        let handle = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(handle) = handle {
            let joined = tokio::task::spawn_blocking(move || handle.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("the development Hub's data thread panicked");
            }
        }
    }
}

fn work(mut connection: Connection, mut jobs: mpsc::Receiver<Job>) {
    while let Some(Job::Run(job)) = jobs.blocking_recv() {
        job(&mut connection);
    }
    if let Err((_, error)) = connection.close() {
        tracing::warn!(%error, "closing the development Hub's data");
    }
}

/// A write in progress: its transaction, its time, and what to tell others once it is committed.
pub(super) struct Change<'a> {
    pub(super) tx: Transaction<'a>,
    pub(super) now: Moment,
    events: Vec<Event>,
    notified: bool,
}

impl Change<'_> {
    /// Has long polls look again after the commit.
    pub(super) fn notified(&mut self) {
        self.notified = true;
    }

    /// Puts an event on the stream after the commit.
    pub(super) fn event(&mut self, name: &'static str, data: &impl Serialize) -> Result<(), Problem> {
        self.events.push(Event {
            name,
            data: to_json(data)?.into(),
        });
        Ok(())
    }
}

/// JSON of one of our own types, which always serialises; a failure is still an answer, not a panic.
pub(super) fn to_json(value: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()).into())
}

/// A new id: UUIDv7, so that ids sort by time.
pub(super) fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

fn open_connection(data: &Data) -> Result<Connection, Error> {
    let (path, opened) = match data {
        Data::Memory => (":memory:".to_owned(), Connection::open_in_memory()),
        Data::File(path) => (path.display().to_string(), Connection::open(path)),
    };
    let failed = |error: rusqlite::Error| Error::Data {
        path: path.clone(),
        reason: explain(&error),
    };
    let mut connection = opened.map_err(failed)?;
    if let Some(reason) = prepare(&mut connection).map_err(failed)? {
        return Err(Error::Data { path, reason });
    }
    Ok(connection)
}

/// Sets the connection up and creates the tables in an empty file; `Some` says why the file is not ours to use.
fn prepare(connection: &mut Connection) -> rusqlite::Result<Option<String>> {
    connection.busy_timeout(BUSY)?;
    // An exclusive lock for as long as we run: two Hubs on one file would not see each other's news.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (version, application) = (number("user_version")?, number("application_id")?);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 && application != APPLICATION_ID {
        return Ok(Some(
            "it is a database of another program; name another file".to_owned(),
        ));
    }
    if version > SCHEMA_VERSION {
        return Ok(Some(format!(
            "it was written by a newer Warren (schema {version}, this one knows {SCHEMA_VERSION}); update Warren or \
             name another file"
        )));
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.set_prepared_statement_cache_capacity(64);
    let tx = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    if tables == 0 {
        tx.execute_batch(SCHEMA)?;
    }
    tx.commit()?;
    Ok(None)
}

fn explain(error: &rusqlite::Error) -> String {
    use rusqlite::ErrorCode;
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process has it open; stop that Hub or name another file".to_owned()
        }
        Some(ErrorCode::CannotOpen) => format!("{error}; create its folder, or name a file that can be written"),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            format!("{error}; give this user the right to write it and its folder, or name another file")
        }
        Some(ErrorCode::NotADatabase) => "it is not a SQLite file; name another file".to_owned(),
        _ => error.to_string(),
    }
}
