//! What a host asks of Redis: every call of a script with its answer; and, for tests of the checkers, wrong scripts.
//!
//! A wrong script takes the place of the right one on the way: what a host gives Redis as its library is changed before it
//! arrives. So the host needs no hook for it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Request, Talk};
use crate::{
    history::{At, NEVER, Recorder, What},
    resp,
    wire::{self, Reply},
};

/// The changes that a cluster's proxies make to the store's library of scripts, and what they have seen of it.
#[derive(Clone, Default)]
pub struct Scripts(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// The last library that was loaded, as its host sent it.
    library: String,
    wrong: Vec<Wrong>,
}

/// A change of a script's text.
struct Wrong {
    script: String,
    from: String,
    to: String,
    applied: bool,
}

/// What begins each script of a library.
const BEGINS: &str = "do\nlocal KEYS, ARGV\n";

impl Scripts {
    /// From now on, `from` is `to` wherever it stands in the script of this name. Before the first host starts: Redis is
    /// given its library once.
    pub fn break_script(&self, script: &str, from: &str, to: &str) {
        self.lock().wrong.push(Wrong {
            script: script.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            applied: false,
        });
    }

    /// Panics unless every change that was asked for was found in its script.
    #[track_caller]
    pub fn assert_broken(&self) {
        let known = self.lock();
        if let Some(wrong) = known.wrong.iter().find(|wrong| !wrong.applied) {
            let text = known.library.split(BEGINS).find(|text| is_of(text, &wrong.script));
            panic!(
                "{:?} was never changed in {}; the script has changed, and this test has to: {}",
                wrong.from,
                wrong.script,
                text.unwrap_or("(no such script)")
            );
        }
    }

    /// The library as Redis is to get it.
    fn loaded(&self, library: &str) -> String {
        let mut known = self.lock();
        library.clone_into(&mut known.library);
        let mut scripts: Vec<String> = library.split(BEGINS).map(str::to_owned).collect();
        for wrong in &mut known.wrong {
            for text in scripts.iter_mut().filter(|text| is_of(text, &wrong.script)) {
                wrong.applied |= text.contains(&wrong.from);
                *text = text.replace(&wrong.from, &wrong.to);
            }
        }
        scripts.join(BEGINS)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_of(text: &str, script: &str) -> bool {
    let function = text
        .split_once("function_name='")
        .and_then(|(_, rest)| rest.split('\'').next());
    function.is_some_and(|function| wire::name(function) == script)
}

/// A command whose answer has not come yet.
struct Asked {
    at: At,
    name: String,
    /// Of a script: its own arguments.
    words: Vec<Vec<u8>>,
}

#[derive(Default)]
struct Pending {
    asked: VecDeque<Asked>,
    /// What has come of the next answer.
    heard: Vec<u8>,
    /// Subscribed connections hear what they did not ask for.
    deaf: bool,
}

/// Talk of one connection of a host to Redis.
pub struct Redis {
    host: String,
    recorder: Recorder,
    scripts: Scripts,
    pending: Mutex<Pending>,
}

impl Redis {
    pub fn new(host: &str, recorder: &Recorder, scripts: &Scripts) -> Redis {
        Redis {
            host: host.to_owned(),
            recorder: recorder.clone(),
            scripts: scripts.clone(),
            pending: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, asked: Asked, reply: Reply, until: At) {
        for call in wire::facts(&asked.name, &asked.words, &reply) {
            let what = match reply {
                Reply::None => What::Unknown(call),
                _ => What::Store(call),
            };
            self.recorder.span(&self.host, asked.at, until, what);
        }
    }
}

impl Talk for Redis {
    fn request(&self, sent: &mut Vec<u8>) -> Option<Request> {
        let bytes = resp::take(sent)?;
        let words = resp::words(&bytes);
        let command = |at: usize| words.get(at).map(|word| word.to_ascii_uppercase()).unwrap_or_default();
        if (&command(0)[..], &command(1)[..]) == (b"FUNCTION", b"LOAD")
            && let Some((library, words)) = words.split_last()
        {
            let library = self.scripts.loaded(&String::from_utf8_lossy(library));
            let words: Vec<Vec<u8>> = words.iter().cloned().chain([library.into_bytes()]).collect();
            return Some(Request {
                bytes: resp::command(&words),
                name: "FUNCTION LOAD".to_owned(),
                words: Vec::new(),
            });
        }
        if command(0) != b"FCALL" {
            return Some(Request {
                bytes,
                name: String::from_utf8_lossy(&command(0)).into_owned(),
                words: Vec::new(),
            });
        }
        let text = |at: usize| {
            words
                .get(at)
                .map(|word| String::from_utf8_lossy(word))
                .unwrap_or_default()
        };
        let own = 3 + text(2).parse::<usize>().unwrap_or(0);
        Some(Request {
            bytes,
            name: wire::name(&text(1)).to_owned(),
            words: words.get(own..).unwrap_or_default().to_vec(),
        })
    }

    fn passing(&self, request: &Request) {
        let mut pending = self.lock();
        pending.deaf |= request.name.ends_with("SUBSCRIBE");
        pending.asked.push_back(Asked {
            at: self.recorder.now(),
            name: request.name.clone(),
            words: request.words.clone(),
        });
    }

    fn answered(&self, bytes: &[u8]) {
        let now = self.recorder.now();
        let mut pending = self.lock();
        if pending.deaf {
            return;
        }
        pending.heard.extend_from_slice(bytes);
        while let Some(frame) = resp::take(&mut pending.heard) {
            if let Some(asked) = pending.asked.pop_front() {
                self.record(asked, Reply::read(&frame), now);
            }
        }
    }

    fn ended(&self) {
        let mut pending = self.lock();
        for asked in pending.asked.drain(..) {
            self.record(asked, Reply::None, NEVER);
        }
    }
}
