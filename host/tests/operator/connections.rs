//! Clients that are slow, idle or silent: they neither keep others out nor keep the host from stopping.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use warren::app::api;

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

/// A host that starts is asked again and again whether it is ready. Who is connected when it has started is answered.
#[tokio::test]
async fn connections_from_while_a_host_starts_are_answered_by_what_it_is_then() {
    let host = Served::start().await;
    let listener = api::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    let starting = api::starting(Arc::clone(&host.context.state), Arc::clone(&host.context.access));
    let (answers, answered) = watch::channel(starting);
    let stop = CancellationToken::new();
    let server = tokio::spawn(api::serve(listener, answered, stop.clone()));
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut asking = TcpStream::connect(address).await.unwrap();
    ask(&mut asking, "keep-alive").await;
    let mut head = [0; 12];
    timeout(DEADLINE, asking.read_exact(&mut head)).await.unwrap().unwrap();
    assert_eq!(&head, b"HTTP/1.1 503");
    answers.send_replace(api::whole(Arc::clone(&host.context), stop.clone()));
    for stream in [&mut silent, &mut asking] {
        ask(stream, "close").await;
        let mut rest = String::new();
        timeout(DEADLINE, stream.read_to_string(&mut rest))
            .await
            .unwrap()
            .unwrap();
        assert!(rest.contains("HTTP/1.1 200"), "{rest}");
    }
    stop.cancel();
    server.await.unwrap().unwrap();
}

async fn ask(stream: &mut TcpStream, connection: &str) {
    let request = format!("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: {connection}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
}
