//! A file read or written piece by piece, as most languages' libraries do it. Each stream has at most one call to the disk
//! under way, on a thread that may wait.

use std::{future::Future, mem, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{runtime::Handle, sync::OwnedSemaphorePermit};
use tokio_util::task::AbortOnDropHandle;
use wasmtime::Error;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use super::{
    bindings::wasi::filesystem::types::ErrorCode,
    content::{self, At, CHUNK},
    failure::Failure,
    handles::OpenFile,
    session::Session,
};

/// A call that is under way.
struct Call<T>(AbortOnDropHandle<Result<T, Failure>>);

impl<T: Send + 'static> Call<T> {
    fn start(io: &Handle, call: impl Future<Output = Result<T, Failure>> + Send + 'static) -> Call<T> {
        Call(AbortOnDropHandle::new(io.spawn(call)))
    }

    async fn result(&mut self) -> Result<T, Failure> {
        match (&mut self.0).await {
            Ok(result) => result,
            Err(error) => Err(Failure::new(ErrorCode::Io, format!("the host failed: {error}"))),
        }
    }
}

/// Reads from an offset to the end.
pub struct FileReader {
    session: Arc<Session>,
    file: Arc<OpenFile>,
    offset: u64,
    state: Reading,
    _permit: OwnedSemaphorePermit,
}

enum Reading {
    Idle,
    Waiting(Call<Bytes>),
    Read(Bytes),
    Failed(Failure),
    Ended,
}

impl FileReader {
    pub fn new(session: Arc<Session>, file: Arc<OpenFile>, offset: u64, permit: OwnedSemaphorePermit) -> FileReader {
        FileReader {
            session,
            file,
            offset,
            state: Reading::Idle,
            _permit: permit,
        }
    }

    fn start(&mut self, size: usize) {
        let (session, file, offset) = (Arc::clone(&self.session), Arc::clone(&self.file), self.offset);
        let call = async move { session.run(move |_| content::read(&file, size as u64, offset)).await };
        self.state = Reading::Waiting(Call::start(&self.session.io, call));
    }
}

#[async_trait]
impl Pollable for FileReader {
    async fn ready(&mut self) {
        if let Reading::Idle = self.state {
            self.start(CHUNK);
        }
        if let Reading::Waiting(call) = &mut self.state {
            self.state = match call.result().await {
                Ok(bytes) if bytes.is_empty() => Reading::Ended,
                Ok(bytes) => Reading::Read(bytes),
                Err(failure) => Reading::Failed(failure),
            };
        }
    }
}

#[async_trait]
impl InputStream for FileReader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        match &mut self.state {
            _ if size == 0 => Ok(Bytes::new()),
            Reading::Idle => {
                self.start(size.min(CHUNK));
                Ok(Bytes::new())
            }
            Reading::Waiting(_) => Ok(Bytes::new()),
            Reading::Read(bytes) => {
                let taken = bytes.split_to(size.min(bytes.len()));
                if bytes.is_empty() {
                    self.state = Reading::Idle;
                }
                self.offset += taken.len() as u64;
                Ok(taken)
            }
            Reading::Failed(_) => match mem::replace(&mut self.state, Reading::Ended) {
                Reading::Failed(failure) => Err(StreamError::LastOperationFailed(Error::new(failure))),
                _ => Err(StreamError::Closed),
            },
            Reading::Ended => Err(StreamError::Closed),
        }
    }

    /// Reads no more than is asked for: the rest would be thrown away with the stream.
    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        if let Reading::Idle = self.state
            && size > 0
        {
            self.start(size.min(CHUNK));
        }
        self.ready().await;
        self.read(size)
    }
}

/// Writes from an offset on, or at the end.
pub struct FileWriter {
    session: Arc<Session>,
    file: Arc<OpenFile>,
    at: At,
    state: Writing,
    _permit: OwnedSemaphorePermit,
}

enum Writing {
    Idle,
    /// So many bytes are being written.
    Waiting(Call<()>, u64),
    Failed(Failure),
}

impl FileWriter {
    pub fn new(session: Arc<Session>, file: Arc<OpenFile>, at: At, permit: OwnedSemaphorePermit) -> FileWriter {
        FileWriter {
            session,
            file,
            at,
            state: Writing::Idle,
            _permit: permit,
        }
    }

    /// How the last write went. After a failure the stream stays usable: a guest over its quota may make room and go on.
    fn last(&mut self) -> StreamResult<()> {
        match mem::replace(&mut self.state, Writing::Idle) {
            Writing::Failed(failure) => Err(StreamError::LastOperationFailed(Error::new(failure))),
            state => {
                self.state = state;
                Ok(())
            }
        }
    }
}

#[async_trait]
impl Pollable for FileWriter {
    async fn ready(&mut self) {
        if let Writing::Waiting(call, count) = &mut self.state {
            let (result, count) = (call.result().await, *count);
            self.state = match result {
                Ok(()) => {
                    if let At::Offset(offset) = &mut self.at {
                        *offset += count;
                    }
                    Writing::Idle
                }
                Err(failure) => Writing::Failed(failure),
            };
        }
    }
}

#[async_trait]
impl OutputStream for FileWriter {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if !matches!(self.state, Writing::Idle) || bytes.len() > CHUNK {
            return Err(StreamError::trap("written more than check-write allows"));
        }
        let (session, file, at) = (Arc::clone(&self.session), Arc::clone(&self.file), self.at);
        let count = bytes.len() as u64;
        let call = async move { session.run(move |session| session.write(&file, &bytes, at)).await };
        self.state = Writing::Waiting(Call::start(&self.session.io, call), count);
        Ok(())
    }

    /// Nothing is held back: what has been written is with the system.
    fn flush(&mut self) -> StreamResult<()> {
        self.last()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.last()?;
        Ok(if let Writing::Idle = self.state { CHUNK } else { 0 })
    }
}
