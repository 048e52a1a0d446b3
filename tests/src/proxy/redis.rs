//! What a host asks of Redis: every call of a script with its answer; and, for tests of the checkers, wrong scripts.
//!
//! A wrong script takes the place of the right one on the way: the host calls it by its SHA, as ever, and the proxy makes
//! that a call of the changed text. So the host needs no hook for it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Request, Talk};
use crate::{
    history::{At, NEVER, Recorder, What},
    resp,
    wire::{self, Reply},
};

/// The scripts of a cluster, known to all its proxies, by the SHA that hosts call them by.
#[derive(Clone, Default)]
pub struct Scripts(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    loaded: HashMap<Vec<u8>, Loaded>,
    wrong: Vec<Wrong>,
}

#[derive(Clone)]
struct Loaded {
    name: String,
    text: String,
}

/// A change of a script's text.
#[derive(Clone)]
struct Wrong {
    script: String,
    from: String,
    to: String,
    applied: u64,
}

impl Scripts {
    /// From now on, `from` is `to` wherever it stands in the script of this name.
    pub fn break_script(&self, script: &str, from: &str, to: &str) {
        self.lock().wrong.push(Wrong {
            script: script.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            applied: 0,
        });
    }

    /// Panics unless every change that was asked for was found in its script, and that was called.
    #[track_caller]
    pub fn assert_broken(&self) {
        let known = self.lock();
        for wrong in &known.wrong {
            let text = known.loaded.values().find(|loaded| loaded.name == wrong.script);
            assert!(
                wrong.applied > 0,
                "{:?} was never changed in {}; the script has changed, and this test has to: {:#?}",
                wrong.from,
                wrong.script,
                text.map(|loaded| &loaded.text)
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn load(&self, text: &str) {
        let sha = redis::Script::new(text).get_hash().as_bytes().to_vec();
        let (name, text) = (wire::name(text).unwrap_or("unknown").to_owned(), text.to_owned());
        self.lock().loaded.insert(sha, Loaded { name, text });
    }

    /// The name of a script, and the text that it is to be called with, if that is another one.
    fn of(&self, sha: &[u8]) -> Option<(String, Option<String>)> {
        let mut known = self.lock();
        let Loaded { name, mut text } = known.loaded.get(sha)?.clone();
        let mut changed = false;
        for wrong in known.wrong.iter_mut().filter(|wrong| wrong.script == name) {
            if text.contains(&wrong.from) {
                text = text.replace(&wrong.from, &wrong.to);
                wrong.applied += 1;
                changed = true;
            }
        }
        Some((name, changed.then_some(text)))
    }
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
        let first = command(0);
        let plain = |bytes, words| Request {
            bytes,
            name: String::from_utf8_lossy(&first).into_owned(),
            words,
        };
        if let (b"SCRIPT", b"LOAD", Some(text)) = (&first[..], &command(1)[..], words.get(2)) {
            // Known before Redis knows it: another host may call it the moment that it does.
            self.scripts.load(&String::from_utf8_lossy(text));
        }
        if first != b"EVALSHA" {
            return Some(plain(bytes, Vec::new()));
        }
        let keys = words
            .get(2)
            .and_then(|count| std::str::from_utf8(count).ok()?.parse::<usize>().ok());
        let own = words.get(3 + keys.unwrap_or(0)..).unwrap_or_default().to_vec();
        let Some((name, wrong)) = self.scripts.of(&words[1]) else {
            // Redis does not know it either, and will say so.
            return Some(plain(bytes, own));
        };
        let bytes = match wrong {
            None => bytes,
            Some(text) => {
                let mut words = words;
                words[0] = b"EVAL".to_vec();
                words[1] = text.into_bytes();
                resp::command(&words)
            }
        };
        Some(Request {
            bytes,
            name,
            words: own,
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
