//! What a host asks of the Hub: who asks for what, and for which agent.

use serde_json::Value;

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
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>().ok())?
        });
        let end = head + length.unwrap_or(0);
        if sent.len() < end {
            return None;
        }
        let first = text
            .lines()
            .next()
            .unwrap_or_default()
            .trim_end_matches(" HTTP/1.1")
            .to_owned();
        let bytes: Vec<u8> = sent.drain(..end).collect();
        let body: Value = serde_json::from_slice(&bytes[head..]).unwrap_or_default();
        let (method, path) = first.split_once(' ').unwrap_or_default();
        let what = What::Request {
            method: method.to_owned(),
            path: path.to_owned(),
            agent: body["agent_id"].as_str().unwrap_or_default().to_owned(),
        };
        // Before it is held up on its way: what counts is when the host sent it.
        self.recorder.note(&self.host, what);
        Some(Request {
            bytes,
            name: first,
            words: Vec::new(),
        })
    }

    fn passing(&self, _request: &Request) {}

    fn answered(&self, _bytes: &[u8]) {}

    fn ended(&self) {}
}
