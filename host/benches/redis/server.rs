//! A Redis of the bench's own, and what it says of itself.

use std::{
    collections::BTreeMap,
    fs::File,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use redis::{Client, Connection, Value};
use tempfile::TempDir;

/// A running `redis-server` on a Unix socket, without persistence: what it costs to write a file is the same for
/// whoever has the same commands written. Killed when it is dropped.
pub struct Server {
    child: Child,
    folder: TempDir,
}

/// What a stretch of work has cost the server.
#[derive(Clone, Copy, Default)]
pub struct Cost {
    /// User and system time, in µs.
    pub cpu: f64,
    /// Commands that clients have sent: round trips, unless they were pipelined.
    pub calls: f64,
    /// Commands that were executed, those of scripts included.
    pub commands: f64,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Cost) {
        self.cpu += other.cpu;
        self.calls += other.calls;
        self.commands += other.commands;
    }
}

impl Server {
    pub fn start() -> Server {
        let folder = TempDir::new().unwrap();
        let log = File::create(folder.path().join("redis.log")).unwrap();
        let child = Command::new("redis-server")
            .args([
                "--port",
                "0",
                "--unixsocket",
                "redis.sock",
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log)
            .spawn()
            .expect("redis-server is installed (Debian: redis-server)");
        let server = Server { child, folder };
        while server.client().get_connection().is_err() {
            thread::sleep(Duration::from_millis(5));
        }
        server
    }

    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.folder.path().join("redis.sock").display())
    }

    fn client(&self) -> Client {
        Client::open(self.url()).unwrap()
    }

    pub fn connect(&self) -> Connection {
        self.client().get_connection().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).unwrap();
    }
}

/// Reads the server's own accounts, over a connection of its own.
pub struct Meter {
    connection: Connection,
    /// What one reading costs, which is in what follows it.
    reading: Cost,
    before: Cost,
}

impl Meter {
    pub fn new(server: &Server) -> Meter {
        let mut meter = Meter {
            connection: server.connect(),
            reading: Cost::default(),
            before: Cost::default(),
        };
        let mut sum = Cost::default();
        const READINGS: usize = 200;
        meter.begin();
        for _ in 0..READINGS {
            sum += meter.lap();
        }
        let mean = |total: f64| total / READINGS as f64;
        meter.reading = Cost {
            cpu: mean(sum.cpu),
            calls: mean(sum.calls),
            commands: mean(sum.commands),
        };
        meter
    }

    pub fn begin(&mut self) {
        self.before = self.read();
    }

    /// What was spent since the last reading.
    pub fn lap(&mut self) -> Cost {
        let now = self.read();
        let before = std::mem::replace(&mut self.before, now);
        Cost {
            cpu: now.cpu - before.cpu - self.reading.cpu,
            calls: now.calls - before.calls - self.reading.calls,
            commands: now.commands - before.commands - self.reading.commands,
        }
    }

    fn read(&mut self) -> Cost {
        let info: String = redis::cmd("INFO")
            .arg(&["cpu", "commandstats"])
            .query(&mut self.connection)
            .unwrap();
        let lines: BTreeMap<&str, &str> = info.lines().filter_map(|line| line.split_once(':')).collect();
        let seconds = |name: &str| lines[name].parse::<f64>().unwrap();
        let mut cost = Cost {
            cpu: (seconds("used_cpu_user") + seconds("used_cpu_sys")) * 1e6,
            ..Cost::default()
        };
        for (name, value) in lines {
            let Some(command) = name.strip_prefix("cmdstat_") else {
                continue;
            };
            let calls = value.strip_prefix("calls=").and_then(|rest| rest.split(',').next());
            let calls: f64 = calls.unwrap().parse().unwrap();
            // A call of a script is what a client sends; what is executed is what the script asks for.
            if matches!(command, "fcall" | "evalsha" | "info") {
                cost.calls += calls;
            } else {
                cost.commands += calls;
            }
        }
        cost
    }
}

/// A command on a connection, with its answer.
pub fn ask(connection: &mut Connection, command: &redis::Cmd) -> Value {
    command.query(connection).unwrap()
}
