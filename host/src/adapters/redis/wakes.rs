//! Wake-ups for work: tokens in a list, one for one host. Who waits takes one, on a connection of its own, and has sent its
//! claim behind that: Redis begins with it the moment that there is a token, so that the answer to the claim is what wakes
//! the host. A connection that is dropped in the middle of a wait takes neither a token nor a claim from then on.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, RedisError, RedisResult, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::calls::Calls;

/// The longest that one call blocks: what may be lost on the way is lost for no longer.
const BLOCK: Duration = Duration::from_secs(5);
/// Who can't wait for a wake-up looks for itself that often.
const RETRY: Duration = Duration::from_millis(500);

pub(super) struct Wakes {
    client: Client,
    list: String,
    call_timeout: Duration,
    /// The connection of the last wait, for the next.
    free: Mutex<Option<MultiplexedConnection>>,
    /// An outage is told once.
    failing: AtomicBool,
}

impl Wakes {
    pub fn new(client: Client, calls: &Calls) -> Wakes {
        Wakes {
            client,
            list: calls.keys.of("wake"),
            call_timeout: calls.timeout,
            free: Mutex::default(),
            failing: AtomicBool::new(false),
        }
    }

    /// Wait for a wake-up, at most so long, and have this done then: its answer, if there is one. After an error it may have
    /// been done, too.
    pub async fn then(&self, command: Option<&Cmd>, at_most: Duration) -> RedisResult<Option<Value>> {
        let began = tokio::time::Instant::now();
        loop {
            let left = at_most.saturating_sub(began.elapsed());
            match self.wait(command, left.min(BLOCK)).await {
                Ok(Waited { woken, answer }) => {
                    self.failing.store(false, Ordering::Relaxed);
                    if woken || command.is_some() || left <= BLOCK {
                        return Ok(answer);
                    }
                }
                Err(error) => {
                    match self.failing.swap(true, Ordering::Relaxed) {
                        false => warn!(%error, "store_wakeups_interrupted"),
                        true => debug!(%error, "store_wakeups_interrupted"),
                    }
                    sleep(RETRY.min(left)).await;
                    return Err(error);
                }
            }
        }
    }

    async fn wait(&self, command: Option<&Cmd>, at_most: Duration) -> RedisResult<Waited> {
        let free = self.lock().take();
        let mut connection = match free {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let mut both = redis::pipe();
        // For 0 it would block for ever.
        let seconds = at_most.max(Duration::from_millis(1)).as_secs_f64();
        both.cmd("BLPOP").arg(&self.list).arg(seconds);
        if let Some(command) = command {
            both.add_command(command.clone());
        }
        both.ignore_errors();
        let answers = connection.req_packed_commands(&both, 0, both.len());
        let answers = timeout(at_most + self.call_timeout, answers)
            .await
            .unwrap_or_else(|_| Err(silent()))?;
        let mut answers = answers.into_iter();
        let token = answers.next().unwrap_or(Value::Nil).extract_error()?;
        // A refused one is made again, where its refusal is understood.
        let answer = answers.next().and_then(|answer| answer.extract_error().ok());
        if command.is_none() || answer.is_some() {
            *self.lock() = Some(connection);
        }
        Ok(Waited {
            woken: token != Value::Nil,
            answer,
        })
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.call_timeout))
            .set_response_timeout(None);
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }

    /// Let go of the connection that nobody waits on.
    pub fn close(&self) {
        self.lock().take();
    }

    fn lock(&self) -> MutexGuard<'_, Option<MultiplexedConnection>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Waited {
    woken: bool,
    answer: Option<Value>,
}

fn silent() -> RedisError {
    (ErrorKind::Io, "no answer in time").into()
}
