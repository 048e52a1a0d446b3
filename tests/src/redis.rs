//! Redis servers of the tests: a process each, on an address of its own, and what happens to them on bad days.

use std::{
    env, fs,
    net::{SocketAddr, TcpListener},
    process::Command,
    time::Duration,
};

use redis::{Client, FromRedisValue, RedisResult};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{SOON, eventually, hub::own_address, process::Process};

/// Names the server that the tests start instead of the `redis-server` on the PATH: a Valkey, or another Redis.
pub const SERVER: &str = "WARREN_TEST_REDIS_SERVER";

/// For a command of a test and its answer.
const ANSWER: Duration = Duration::from_secs(10);
/// A key that shows how far a replica is.
const MARK: &str = "copied-as-far-as-this";
const APPEND_ONLY: &str = "appendonlydir";

/// What a server keeps of its data when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// Whatever it has answered is on the disk: `appendfsync always`.
    Everything,
    Nothing,
}

/// A `redis-server`, which does not outlive its test.
pub struct RedisServer {
    folder: TempDir,
    address: SocketAddr,
    keeps: Keeps,
    more: Vec<String>,
    process: Process,
}

impl RedisServer {
    /// Starts one and waits until it answers. `more` are further arguments, such as `--requirepass secret`.
    #[track_caller]
    pub fn start(keeps: Keeps, more: &[&str]) -> RedisServer {
        let address = free_address();
        RedisServer::start_at(address, keeps, more)
    }

