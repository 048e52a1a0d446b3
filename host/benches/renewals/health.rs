//! Asks `GET /health` again and again, from a thread of its own.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

const PAUSE: Duration = Duration::from_millis(10);

pub struct Asker {
    delays: Arc<Mutex<Vec<Duration>>>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Asker {
    pub fn start(address: SocketAddr) -> Asker {
        let delays = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (seen, stopped) = (Arc::clone(&delays), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let mut connection = BufReader::new(TcpStream::connect(address).unwrap());
            connection.get_ref().set_nodelay(true).unwrap();
            while !stopped.load(Relaxed) {
                let asked = Instant::now();
                ask(&mut connection, address);
                seen.lock().unwrap().push(asked.elapsed());
                thread::sleep(PAUSE);
            }
        });
        Asker { delays, stop, thread }
    }

    /// How long the answers since the last call took.
    pub fn take(&self) -> Vec<Duration> {
        std::mem::take(&mut self.delays.lock().unwrap())
    }

    pub fn stop(self) {
        self.stop.store(true, Relaxed);
        self.thread.join().unwrap();
    }
}

/// One request on a connection that stays open.
fn ask(connection: &mut BufReader<TcpStream>, address: SocketAddr) {
    write!(connection.get_mut(), "GET /health HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut line = String::new();
    connection.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 200 "), "{line:?}");
    let mut length = 0;
    loop {
        line.clear();
        connection.read_line(&mut line).unwrap();
        match line.trim_end().to_ascii_lowercase().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().unwrap(),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).unwrap();
}
