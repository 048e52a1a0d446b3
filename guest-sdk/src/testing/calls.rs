//! The calls of the contract, answered by the activation that runs on this thread: what [`imports`](crate::imports)
//! names natively instead of the generated ones.

use std::{
    cell::RefCell,
    panic::{self, AssertUnwindSafe},
};

use super::running::{Running, Stop, Stopping};

thread_local! {
    static RUNNING: RefCell<Option<Running>> = const { RefCell::new(None) };
}

/// Run an agent's code as this activation. What it returned, or why it was stopped, and the activation after that.
pub(super) fn run<T>(running: Running, agent: impl FnOnce() -> T) -> (Result<T, Stopped>, Running) {
    RUNNING.with(|current| {
        let before = current.borrow_mut().replace(running);
        assert!(
            before.is_none(),
            "an agent can't activate another one: a host runs each by itself"
        );
    });
    let ended = panic::catch_unwind(AssertUnwindSafe(agent));
    let running = RUNNING.with(|current| current.borrow_mut().take());
    let Some(running) = running else {
        unreachable!("only this function takes it away");
    };
    let ended = ended.map_err(|payload| match payload.downcast::<Stop>() {
        Ok(stop) => Stopped::ByHost(*stop),
        Err(payload) => {
            let text = payload.downcast_ref::<&str>().map(ToString::to_string);
            Stopped::Panicked(
                text.or_else(|| payload.downcast_ref::<String>().cloned())
                    .unwrap_or_default(),
            )
        }
    });
    (ended, running)
}

/// Why agent code did not return.
pub(super) enum Stopped {
    ByHost(Stop),
    Panicked(String),
}

/// Let the running activation answer.
#[track_caller]
fn answer<T>(call: impl FnOnce(&mut Running) -> Stopping<T>) -> T {
    let answered = RUNNING.with(|current| current.borrow_mut().as_mut().map(call));
    match answered {
        Some(Ok(answer)) => answer,
        // No panic: nothing is printed, and nothing catches it before `run`.
        Some(Err(stop)) => panic::resume_unwind(Box::new(stop)),
        None => panic!(
            "a call to the host outside of one: let `warren_guest_sdk::testing::Host` activate the agent, in the test's \
             own thread"
        ),
    }
}

/// What a list of texts takes: each 24 bytes in the host, and itself.
fn texts<'a>(texts: impl IntoIterator<Item = &'a String>) -> usize {
    texts.into_iter().map(|text| 24 + text.len()).sum()
}

fn maybe(text: &Option<String>) -> usize {
    text.as_ref().map_or(0, String::len)
}

pub(crate) mod workspace {
    use std::path::PathBuf;

    /// A folder of the test's own; without a grant one that is not there.
    pub(crate) fn root() -> PathBuf {
        super::answer(|running| Ok(running.workspace()))
    }
}

pub(crate) mod clock {
    use std::time::SystemTime;

    /// In an activation the harness's time, otherwise the machine's.
    pub(crate) fn now() -> SystemTime {
        let told = super::RUNNING.with(|current| current.borrow().as_ref().map(|running| running.world.now));
        told.map_or_else(SystemTime::now, SystemTime::from)
    }
}

pub(crate) mod hub {
    pub use crate::bindings::warren::agent::hub::{
        Author, Comment, DiscoverQuery, Error, NewComment, NewPost, Notification, NotificationKind, Post, SearchQuery,
        Thread,
    };

    use super::{answer, maybe, texts};
    use crate::{
        hub::Error as Refusal,
        testing::{
            Capability,
            running::{Running, Stopping},
        },
    };

    fn call<T>(
        needs: Capability,
        copied: usize,
        ask: impl FnOnce(&mut Running) -> Stopping<Result<T, Refusal>>,
    ) -> Result<T, Error> {
        let answered = answer(|running| {
            running.copy(copied)?;
            match running.hub_call(needs)? {
                Ok(()) => ask(running),
                Err(refusal) => Ok(Err(refusal)),
            }
        });
        answered.map_err(|refusal| match refusal {
            Refusal::Denied(words) => Error::Denied(words),
            Refusal::NotFound(words) => Error::NotFound(words),
            Refusal::Invalid(words) => Error::Invalid(words),
            Refusal::LimitReached(words) => Error::LimitReached(words),
            Refusal::Upstream(words) => Error::Upstream(words),
        })
    }

    pub(crate) fn inbox() -> Result<Vec<Notification>, Error> {
        call(Capability::HubRead, 0, |running| Ok(running.inbox()))
    }

    pub(crate) fn get_post(id: &str) -> Result<Post, Error> {
        call(Capability::HubRead, id.len(), |running| {
            Ok(running.ask(|world| world.hub.post(id)))
        })
    }

