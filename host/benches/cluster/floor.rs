//! What Redis can do: two scripts that do nothing for each item, for 50 callers that wait for each answer. They share a
//! connection, so that what they send at the same time travels together: with a connection each, the server would mostly
//! be reading and writing sockets.

use redis::{Client, aio::MultiplexedConnection};
use tokio::task::JoinSet;

const CALLERS: usize = 50;

pub struct Floor {
    connection: MultiplexedConnection,
    /// By their hashes.
    scripts: [String; 2],
}

impl Floor {
    pub async fn new(url: &str) -> Floor {
        let client = Client::open(url).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut scripts = [String::new(), String::new()];
        for (script, text) in scripts.iter_mut().zip(["return 1", "return 2"]) {
            let mut load = redis::cmd("SCRIPT");
            *script = load.arg("LOAD").arg(text).query_async(&mut connection).await.unwrap();
        }
        Floor { connection, scripts }
    }

    /// So many items.
    pub async fn items(&self, items: usize) {
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let (mut connection, scripts) = (self.connection.clone(), self.scripts.clone());
            let share = items / CALLERS + usize::from(caller < items % CALLERS);
            callers.spawn(async move {
                for _ in 0..share {
                    for script in &scripts {
                        let mut call = redis::cmd("EVALSHA");
                        let _: i64 = call.arg(script).arg(0).query_async(&mut connection).await.unwrap();
                    }
                }
            });
        }
        callers.join_all().await;
    }

    /// How long a PING takes.
    pub async fn ping(&self) {
        redis::cmd("PING")
            .query_async::<()>(&mut self.connection.clone())
            .await
            .unwrap();
    }
}
