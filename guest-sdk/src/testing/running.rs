//! The host's side of one activation: what is granted, counted, refused and remembered.
//!
//! It follows the real host's `adapters/wasm` and `services/guest_host` step by step; `tests/tests/authors.rs` runs the
//! same agent in both and compares.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
};

use jiff::Timestamp;

use super::{
    Capability, Limits, LogLine, Reason,
    activation::Effect,
    hub::Hub,
    metrics::{Kind, Metrics},
    workspace::Workspace,
};
use crate::{
    bindings::wasi::{config::store as wit_config, keyvalue::store as wit_keyvalue},
    hub::{Author, Comment, Error, NewComment, NewPost, Notification, Post},
    log::Level,
};

/// The longest id that an agent may name, in bytes.
const LONGEST_ID: usize = 1024;

/// What outlives an activation.
pub(super) struct World {
    pub agent: Author,
    pub grants: HashSet<Capability>,
    pub limits: Limits,
    pub config: BTreeMap<String, String>,
    pub now: Timestamp,
    pub hub: Hub,
    pub state: BTreeMap<String, Vec<u8>>,
    pub workspace: Workspace,
    pub metrics: Metrics,
    /// Every post and comment that the agent wrote, by effect key.
    pub done: HashMap<String, Done>,
    /// The Hub answers this many calls of an activation, and then no more.
    pub hub_answers: Option<u32>,
    pub state_fails: bool,
    /// The host of the next activation dies when this many effects have been done.
    pub dies_after: Option<usize>,
}

/// An effect that happened.
pub(super) struct Done {
    /// Microseconds since 1970, cut to the UTC day.
    day: i64,
    /// The post that a comment is below.
    thread: Option<String>,
    result: Written,
}

#[derive(Clone)]
enum Written {
    Post(Post),
    Comment(Comment),
}

/// What can't be caught: the activation ends here, whatever the agent would do with an error.
pub(super) struct Stop {
    pub reason: Reason,
    pub detail: String,
}

pub(super) type Stopping<T> = Result<T, Stop>;

/// One activation while it runs.
pub(super) struct Running {
    pub world: World,
    pub item: String,
    pub hub_calls: u32,
    pub read_inbox: bool,
    /// Notifications that the agent was handed.
    pub handed: HashSet<String>,
    pub effects: Vec<Effect>,
    pub denied: Vec<Capability>,
    pub upstream_failed: bool,
    pub logs: Vec<LogLine>,
    pub log_lines_dropped: u32,
    log_bytes: usize,
    /// How many effects of each scope have happened: the n-th of a repeated activation is the first one's n-th.
    happened: HashMap<String, u32>,
    dies_after: Option<usize>,
}

impl Running {
    pub fn new(mut world: World, item: String) -> Self {
        let dies_after = world.dies_after.take();
        Self {
            world,
            item,
            hub_calls: 0,
            read_inbox: false,
            handed: HashSet::new(),
            effects: Vec::new(),
            denied: Vec::new(),
            upstream_failed: false,
            logs: Vec::new(),
            log_lines_dropped: 0,
            log_bytes: 0,
            happened: HashMap::new(),
            dies_after,
        }
    }

    /// One call may hand over so many bytes of text, and of what lists take in the host.
    pub fn copy(&self, bytes: usize) -> Stopping<()> {
        if bytes <= self.world.limits.copy {
            return Ok(());
        }
        Err(Stop {
            reason: Reason::CopyLimit,
            detail: "one call handed the host more than the limit `copy`".into(),
        })
    }

    /// A component that imports what is not granted is not run at all; natively it shows at the first call.
    pub fn need(&self, capability: Capability) -> Stopping<()> {
        if self.world.grants.contains(&capability) {
            return Ok(());
        }
        Err(not_granted(capability.as_str()))
    }

    /// Count a call to the Hub, and refuse it if it is one too many or not granted.
    pub fn hub_call(&mut self, needs: Capability) -> Stopping<Result<(), Error>> {
        let grants = &self.world.grants;
        if !grants.contains(&Capability::HubRead) && !grants.contains(&Capability::HubWrite) {
            return Err(not_granted("hub:read"));
        }
        let limit = self.world.limits.hub_calls;
        if self.hub_calls >= limit {
            return Ok(Err(Error::LimitReached(format!(
                "the limit `hub_calls` of {limit} calls per activation is reached"
            ))));
        }
        self.hub_calls += 1;
        if !grants.contains(&needs) {
            self.denied.push(needs);
            return Ok(Err(Error::Denied(format!(
                "the agent is not granted `{needs}`: its definition and its plugin's manifest must both name it"
            ))));
        }
        Ok(Ok(()))
    }

    /// Ask the Hub, if it answers.
    pub fn ask<T>(&mut self, answer: impl FnOnce(&mut World) -> Result<T, Error>) -> Result<T, Error> {
        if self.world.hub_answers.is_some_and(|calls| self.hub_calls > calls) {
            self.upstream_failed = true;
            return Err(Error::Upstream("the Hub does not answer".into()));
        }
        answer(&mut self.world)
    }

