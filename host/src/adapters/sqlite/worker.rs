//! The two threads that own the connections: one writes, in batches, and one reads.
//!
//! A commit with `synchronous=FULL` waits for the disk, so the writer takes all jobs that are there into one transaction
//! and answers them after its commit. Each has a savepoint of its own: one that fails undoes itself only. Reads that may be
//! long have a connection of their own and delay no renewal.

use std::{
    any::Any,
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
};

use rusqlite::{Connection, OptionalExtension, Params, Row};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    rows::unavailable,
    signals::{Signals, Wakes},
    time::StoreTime,
};
use crate::{
    domain::time::UnixMillis,
    ports::store::{StoreError, StorePolicy},
};

/// Jobs that may wait for a thread; more callers wait until there is room.
const CHANNEL: usize = 1024;
/// Jobs in one transaction: enough to share a commit, few enough to answer the first one soon.
const BATCH: usize = 256;

/// What a job sees: the connection inside its transaction, and the one `now` of its step.
pub(super) struct Step<'a> {
    pub db: &'a Connection,
    pub now: UnixMillis,
    pub policy: &'a StorePolicy,
    /// What is to be told to waiters once it is committed.
    pub signals: Signals,
}

impl Step<'_> {
    /// Run one change by a cached statement; the number of rows that it touched.
    pub fn run(&self, sql: &str, params: impl Params) -> Result<u64, StoreError> {
        self.db
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params))
            .map(|rows| rows as u64)
            .map_err(unavailable)
    }

    /// The first row of a cached query, if there is one.
    pub fn first<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        self.db
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row(params, read).optional())
            .map_err(unavailable)
    }

    /// All rows of a cached query, which bounds them itself.
    pub fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        self.db
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_map(params, read)?.collect())
            .map_err(unavailable)
    }
}

/// Answers a job once the fate of its transaction is known.
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// Runs in its savepoint and says whether it is to be kept; or is told why it can't run.
type Write = Box<dyn FnOnce(Result<&mut Step<'_>, StoreError>) -> (bool, Answer) + Send>;
type Read = Box<dyn FnOnce(&Connection, UnixMillis) + Send>;

/// Sends jobs to the threads. The threads end when the last of these is gone.
#[derive(Clone)]
pub(super) struct Workers {
    /// Nothing instead of a job: close.
    writes: mpsc::Sender<Option<Write>>,
    reads: mpsc::Sender<Option<Read>>,
    /// Why a thread has ended, once one has.
    ended: watch::Receiver<Option<String>>,
}

pub(super) struct Start {
    pub writer: Connection,
    pub reader: Connection,
    pub time: Arc<StoreTime>,
    pub policy: StorePolicy,
    pub wakes: Arc<Wakes>,
}

/// Start both threads. `at_end` runs in the writer's thread after its connection is closed: it gives up the lock.
pub(super) fn start(start: Start, at_end: impl FnOnce() + Send + 'static) -> std::io::Result<Workers> {
    let (writes, write_jobs) = mpsc::channel(CHANNEL);
    let (reads, read_jobs) = mpsc::channel(CHANNEL);
    let (report, ended) = watch::channel(None);
    let Start {
        writer,
        reader,
        time,
        policy,
        wakes,
    } = start;
    let clock = time.clone();
    let reporter = report.clone();
    let reading = thread::Builder::new()
        .name("store-read".to_owned())
        .spawn(move || reporting("the store's reader", &reporter, || read_loop(reader, read_jobs, &clock)))?;
    thread::Builder::new().name("store-write".to_owned()).spawn(move || {
        reporting("the store's writer", &report, || {
            write_loop(writer, write_jobs, &time, &policy, &wakes)
        });
        // The reader's panic, if any, has been reported; here it only has to be gone before the file is given up.
        let _ = reading.join();
        at_end();
        report.send_modify(|reason| {
            reason.get_or_insert_with(|| "the store was closed".to_owned());
        });
    })?;
    Ok(Workers { writes, reads, ended })
}

/// Run a thread's loop and report how it ended, if that was by a panic.
fn reporting(what: &str, report: &watch::Sender<Option<String>>, body: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(body)) {
        report.send_modify(|reason| {
            reason.get_or_insert_with(|| format!("{what} panicked: {}", panic_text(&*panic)));
        });
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

impl Workers {
    /// Run a change in the writer's next transaction. If the caller goes away meanwhile, it is applied all the same (I9).
    pub async fn write<T, F>(&self, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Step<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Write = Box::new(move |step| {
            let result = step.and_then(change);
            let keep = result.is_ok();
            let send: Answer = Box::new(move |committed| {
                let answered = match (committed, result) {
                    (Ok(()), result) => result,
                    // This job is the one that met the reason; what others found is void with the transaction.
                    (Err(_), Err(own @ StoreError::Unavailable(_))) => Err(own),
                    (Err(failed), _) => Err(failed),
                };
                // Nobody may listen any more: a cancelled caller finds its change when it asks again.
                let _ = answer.send(answered);
            });
            (keep, send)
        });
        if self.writes.send(Some(job)).await.is_err() {
            return Err(self.gone().await);
        }
        match answered.await {
            Ok(answer) => answer,
            Err(_) => Err(self.gone().await),
        }
    }

    /// Run a query on the reading connection. It sees everything that was answered before.
    pub async fn read<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, UnixMillis) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Read = Box::new(move |db, now| {
            let _ = answer.send(query(db, now));
        });
        if self.reads.send(Some(job)).await.is_err() {
            return Err(self.gone().await);
        }
        match answered.await {
            Ok(answer) => answer,
            Err(_) => Err(self.gone().await),
        }
    }

    /// Have the threads finish what they were sent, and end.
    pub async fn close(&self) {
        // A thread that is gone already has nothing to finish.
        let _ = self.reads.send(None).await;
        let _ = self.writes.send(None).await;
        self.ended().await;
    }

    /// What a caller is told whose thread is gone. A thread that drops a job or its channel has ended or is about to.
    async fn gone(&self) -> StoreError {
        StoreError::Unavailable(self.ended().await)
    }

    /// Resolves when a thread has ended, with why. Calls that need it are answered `Unavailable` from then on.
    pub fn ended(&self) -> impl Future<Output = String> + Send + 'static {
        let mut ended = self.ended.clone();
        async move {
            match ended.wait_for(Option::is_some).await {
                Ok(reason) => reason.clone().unwrap_or_default(),
                Err(_) => "the store's threads are gone".to_owned(),
            }
        }
    }
}

