//! The one connection that all calls share. It is made when a call needs it, and again after it broke, for whatever reason
//! the last try failed: a host must come back by itself also from a password that was wrong for a while, or from a server
//! that had no room for another client. (The library's manager keeps an error of the server for good.)

use std::sync::{Arc, Mutex as Cell, MutexGuard, PoisonError};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, ServerErrorKind,
    Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use tokio::sync::Mutex;

#[derive(Clone)]
pub(super) struct Connection(Arc<Shared>);

struct Shared {
    client: Client,
    config: AsyncConnectionConfig,
    current: Cell<Option<Made>>,
    /// One call connects, and the others wait for what it gets. How many connections there were.
    connecting: Mutex<u64>,
}

#[derive(Clone)]
struct Made {
    connection: MultiplexedConnection,
    /// Tells connections apart, so that a late failure of an old one does not end a new one.
    number: u64,
}

impl Connection {
    /// Connect now, so that what is wrong is known at once.
    pub async fn open(client: Client, config: AsyncConnectionConfig) -> RedisResult<Connection> {
        let connection = Connection(Arc::new(Shared {
            client,
            config,
            current: Cell::new(None),
            connecting: Mutex::new(0),
        }));
        connection.get().await?;
        Ok(connection)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Made>> {
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> Option<Made> {
        self.lock().clone()
    }

    async fn get(&self) -> RedisResult<Made> {
        if let Some(made) = self.current() {
            return Ok(made);
        }
        let mut number = self.0.connecting.lock().await;
        if let Some(made) = self.current() {
            return Ok(made);
        }
        let connecting = self
            .0
            .client
            .get_multiplexed_async_connection_with_config(&self.0.config);
        let connection = connecting.await?;
        *number += 1;
        let made = Made {
            connection,
            number: *number,
        };
        *self.lock() = Some(made.clone());
        Ok(made)
    }

    /// Let go of a connection that an answer shows to be broken, or to lead to a server that is no primary any more: who
    /// connects anew finds the one that has taken its place behind the same name.
    fn judge<T>(&self, number: u64, answer: &RedisResult<T>) {
        let useless = |error: &RedisError| {
            let demoted = matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly));
            demoted || error.is_unrecoverable_error()
        };
        if answer.as_ref().is_err_and(useless) {
            let mut current = self.lock();
            *current = current.take().filter(|made| made.number != number);
        }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let mut made = self.get().await?;
            let answer = made.connection.req_packed_command(command).await;
            // What the server refuses is a value until somebody looks for an error in it.
            let answer = answer.and_then(Value::extract_error);
            self.judge(made.number, &answer);
            answer
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let mut made = self.get().await?;
            let answer = made.connection.req_packed_commands(pipeline, offset, count).await;
            self.judge(made.number, &answer);
            answer
        })
    }

    fn get_db(&self) -> i64 {
        self.current().map_or(0, |made| made.connection.get_db())
    }
}