    /// The same on an address that was chosen before, by [`free_address`].
    #[track_caller]
    pub fn start_at(address: SocketAddr, keeps: Keeps, more: &[&str]) -> RedisServer {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let more: Vec<String> = more.iter().map(ToString::to_string).collect();
        let process = spawn(&folder, address, keeps, &more);
        let mut server = RedisServer {
            folder,
            address,
            keeps,
            more,
            process,
        };
        server.wait_up();
        server
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What hosts are configured with that reach it without a proxy.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Its answer to a command, or why there is none.
    pub fn try_command<T: FromRedisValue>(&self, command: &[&str]) -> RedisResult<T> {
        redis::cmd(command[0]).arg(&command[1..]).query(&mut self.connection()?)
    }

    fn connection(&self) -> RedisResult<redis::Connection> {
        let mut connection = Client::open(self.url())?.get_connection_with_timeout(ANSWER)?;
        connection.set_read_timeout(Some(ANSWER))?;
        if let Some(password) = self.password() {
            redis::cmd("AUTH").arg(password).exec(&mut connection)?;
        }
        Ok(connection)
    }

    #[track_caller]
    pub fn command<T: FromRedisValue>(&self, command: &[&str]) -> T {
        self.try_command(command)
            .unwrap_or_else(|error| panic!("{}: {error}", command.join(" ")))
    }

    /// A copy of this one that follows it, as soon as it has all that this one has, also on its disk.
    #[track_caller]
    pub fn replica(&self) -> RedisServer {
        let replica = RedisServer::start(self.keeps, &[]);
        let (ip, port) = (self.address.ip().to_string(), self.address.port().to_string());
        let _: String = replica.command(&["REPLICAOF", &ip, &port]);
        eventually("a replica that is up to date", SOON, || {
            let says = |section: &str, words: &[&str]| {
                let info: RedisResult<String> = replica.try_command(&["INFO", section]);
                info.is_ok_and(|info| words.iter().all(|word| info.contains(word)))
            };
            let written = ["aof_rewrite_in_progress:0", "aof_rewrite_scheduled:0"];
            (says("replication", &["master_link_status:up"]) && says("persistence", &written)).then_some(())
        });
        replica
    }

    /// Waits until its replica has everything that was answered before this was called.
    #[track_caller]
    pub fn wait_copied(&self) {
        let copied: (String, i64) = redis::pipe()
            .cmd("SET")
            .arg(MARK)
            .arg("1")
            .cmd("WAIT")
            .arg(1)
            .arg(ANSWER.as_millis() as u64 / 2)
            .query(&mut self.connection().expect("a primary answers"))
            .expect("a primary answers");
        assert_eq!(copied.1, 1, "the replica does not follow");
    }

    /// Makes a replica a primary.
    #[track_caller]
    pub fn promote(&self) {
        let _: String = self.command(&["REPLICAOF", "NO", "ONE"]);
        let _: i64 = self.command(&["DEL", MARK]);
    }

    /// Changes parts with its replica, once that has everything.
    #[track_caller]
    pub fn hand_over_to(&self, replica: &RedisServer) {
        let (ip, port) = (replica.address.ip().to_string(), replica.address.port().to_string());
        let limit = (ANSWER.as_millis() as u64 / 2).to_string();
        let _: String = self.command(&["FAILOVER", "TO", &ip, &port, "TIMEOUT", &limit]);
        eventually("that the replica is the primary", SOON, || {
            let info: RedisResult<String> = replica.try_command(&["INFO", "replication"]);
            info.is_ok_and(|info| info.contains("role:master")).then_some(())
        });
    }

    fn password(&self) -> Option<&str> {
        let at = self.more.iter().position(|argument| argument == "--requirepass")?;
        self.more.get(at + 1).map(String::as_str)
    }

    /// Waits until it answers; also while it reads its data.
    #[track_caller]
    fn wait_up(&mut self) {
        eventually("a Redis that answers", SOON, || {
            let ended = self.process.exited();
            assert!(ended.is_none(), "redis-server ended: {ended:?}");
            self.try_command::<String>(&["PING"]).ok()
        });
    }

    pub fn exited(&mut self) -> bool {
        self.process.exited().is_some()
    }

    pub fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    #[track_caller]
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Starts it anew on the same address with what it has kept; it must have been killed.
    #[track_caller]
    pub fn start_again(&mut self) {
        assert!(self.process.exited().is_some(), "redis-server still runs");
        self.process = spawn(&self.folder, self.address, self.keeps, &self.more);
        self.wait_up();
    }

    /// `kill -9` and a new start.
    #[track_caller]
    pub fn restart(&mut self) {
        self.kill9();
        self.start_again();
    }

    /// Forgets everything; it must have been killed.
    #[track_caller]
    pub fn forget(&mut self) {
        assert!(self.process.exited().is_some(), "redis-server still runs");
        let data = self.folder.path().join(APPEND_ONLY);
        if data.exists() {
            fs::remove_dir_all(&data).unwrap_or_else(|error| panic!("{}: {error}", data.display()));
        }
    }

    /// From now on it holds more than it may: only what drains it is still done.
    #[track_caller]
    pub fn fill_up(&self) {
        let _: String = self.command(&["CONFIG", "SET", "maxmemory", "1"]);
    }

    #[track_caller]
    pub fn make_room(&self) {
        let _: String = self.command(&["CONFIG", "SET", "maxmemory", "0"]);
    }

    /// Cuts every connection but the one that asks for it.
    #[track_caller]
    pub fn kill_clients(&self) {
        for kind in ["normal", "pubsub"] {
            let _: i64 = self.command(&["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"]);
        }
    }

    /// Answers nobody for so long.
    #[track_caller]
    pub fn pause(&self, span: Duration) {
        let _: String = self.command(&["CLIENT", "PAUSE", &span.as_millis().to_string(), "ALL"]);
    }

    /// Forgets every script and every function.
    #[track_caller]
    pub fn forget_scripts(&self) {
        for what in ["SCRIPT", "FUNCTION"] {
            let _: String = self.command(&[what, "FLUSH"]);
        }
    }

    /// Ends a pause early.
    #[track_caller]
    pub fn unpause(&self) {
        let _: String = self.command(&["CLIENT", "UNPAUSE"]);
    }
}

/// The server that the tests are to be run with.
pub fn server() -> Command {
    Command::new(env::var_os(SERVER).unwrap_or_else(|| "redis-server".into()))
}

/// An address on which nothing listens, and that no other test uses.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((own_address(), 0)).expect("a port is free");
    listener.local_addr().expect("a listener has an address")
}

fn spawn(folder: &TempDir, address: SocketAddr, keeps: Keeps, more: &[String]) -> Process {
    let mut command = server();
    command
        .args([
            "--bind",
            &address.ip().to_string(),
            "--port",
            &address.port().to_string(),
        ])
        // A primary has to find the replica on the address that it listens on.
        .args(["--replica-announce-ip", &address.ip().to_string()])
        .args(["--repl-diskless-sync-delay", "0"])
        .args(["--save", "", "--dir", &folder.path().display().to_string()])
        .args(["--appenddirname", APPEND_ONLY]);
    match keeps {
        Keeps::Everything => command.args(["--appendonly", "yes", "--appendfsync", "always"]),
        Keeps::Nothing => command.args(["--appendonly", "no"]),
    };
    Process::spawn("redis-server", command.args(more))
}
