//! What a guest says: `wasi:logging`, stdout and stderr become lines of its host's log, within one allowance.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncWrite, sink};
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

use super::guest::Account;
use crate::{
    domain::limits::Limits,
    ports::guest::{GuestHost, LogLevel},
};

/// The longest line of a stream; more is cut into several.
const LONGEST_LINE: usize = 8 * 1024;
/// How much a stream takes at once.
const STREAM_CHUNK: usize = 64 * 1024;

/// Passes lines on while the allowance lasts.
pub struct GuestLog {
    host: Arc<dyn GuestHost>,
    lines: u32,
    bytes: u64,
    left: Mutex<Left>,
}

struct Left {
    lines: u32,
    bytes: u64,
    dropped: u64,
}

impl GuestLog {
    pub fn new(host: Arc<dyn GuestHost>, limits: &Limits) -> GuestLog {
        GuestLog {
            host,
            lines: limits.log_lines,
            bytes: limits.log_bytes,
            left: Mutex::new(Left {
                lines: limits.log_lines,
                bytes: limits.log_bytes,
                dropped: 0,
            }),
        }
    }

    /// Pass one line on, or drop and count it; the first that is dropped is announced.
    pub fn line(&self, level: LogLevel, context: &str, message: &str) {
        let size = (context.len() + message.len()) as u64;
        let mut left = self.left();
        if left.lines > 0 && size <= left.bytes {
            left.lines -= 1;
            left.bytes -= size;
            drop(left);
            return self.host.log(level, context, message);
        }
        left.dropped += 1;
        let first = left.dropped == 1;
        drop(left);
        if first {
            let (lines, bytes) = (self.lines, self.bytes);
            let words = format!(
                "the guest logs more than the limits `log_lines` ({lines}) and `log_bytes` ({bytes}) allow: lines are dropped"
            );
            self.host.log(LogLevel::Warn, "warren", &words);
        }
    }

    /// How many lines were dropped.
    pub fn dropped(&self) -> u64 {
        self.left().dropped
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        // Numbers are never half changed.
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a guest's stdout or stderr goes.
#[derive(Clone)]
pub struct Stream {
    pub account: Arc<Account>,
    pub level: LogLevel,
    pub name: &'static str,
}

impl IsTerminal for Stream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stream {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Lines {
            stream: self.clone(),
            partial: Vec::new(),
        })
    }

    /// Only WASI 0.3 asks for this, and it is not linked.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(sink())
    }
}

/// Cuts a stream into lines. What is left without an end of line is one when the guest ends.
struct Lines {
    stream: Stream,
    partial: Vec<u8>,
}

impl Lines {
    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = LONGEST_LINE - self.partial.len();
            let (part, ends) = match bytes.iter().take(room).position(|byte| *byte == b'\n') {
                Some(at) => (&bytes[..at], true),
                None => (&bytes[..room.min(bytes.len())], false),
            };
            self.partial.extend_from_slice(part);
            bytes = &bytes[part.len() + usize::from(ends)..];
            if ends || self.partial.len() == LONGEST_LINE {
                self.emit();
            }
        }
    }

    fn emit(&mut self) {
        let line = mem::take(&mut self.partial);
        let Stream { account, level, name } = &self.stream;
        account
            .log
            .line(*level, name, String::from_utf8_lossy(&line).trim_end_matches('\r'));
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.partial.is_empty() {
            self.emit();
        }
    }
}

#[async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(STREAM_CHUNK)
    }
}
