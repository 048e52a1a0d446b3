//! Wake-ups for work: tokens in a list, one for one host. A task with a connection of its own takes one while somebody
//! here waits; one that comes when nobody waits any more goes back to the list, for another host.

use std::{sync::Arc, time::Duration};

use redis::{AsyncConnectionConfig, Client, RedisResult, aio::MultiplexedConnection};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use super::calls::Calls;

/// How long one blocking call lasts: an idle host asks Redis that often.
const BLOCK: Duration = Duration::from_secs(5);
/// How long a token is kept for somebody who may come back to waiting at once.
const KEPT: Duration = Duration::from_millis(100);
/// Between tries to connect.
const RETRY: Duration = Duration::from_millis(500);

pub(super) struct Wakes {
    /// Keeps one permit: a wake-up between two waits is not lost.
    work: Notify,
    /// How many wait.
    waiting: watch::Sender<usize>,
}

/// Counts somebody as waiting, until it is dropped.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting -= 1);
    }
}

impl Wakes {
    /// Wait for one wake-up, at most so long. Whether it has come.
    pub async fn wait(&self, at_most: Duration) -> bool {
        self.waiting.send_modify(|waiting| *waiting += 1);
        let _counted = Waiting(&self.waiting);
        timeout(at_most, self.work.notified()).await.is_ok()
    }
}

pub(super) fn start(client: Client, calls: &Calls) -> (Arc<Wakes>, AbortOnDropHandle<()>) {
    let wakes = Arc::new(Wakes {
        work: Notify::new(),
        waiting: watch::Sender::new(0),
    });
    let task = Waker {
        wakes: wakes.clone(),
        client,
        list: calls.keys.of("wake"),
        call_timeout: calls.timeout,
    };
    (wakes, AbortOnDropHandle::new(tokio::spawn(task.run())))
}

struct Waker {
    wakes: Arc<Wakes>,
    client: Client,
    list: String,
    call_timeout: Duration,
}

impl Waker {
    async fn run(self) {
        let mut failing = false;
        loop {
            match self.serve(&mut failing).await {
                Ok(()) => {}
                // Told once per outage: hosts look for work by themselves meanwhile.
                Err(error) if !failing => warn!(%error, "store_wakeups_interrupted"),
                Err(error) => debug!(%error, "store_wakeups_interrupted"),
            }
            failing = true;
            sleep(RETRY).await;
        }
    }

    async fn serve(&self, failing: &mut bool) -> RedisResult<()> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.call_timeout))
            .set_response_timeout(Some(BLOCK + self.call_timeout));
        let mut connection = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        let mut waiting = self.wakes.waiting.subscribe();
        loop {
            if waiting.wait_for(|waiting| *waiting > 0).await.is_err() {
                return Ok(());
            }
            let token: Option<(String, String)> = redis::cmd("BLPOP")
                .arg(&self.list)
                .arg(BLOCK.as_secs())
                .query_async(&mut connection)
                .await?;
            *failing = false;
            if token.is_some() {
                self.hand_on(&mut waiting, &mut connection).await?;
            }
        }
    }

    /// Wake somebody here, or give the token back.
    async fn hand_on(
        &self,
        waiting: &mut watch::Receiver<usize>,
        connection: &mut MultiplexedConnection,
    ) -> RedisResult<()> {
        if let Ok(Ok(_)) = timeout(KEPT, waiting.wait_for(|waiting| *waiting > 0)).await {
            self.wakes.work.notify_one();
            return Ok(());
        }
        redis::cmd("RPUSH")
            .arg(&self.list)
            .arg("1")
            .query_async(connection)
            .await
    }
}
