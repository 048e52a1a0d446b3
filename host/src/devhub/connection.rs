//! Connections that can be cut: a Hub that closes the connection instead of answering is a fault that clients must
//! survive, and no HTTP library offers to do that from inside a handler.
//!
//! Each connection has a token, a child of the listener's. Once it is cancelled every read and write fails, so the
//! server gives the connection up; a handler reaches its token through [`Peer`].

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A TCP listener whose connections are [`Cuttable`], one by one or all at once through `cut`.
pub(super) struct CuttableListener {
    listener: TcpListener,
    cut: CancellationToken,
}

impl CuttableListener {
    pub(super) fn new(listener: TcpListener, cut: CancellationToken) -> Self {
        Self { listener, cut }
    }
}

impl Listener for CuttableListener {
    type Io = Cuttable;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Cuttable, SocketAddr) {
        // axum's own implementation waits and tries again when the process is out of file descriptors.
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let cut = self.cut.child_token();
        (
            Cuttable {
                stream,
                cancelled: Box::pin(cut.clone().cancelled_owned()),
                cut,
            },
            address,
        )
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that fails every read and write once its token is cancelled.
pub(super) struct Cuttable {
    stream: TcpStream,
    cut: CancellationToken,
    /// Polled before a read, so that a task waiting for input wakes up when the connection is cut.
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Cuttable {
    fn check(&self) -> io::Result<()> {
        if self.cut.is_cancelled() {
            Err(io::ErrorKind::ConnectionAborted.into())
        } else {
            Ok(())
        }
    }
}

impl AsyncRead for Cuttable {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.cancelled.as_mut().poll(cx).is_ready() {
            return Poll::Ready(self.check());
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        // A write may wait too, for a client that reads nothing: it must be woken by a cut as well.
        if self.cancelled.as_mut().poll(cx).is_ready() {
            return Poll::Ready(self.check().map(|()| 0));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A handler's way to its own connection.
#[derive(Clone)]
pub(super) struct Peer {
    cut: CancellationToken,
}

impl Peer {
    /// Closes the connection; what is answered afterwards never reaches the client.
    pub(super) fn cut(&self) {
        self.cut.cancel();
    }
}

impl Connected<IncomingStream<'_, CuttableListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, CuttableListener>) -> Self {
        Self {
            cut: stream.io().cut.clone(),
        }
    }
}
