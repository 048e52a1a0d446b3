//! What a host asks of Redis: every call of a script with its answer; and, for tests of the checkers, wrong scripts.
//!
//! A wrong script takes the place of the right one on its way into Redis: hosts load all scripts as one library, and the
//! proxy changes its text. So the host needs no hook for it.

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

/// What is to be wrong about the scripts of a cluster, known to all its proxies.
#[derive(Clone, Default)]
pub struct Scripts(Arc<Mutex<Vec<Wrong>>>);

/// A change of a script's text.
struct Wrong {
    script: String,
    from: String,
    to: String,
    /// The script's text, once it was changed; or as it was loaded, if `from` was not found in it.
    seen: Option<Result<(), String>>,
}

impl Scripts {
    /// `from` is to be `to` wherever it stands in the script of this name. Said before the hosts start: a library that is
    /// there is not loaded again.
    pub fn break_script(&self, script: &str, from: &str, to: &str) {
        self.lock().push(Wrong {
            script: script.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            seen: None,
        });
    }

    /// Panics unless every change that was asked for was found in its script.
    #[track_caller]
    pub fn assert_broken(&self) {
        for wrong in &*self.lock() {
            match &wrong.seen {
                Some(Ok(())) => {}
                None => panic!("the script {} was never loaded through a proxy", wrong.script),
                Some(Err(text)) => panic!(
                    "{:?} is not in {}; the script has changed, and this test has to:\n{text}",
                    wrong.from, wrong.script
                ),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Wrong>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The library as Redis is to have it.
    fn changed(&self, library: &str) -> String {
        let mut parts: Vec<String> = wire::scripts(library).map(str::to_owned).collect();
        for wrong in &mut *self.lock() {
            let of_name = parts
                .iter_mut()
                .find(|part| wire::registered(part) == Some(&wrong.script));
            let Some(part) = of_name else { continue };
            wrong.seen = Some(match part.contains(&wrong.from) {
                true => {
                    *part = part.replace(&wrong.from, &wrong.to);
                    Ok(())
                }
                false => Err(part.clone()),
            });
        }
        parts.concat()
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
        if let (b"FUNCTION", b"LOAD") = (&first[..], &command(1)[..]) {
            let mut changed = words;
            if let Some(text) = changed.last_mut() {
                *text = self.scripts.changed(&String::from_utf8_lossy(text)).into_bytes();
            }
            return Some(plain(resp::command(&changed), Vec::new()));
        }
        if first != b"FCALL" {
            return Some(plain(bytes, Vec::new()));
        }
        let keys = words
            .get(2)
            .and_then(|count| std::str::from_utf8(count).ok()?.parse::<usize>().ok());
        let own = words.get(3 + keys.unwrap_or(0)..).unwrap_or_default().to_vec();
        let function = String::from_utf8_lossy(&words[1]).into_owned();
        Some(Request {
            bytes,
            name: wire::script_of(&function).to_owned(),
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