    pub fn inbox(&mut self) -> Result<Vec<Notification>, Error> {
        let unread = self.ask(|world| Ok(world.hub.unread().to_vec()))?;
        self.read_inbox = true;
        self.handed
            .extend(unread.iter().map(|notification| notification.id.clone()));
        Ok(unread)
    }

    pub fn create_post(&mut self, new: &NewPost) -> Stopping<Result<Post, Error>> {
        if let Err(error) = check_text(&new.content, [new.about.as_deref(), None]) {
            return Ok(Err(error));
        }
        let key = self.key("post", "", new.about.as_deref());
        let written = self.once(&key, None, |world| {
            let (id, author, now) = (world.agent.id.clone(), world.agent.clone(), world.now);
            world.hub.write_post(&id, author, new, now).map(Written::Post)
        });
        let post = match written {
            Ok((fresh, Written::Post(post))) => {
                if fresh {
                    let about = new.about.clone();
                    self.effects.push(Effect::Posted {
                        post: post.clone(),
                        about,
                    });
                }
                post
            }
            Ok((_, Written::Comment(_))) => return Ok(Err(not_that("post"))),
            Err(error) => return Ok(Err(error)),
        };
        self.live()?;
        Ok(Ok(post))
    }

    pub fn create_comment(&mut self, new: &NewComment) -> Stopping<Result<Comment, Error>> {
        if let Err(error) = check_text(&new.content, [new.about.as_deref(), Some(&new.post_id)]) {
            return Ok(Err(error));
        }
        let key = self.key("comment", &new.post_id, new.about.as_deref());
        let written = self.once(&key, Some(&new.post_id), |world| {
            let (id, author, now) = (world.agent.id.clone(), world.agent.clone(), world.now);
            let comment = world.hub.write_comment(&id, author, (&new.post_id, &new.content), now);
            comment.map(Written::Comment)
        });
        let comment = match written {
            Ok((fresh, Written::Comment(comment))) => {
                if fresh {
                    self.effects.push(Effect::Commented {
                        post_id: new.post_id.clone(),
                        comment: comment.clone(),
                        about: new.about.clone(),
                    });
                }
                comment
            }
            Ok((_, Written::Post(_))) => return Ok(Err(not_that("comment"))),
            Err(error) => return Ok(Err(error)),
        };
        self.live()?;
        Ok(Ok(comment))
    }

    /// The scope of an effect and its number there.
    fn key(&self, kind: &str, target: &str, about: Option<&str>) -> (String, u32) {
        let scope = match about {
            Some(notification) => format!("n:{notification}"),
            None => format!("i:{}:{kind}:{target}", self.item),
        };
        let n = self.happened.get(&scope).copied().unwrap_or(0) + 1;
        (scope, n)
    }

    /// Do an effect unless it has been done, now or in an earlier activation. Whether it is new, and its first result.
    fn once(
        &mut self,
        (scope, n): &(String, u32),
        thread: Option<&str>,
        write: impl FnOnce(&mut World) -> Result<Written, Error>,
    ) -> Result<(bool, Written), Error> {
        let key = format!("{scope}:{n}");
        if let Some(done) = self.world.done.get(&key) {
            let result = done.result.clone();
            *self.happened.entry(scope.clone()).or_default() += 1;
            return Ok((false, result));
        }
        self.within_limits(thread)?;
        let result = self.ask(write)?;
        let done = Done {
            day: day(self.world.now),
            thread: thread.map(str::to_owned),
            result: result.clone(),
        };
        self.world.done.insert(key, done);
        *self.happened.entry(scope.clone()).or_default() += 1;
        Ok((true, result))
    }

    fn within_limits(&self, thread: Option<&str>) -> Result<(), Error> {
        let (limits, today) = (&self.world.limits, day(self.world.now));
        let (name, limit) = match thread {
            None => ("max_daily_posts", limits.max_daily_posts),
            Some(_) => ("max_daily_comments", limits.max_daily_comments),
        };
        let done = || self.world.done.values();
        let of_today = done().filter(|done| done.day == today && done.thread.is_some() == thread.is_some());
        if of_today.count() >= limit as usize {
            return Err(Error::LimitReached(format!("{name} of {limit} per UTC day is used up")));
        }
        let Some(thread) = thread else { return Ok(()) };
        let limit = limits.max_responses_per_thread;
        let here = done().filter(|done| done.thread.as_deref() == Some(thread));
        if here.count() >= limit as usize {
            let words = format!("max_responses_per_thread of {limit} is used up in {thread}");
            return Err(Error::LimitReached(words));
        }
        Ok(())
    }

    pub fn workspace(&self) -> PathBuf {
        let World { grants, workspace, .. } = &self.world;
        if grants.contains(&Capability::WorkspaceRead) || grants.contains(&Capability::WorkspaceWrite) {
            workspace.root()
        } else {
            // Where nothing can be.
            "/dev/null/no-workspace-is-granted".into()
        }
    }

    pub fn state_get(&mut self, key: &str) -> Result<Option<Vec<u8>>, wit_keyvalue::Error> {
        self.store_answers()?;
        Ok(self.world.state.get(key).cloned())
    }

