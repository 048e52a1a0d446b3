//! Posts and comments: each once, whatever happens to the activation, and within the agent's limits.

use jiff::Timestamp;

use super::{Effect, Running, Stopping, World};
use crate::hub::{Comment, Error, NewComment, NewPost, Post};

/// The longest id that an agent may name, in bytes.
const LONGEST_ID: usize = 1024;

/// An effect that happened.
pub struct Done {
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

impl Running {
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