fn read_loop(db: Connection, mut jobs: mpsc::Receiver<Option<Read>>, time: &StoreTime) {
    while let Some(job) = jobs.blocking_recv() {
        match job {
            Some(job) => job(&db, time.now()),
            None => jobs.close(),
        }
    }
}

fn write_loop(
    db: Connection,
    mut jobs: mpsc::Receiver<Option<Write>>,
    time: &StoreTime,
    policy: &StorePolicy,
    wakes: &Wakes,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while jobs.blocking_recv_many(&mut batch, BATCH) > 0 {
        if batch.iter().any(Option::is_none) {
            jobs.close();
        }
        let mut left: VecDeque<_> = batch.drain(..).flatten().collect();
        while !left.is_empty() {
            transaction(&db, &mut left, time.now(), policy, wakes);
        }
    }
    // Leave one file behind, not a file and its log. Failing is harmless: the log is read at the next start.
    if let Err(error) = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
        tracing::debug!(%error, "store_checkpoint_failed");
    }
}

/// Run jobs from the front in one transaction, commit, answer. Ends early when SQLite has rolled everything back by itself,
/// as it does on a full disk; what is left in `jobs` then goes into the next one.
fn transaction(db: &Connection, jobs: &mut VecDeque<Write>, now: UnixMillis, policy: &StorePolicy, wakes: &Wakes) {
    let mut answers = Vec::with_capacity(jobs.len());
    let mut signals = Signals::default();
    let mut outcome = execute(db, "BEGIN IMMEDIATE").and_then(|()| super::time::remember(db, now));
    if let Err(error) = &outcome {
        // Nothing has run. Every job is told, rather than each waiting for a failure of its own.
        answers.extend(jobs.drain(..).map(|job| job(Err(error.clone())).1));
    }
    while let (Ok(()), Some(job)) = (&outcome, jobs.pop_front()) {
        let mut step = Step {
            db,
            now,
            policy,
            signals: Signals::default(),
        };
        outcome = savepoint(&mut step, job, &mut answers);
        signals.merge(step.signals);
    }
    let outcome = outcome.and_then(|()| execute(db, "COMMIT"));
    if outcome.is_err()
        && !db.is_autocommit()
        && let Err(error) = execute(db, "ROLLBACK")
    {
        tracing::error!(%error, "store_rollback_failed");
    }
    // Before the answers: whoever is answered can count on everybody else having been told.
    if outcome.is_ok() {
        wakes.tell(signals);
    }
    for answer in answers {
        answer(outcome.clone());
    }
}

fn savepoint(step: &mut Step<'_>, job: Write, answers: &mut Vec<Answer>) -> Result<(), StoreError> {
    if let Err(error) = execute(step.db, "SAVEPOINT job") {
        answers.push(job(Err(error.clone())).1);
        return Err(error);
    }
    let (keep, answer) = job(Ok(step));
    answers.push(answer);
    if step.db.is_autocommit() {
        return Err(StoreError::Unavailable(
            "SQLite undid the whole transaction; the call may be made again".to_owned(),
        ));
    }
    if !keep {
        step.signals = Signals::default();
        execute(step.db, "ROLLBACK TO job")?;
    }
    execute(step.db, "RELEASE job")
}

fn execute(db: &Connection, sql: &str) -> Result<(), StoreError> {
    db.prepare_cached(sql)
        .and_then(|mut statement| statement.execute([]))
        .map(|_| ())
        .map_err(unavailable)
}
