//! The Redis store under the contract. Each case has a Redis server of its own on a Unix socket, and moves its store's time
//! by hand. Opening the store anew kills that server with `kill -9` and starts it on what its append-only file holds.

use std::{
    fs::File,
    net::TcpListener,
    path::Path,
    process::{Child, Stdio},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use redis::{AsyncConnectionConfig, Client, FromRedisValue, RedisResult, aio::MultiplexedConnection};
use tempfile::TempDir;
use warren::{
    adapters::redis::{ConnectError, RedisConfig, RedisStore, StoreClock},
    domain::time::UnixMillis,
    ports::store::{Store, StorePolicy},
};
use warren_tests::redis::server;

use super::{
    harness::Harness,
    model::{START, seen::Seen},
    redis_shows,
    support::DEADLINE,
};

/// A running `redis-server`, killed when it is dropped.
pub struct Server(Child);

impl Server {
    /// Start one whose socket and data are in `folder`.
    pub fn start(folder: &Path, more: &[&str]) -> Server {
        let log = File::create(folder.join("redis.log")).unwrap();
        let child = server()
            .args([
                "--port",
                "0",
                "--unixsocket",
                "redis.sock",
                "--save",
                "",
                "--appendonly",
                "yes",
                // Everything that is answered is in the file: `everysec` may hold writes back for two seconds.
                "--appendfsync",
                "always",
            ])
            .args(more)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log)
            .spawn()
            .expect("redis-server is installed (Debian: redis-server)");
        Server(child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).unwrap();
    }
}

/// Where the server of a folder listens.
pub fn url(folder: &Path) -> String {
    format!("redis+unix://{}", folder.join("redis.sock").display())
}

/// The library gives up after half a second, which a busy machine may well take.
fn patient() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(DEADLINE))
        .set_response_timeout(Some(DEADLINE))
}

/// A port that nobody uses. Somebody else may take it before the server does: then the server ends, and the test with it.
pub fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

/// An operator's connection, straight to the server of a folder.
pub struct Operator(MultiplexedConnection);

impl Operator {
    /// Connect as soon as the server is up.
    pub async fn of(folder: &Path) -> Operator {
        let client = Client::open(url(folder)).unwrap();
        let deadline = Instant::now() + DEADLINE;
        loop {
            match client.get_multiplexed_async_connection_with_config(&patient()).await {
                Ok(connection) => return Operator(connection),
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn try_ask<T: FromRedisValue>(&mut self, command: &[&str]) -> RedisResult<T> {
        let mut built = redis::cmd(command[0]);
        built.arg(&command[1..]).query_async(&mut self.0).await
    }

    pub async fn ask<T: FromRedisValue>(&mut self, command: &[&str]) -> T {
        self.try_ask(command).await.unwrap()
    }

    /// Ask until this is in the answer.
    pub async fn until(&mut self, command: &[&str], expected: &str) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let answer: String = self.ask(command).await;
            if answer.contains(expected) {
                return;
            }
            assert!(Instant::now() < deadline, "{answer}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// In front of every key of these tests.
pub const PREFIX: &str = "{test}:";

pub fn config(folder: &Path, policy: &StorePolicy, clock: StoreClock) -> RedisConfig {
    RedisConfig {
        url: url(folder).into(),
        ca_file: None,
        key_prefix: PREFIX.to_owned(),
        policy: policy.clone(),
        call_timeout: Duration::from_secs(5),
        clock,
    }
}

/// Connect as soon as the server is up.
pub async fn connect(config: RedisConfig) -> RedisStore {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match RedisStore::connect(config.clone()).await {
            Ok(store) => return store,
            Err(ConnectError::Unavailable { .. }) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

pub struct RedisHarness {
    // Dropped in this order: the store, its server, its folder.
    store: RedisStore,
    server: Option<Server>,
    folder: Arc<TempDir>,
    time: Arc<AtomicI64>,
    policy: StorePolicy,
    /// A connection of operators of old.
    beside: Option<MultiplexedConnection>,
}

/// A server for many short cases, one after the other; what it holds is gone when it stops.
pub struct Shared {
    _server: Server,
    folder: Arc<TempDir>,
    beside: MultiplexedConnection,
}

impl RedisHarness {
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The store's time.
    pub fn now(&self) -> i64 {
        self.time.load(Ordering::SeqCst)
    }

    /// The server dies, and comes back with what it had written; the store is the same.
    pub async fn restart(&mut self, between: impl AsyncFnOnce()) {
        drop(self.server.take());
        between().await;
        self.server = Some(Server::start(self.folder.path(), &[]));
    }

    /// A connection of operators of old.
    pub async fn beside(&self) -> MultiplexedConnection {
        let client = Client::open(url(self.folder.path())).unwrap();
        client
            .get_multiplexed_async_connection_with_config(&patient())
            .await
            .unwrap()
    }

    /// A command, as an operator or another system sends it.
    pub async fn redis<T: FromRedisValue>(&self, command: &[&str]) -> T {
        let mut built = redis::cmd(command[0]);
        built
            .arg(&command[1..])
            .query_async(&mut self.beside().await)
            .await
            .unwrap()
    }
}

fn by_hand(time: &Arc<AtomicI64>) -> StoreClock {
    let time = time.clone();
    StoreClock::ByHand(Arc::new(move || UnixMillis(time.load(Ordering::SeqCst))))
}

impl Harness for RedisHarness {
    type Place = Shared;

    async fn place() -> Shared {
        let folder = Arc::new(TempDir::new().unwrap());
        let server = Server::start(folder.path(), &["--appendonly", "no"]);
        connect(config(folder.path(), &StorePolicy::default(), StoreClock::Redis)).await;
        let client = Client::open(url(folder.path())).unwrap();
        Shared {
            _server: server,
            folder,
            beside: client
                .get_multiplexed_async_connection_with_config(&patient())
                .await
                .unwrap(),
        }
    }

    async fn fresh_in(place: &Shared, policy: StorePolicy) -> RedisHarness {
        let time = Arc::new(AtomicI64::new(START.0));
        let mut beside = place.beside.clone();
        redis::cmd("FLUSHALL").query_async::<()>(&mut beside).await.unwrap();
        RedisHarness {
            store: connect(config(place.folder.path(), &policy, by_hand(&time))).await,
            server: None,
            folder: place.folder.clone(),
            time,
            policy,
            beside: Some(beside),
        }
    }

    async fn shows(&self, seen: &Seen) -> Result<(), String> {
        match &self.beside {
            Some(connection) => redis_shows::agree(connection.clone(), seen).await,
            None => Ok(()),
        }
    }

    async fn fresh(policy: StorePolicy) -> RedisHarness {
        let folder = Arc::new(TempDir::new().unwrap());
        let time = Arc::new(AtomicI64::new(START.0));
        let server = Server::start(folder.path(), &[]);
        RedisHarness {
            store: connect(config(folder.path(), &policy, by_hand(&time))).await,
            server: Some(server),
            folder,
            time,
            policy,
            beside: None,
        }
    }

    fn store(&self) -> Store {
        self.store.store()
    }

    fn advance(&self, by: Duration) {
        self.time.fetch_add(by.as_millis() as i64, Ordering::SeqCst);
    }

    async fn reopen(&mut self) {
        drop(self.server.take());
        self.server = Some(Server::start(self.folder.path(), &[]));
        self.store = connect(config(self.folder.path(), &self.policy, by_hand(&self.time))).await;
    }
}
