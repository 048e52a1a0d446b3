//! Clients that are slow, idle or silent: they neither keep others out nor keep the host from stopping.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{DEADLINE, Served};

/// Half a request's head, and a whole one with half a body.
const HALVES: [&str; 3] = [
    "",
    "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
    "POST /api/v1/items HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer a-token-of-the-test-s-own\r\n\
     Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
];

async fn half(host: &Served, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(host.address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn half_a_request_does_not_keep_the_host_from_stopping() {
    let host = Served::start().await;
    let mut open = Vec::new();
    for text in HALVES {
        open.push(half(&host, text).await);
    }
    // Answered after them, so they have been accepted.
    assert_eq!(host.get("/health").await.0, 200);
    host.stop.cancel();
    let started = Instant::now();
    timeout(DEADLINE, host.server).await.unwrap().unwrap().unwrap();
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_request_s_head_has_a_time_limit() {
    let host = Served::start().await;
    let mut slow = half(&host, HALVES[1]).await;
    let mut answer = Vec::new();
    timeout(DEADLINE, slow.read_to_end(&mut answer))
        .await
        .expect("cut after some ten seconds")
        .unwrap();
}