    pub(crate) fn get_thread(id: &str) -> Result<Thread, Error> {
        call(Capability::HubRead, id.len(), |running| {
            Ok(running.ask(|world| world.hub.thread(id)))
        })
    }

    pub(crate) fn search(query: &SearchQuery) -> Result<Vec<Post>, Error> {
        let copied = query.text.len() + maybe(&query.community) + maybe(&query.author);
        call(Capability::HubRead, copied, |running| {
            Ok(running.ask(|world| world.hub.search(query)))
        })
    }

    pub(crate) fn discover(query: &DiscoverQuery) -> Result<Vec<Post>, Error> {
        let copied = texts(&query.communities) + texts(&query.keywords);
        call(Capability::HubRead, copied, |running| {
            Ok(running.ask(|world| world.hub.discover(&world.agent.id, query)))
        })
    }

    pub(crate) fn create_post(new: &NewPost) -> Result<Post, Error> {
        let copied = new.content.len() + maybe(&new.title) + maybe(&new.community) + maybe(&new.about);
        call(Capability::HubWrite, copied, |running| running.create_post(new))
    }

    pub(crate) fn create_comment(new: &NewComment) -> Result<Comment, Error> {
        let copied = new.content.len() + new.post_id.len() + maybe(&new.about);
        call(Capability::HubWrite, copied, |running| running.create_comment(new))
    }
}

pub(crate) mod keyvalue {
    pub use crate::bindings::wasi::keyvalue::store::{Error, KeyResponse};

    use super::answer;
    use crate::testing::Capability;

    pub(crate) struct Bucket(());

    pub(crate) fn open(identifier: &str) -> Result<Bucket, Error> {
        answer(|running| {
            running.copy(identifier.len())?;
            running.need(Capability::KeyValue)
        });
        match identifier {
            "" | "default" => Ok(Bucket(())),
            _ => Err(Error::NoSuchStore),
        }
    }

    impl Bucket {
        pub(crate) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
            answer(|running| {
                running.copy(key.len())?;
                Ok(running.state_get(key))
            })
        }

        pub(crate) fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
            answer(|running| {
                running.copy(key.len() + value.len())?;
                running.state_set(key, value)
            })
        }

        pub(crate) fn delete(&self, key: &str) -> Result<(), Error> {
            answer(|running| {
                running.copy(key.len())?;
                running.state_delete(key)
            })
        }

        pub(crate) fn exists(&self, key: &str) -> Result<bool, Error> {
            Ok(self.get(key)?.is_some())
        }

        /// All keys at once; there is no second page.
        pub(crate) fn list_keys(&self, cursor: Option<u64>) -> Result<KeyResponse, Error> {
            if let Some(cursor) = cursor {
                let words = format!("{cursor} is no cursor: the first answer held all keys");
                return Err(Error::Other(words));
            }
            let keys = answer(|running| Ok(running.state_keys()))?;
            Ok(KeyResponse { keys, cursor: None })
        }
    }
}

pub(crate) mod config {
    pub use crate::bindings::wasi::config::store::Error;

    use super::answer;
    use crate::testing::Capability;

    pub(crate) fn get(key: &str) -> Result<Option<String>, Error> {
        answer(|running| {
            running.copy(key.len())?;
            running.need(Capability::Config)?;
            Ok(running.config(key))
        })
    }
}

pub(crate) mod logging {
    pub use crate::bindings::wasi::logging::logging::Level;

    use super::answer;
    use crate::testing::Capability;

    pub(crate) fn log(level: Level, context: &str, message: &str) {
        answer(|running| {
            running.copy(context.len() + message.len())?;
            running.need(Capability::Logging)?;
            running.log(level, context, message);
            Ok(())
        });
    }
}

pub(crate) mod metrics {
    pub use crate::bindings::warren::agent::metrics::Label;

    use super::answer;
    use crate::testing::{Capability, metrics::Kind};

    fn measure(kind: Kind, name: &str, labels: &[Label], value: f64) {
        // A label is two texts.
        let copied: usize = labels.iter().map(|(name, value)| 48 + name.len() + value.len()).sum();
        answer(|running| {
            running.copy(name.len() + copied)?;
            running.need(Capability::Metrics)?;
            running.measure(kind, name, labels, value);
            Ok(())
        });
    }

    pub(crate) fn counter_add(name: &str, labels: &[Label], amount: f64) {
        measure(Kind::Counter, name, labels, amount);
    }

    pub(crate) fn gauge_set(name: &str, labels: &[Label], value: f64) {
        measure(Kind::Gauge, name, labels, value);
    }

    pub(crate) fn histogram_observe(name: &str, labels: &[Label], value: f64) {
        measure(Kind::Histogram, name, labels, value);
    }
}
