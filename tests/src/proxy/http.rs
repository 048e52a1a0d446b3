//! What a host asks of the Hub: the first line of each request.

use super::{Request, Talk};
use crate::history::{Recorder, What};

/// Talk of one connection of a host to the Hub.
pub struct Http {
    pub host: String,
    pub recorder: Recorder,
}

impl Talk for Http {
    fn request(&self, sent: &mut Vec<u8>) -> Option<Request> {
        let head = sent.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let text = String::from_utf8_lossy(&sent[..head]).into_owned();
        // Hosts say how long their bodies are.
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        let end = head + length.unwrap_or(0);
        if sent.len() < end {
            return None;
        }
        let first = text.lines().next().unwrap_or_default();
        Some(Request {
            bytes: sent.drain(..end).collect(),
            name: first.trim_end_matches(" HTTP/1.1").to_owned(),
            words: Vec::new(),
        })
    }

    fn passing(&self, request: &Request) {
        let (method, path) = request.name.split_once(' ').unwrap_or_default();
        let (method, path) = (method.to_owned(), path.to_owned());
        self.recorder.note(&self.host, What::Request { method, path });
    }

    fn answered(&self, _bytes: &[u8]) {}

    fn ended(&self) {}
}