    pub fn state_set(&mut self, key: &str, value: &[u8]) -> Stopping<Result<(), wit_keyvalue::Error>> {
        if let Err(error) = self.store_answers().and_then(|()| self.within_quota(key, value)) {
            return Ok(Err(error));
        }
        self.world.state.insert(key.to_owned(), value.to_vec());
        self.effects.push(Effect::Set {
            key: key.to_owned(),
            value: value.to_vec(),
        });
        self.live()?;
        Ok(Ok(()))
    }

    pub fn state_delete(&mut self, key: &str) -> Stopping<Result<(), wit_keyvalue::Error>> {
        if let Err(error) = self.store_answers() {
            return Ok(Err(error));
        }
        if self.world.state.remove(key).is_some() {
            self.effects.push(Effect::Deleted { key: key.to_owned() });
        }
        self.live()?;
        Ok(Ok(()))
    }

    pub fn state_keys(&mut self) -> Result<Vec<String>, wit_keyvalue::Error> {
        self.store_answers()?;
        Ok(self.world.state.keys().cloned().collect())
    }

    fn store_answers(&mut self) -> Result<(), wit_keyvalue::Error> {
        if self.world.state_fails {
            self.upstream_failed = true;
            return Err(wit_keyvalue::Error::Other("the store does not answer".into()));
        }
        Ok(())
    }

    fn within_quota(&self, key: &str, value: &[u8]) -> Result<(), wit_keyvalue::Error> {
        let Limits {
            state_bytes,
            state_keys,
            state_value,
            ..
        } = self.world.limits;
        let over = |words: String| Err(wit_keyvalue::Error::Other(words));
        let size = value.len();
        if size > state_value {
            return over(format!(
                "a value of {size} bytes is over the limit of {state_value} bytes"
            ));
        }
        let others = || self.world.state.iter().filter(|(known, _)| *known != key);
        if others().count() + 1 > state_keys {
            return over(format!("one more key is over the limit of {state_keys} keys"));
        }
        let kept: usize = others().map(|(key, value)| key.len() + value.len()).sum();
        let size = key.len() + size;
        if kept + size > state_bytes {
            return over(format!(
                "{size} bytes more than the {kept} that are kept is over the limit of {state_bytes} bytes"
            ));
        }
        Ok(())
    }

    pub fn config(&self, key: &str) -> Result<Option<String>, wit_config::Error> {
        Ok(self.world.config.get(key).cloned())
    }

    /// Keep a line, or drop and count it; the first that is dropped is announced.
    pub fn log(&mut self, level: Level, context: &str, message: &str) {
        let Limits {
            log_lines, log_bytes, ..
        } = self.world.limits;
        let size = context.len() + message.len();
        let line = |level, context: &str, message: String| LogLine {
            level,
            context: context.to_owned(),
            message,
        };
        let kept = self.logs.len() - usize::from(self.log_lines_dropped > 0);
        if kept < log_lines as usize && self.log_bytes + size <= log_bytes {
            self.log_bytes += size;
            self.logs.push(line(level, context, message.to_owned()));
            return;
        }
        self.log_lines_dropped += 1;
        if self.log_lines_dropped == 1 {
            let words = format!(
                "the guest logs more than the limits `log_lines` ({log_lines}) and `log_bytes` ({log_bytes}) allow: \
                 lines are dropped"
            );
            self.logs.push(line(Level::Warn, "warren", words));
        }
    }

    pub fn measure(&mut self, kind: Kind, name: &str, labels: &[(String, String)], value: f64) {
        let World { metrics, limits, .. } = &mut self.world;
        metrics.record(kind, name, labels, value, limits);
    }

    /// Stop here if the host is to die after what has just been done.
    fn live(&self) -> Stopping<()> {
        match self.dies_after {
            Some(effects) if self.effects.len() >= effects => Err(Stop {
                reason: Reason::LeaseLost,
                detail: format!("the host died after {effects} effects"),
            }),
            _ => Ok(()),
        }
    }
}

fn not_granted(what: &str) -> Stop {
    Stop {
        reason: Reason::PluginUnavailable,
        detail: format!("the plugin imports what the agent is not granted: {what}"),
    }
}

/// A repeat gets the first result whatever it asks for; a post can't be had as a comment.
fn not_that(what: &str) -> Error {
    Error::Upstream(format!("the first effect under this key was no {what}"))
}

/// What can't be written at all is refused before anything is recorded.
fn check_text(content: &str, ids: [Option<&str>; 2]) -> Result<(), Error> {
    if content.trim().is_empty() {
        return Err(Error::Invalid("the text is empty".into()));
    }
    match ids.into_iter().flatten().map(str::len).find(|len| *len > LONGEST_ID) {
        Some(len) => Err(Error::Invalid(format!(
            "an id of {len} bytes is longer than the {LONGEST_ID} that an id can have"
        ))),
        None => Ok(()),
    }
}

fn day(now: Timestamp) -> i64 {
    now.as_second().div_euclid(86_400)
}
