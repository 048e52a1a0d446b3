//! A Redis server of this bench alone, on a free port, that keeps nothing on the disk.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use redis::Client;

const UP_WITHIN: Duration = Duration::from_secs(10);

pub struct RedisServer {
    child: Child,
    pub url: String,
}

impl RedisServer {
    pub fn start() -> RedisServer {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed (Debian: redis-server)");
        let server = RedisServer {
            child,
            url: format!("redis://127.0.0.1:{port}"),
        };
        server.wait();
        server
    }

    fn wait(&self) {
        let began = Instant::now();
        let client = Client::open(self.url.as_str()).unwrap();
        while client
            .get_connection()
            .and_then(|mut c| redis::cmd("PING").query::<()>(&mut c))
            .is_err()
        {
            assert!(began.elapsed() < UP_WITHIN, "Redis does not start");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// CPU time of all its threads.
    pub fn cpu(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let nanos = tasks.flatten().map(|task| -> u64 {
            let times = fs::read_to_string(task.path().join("schedstat")).unwrap();
            times.split(' ').next().unwrap().parse().unwrap()
        });
        Duration::from_nanos(nanos.sum())
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
