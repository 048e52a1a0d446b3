//! A server that plays what it is told, byte by byte: answers that no Hub and no HTTP library would send.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

/// What is done with one connection once its request has been read.
#[derive(Clone)]
pub enum Play {
    /// These bytes, then the connection is closed.
    Say(Vec<u8>),
    /// These bytes, then the same piece again and again, with a pause before each; then the connection is closed.
    Repeat {
        head: Vec<u8>,
        piece: Vec<u8>,
        times: usize,
        pause: Duration,
        end: Vec<u8>,
    },
    /// These bytes, and then nothing until the client closes.
    Hold(Vec<u8>),
}

impl Play {
    /// A whole answer with a JSON body.
    pub fn json(status: &str, body: &str) -> Play {
        Play::answer(status, "Content-Type: application/json\r\n", body)
    }

    /// A whole answer with these header lines.
    pub fn answer(status: &str, headers: &str, body: &str) -> Play {
        let length = body.len();
        let text = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}");
        Play::Say(text.into_bytes())
    }
}

/// The server. Plays its script one connection at a time, the last part for ever.
pub struct Player {
    pub address: SocketAddr,
    /// The requests as they came.
    requests: Arc<Mutex<Vec<String>>>,
    /// Connections that the client closed before the play was over.
    left: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Player {
    pub async fn start(script: impl Into<Vec<Play>>) -> Player {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let left = Arc::new(AtomicUsize::new(0));
        let (heard, gone, script) = (requests.clone(), left.clone(), script.into());
        let task = tokio::spawn(async move {
            let mut next = 0;
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let play = script[next.min(script.len() - 1)].clone();
                next += 1;
                tokio::spawn(serve(stream, play, heard.clone(), gone.clone()));
            }
        });
        Player {
            address,
            requests,
            left,
            task: task.abort_handle(),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// How many clients left in the middle.
    pub fn left(&self) -> usize {
        self.left.load(Ordering::SeqCst)
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, play: Play, heard: Arc<Mutex<Vec<String>>>, left: Arc<AtomicUsize>) {
    let Some(request) = request(&mut stream).await else {
        return;
    };
    heard.lock().unwrap().push(request);
    let played = match play {
        Play::Say(bytes) => stream.write_all(&bytes).await,
        Play::Repeat {
            head,
            piece,
            times,
            pause,
            end,
        } => {
            let mut played = stream.write_all(&head).await;
            for _ in 0..times {
                if played.is_err() {
                    break;
                }
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                played = stream.write_all(&piece).await;
            }
            match played {
                Ok(()) => stream.write_all(&end).await,
                failed => failed,
            }
        }
        Play::Hold(bytes) => {
            stream.write_all(&bytes).await.unwrap();
            let end = stream.read(&mut [0; 1]).await;
            assert!(
                !matches!(end, Ok(1..)),
                "the client said more on a connection that it waits on"
            );
            left.fetch_add(1, Ordering::SeqCst);
            return;
        }
    };
    match played {
        // Sent bytes must not be lost to a reset, so the end waits until the client has read them.
        Ok(()) => drop(stream.shutdown().await),
        Err(_) => drop(left.fetch_add(1, Ordering::SeqCst)),
    }
}

/// One request, head and body.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(text);
            }
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(size @ 1..) => bytes.extend_from_slice(&chunk[..size]),
            _ => return None,
        }
    }
}
