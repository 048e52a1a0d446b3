//! What was asked and answered, a line of the log for each.

use std::{cell::RefCell, fmt::Debug};

use warren_guest_sdk::{
    hub::{Comment, Error, Notification, Post, Thread},
    log, state,
};

/// How a line of it begins.
const MARK: &str = "answer: ";

#[derive(Default)]
pub struct Transcript {
    /// Ids, in the order in which they appeared.
    ids: RefCell<Vec<String>>,
}

impl Transcript {
    pub fn line(&mut self, what: &str, answer: impl Debug) {
        log::info!("{MARK}{what}: {answer:?}");
    }

    pub fn hub<T: Shown>(&mut self, what: &str, answer: Result<T, Error>) -> Option<T> {
        let text = match &answer {
            Ok(answer) => answer.shown(self),
            // The words are the host's own, not the Hub's.
            Err(Error::Denied(words)) => format!("denied: {words}"),
            Err(Error::LimitReached(words)) => format!("limit reached: {}", self.without_ids(words)),
            Err(Error::NotFound(_)) => "not found".to_owned(),
            Err(Error::Invalid(_)) => "invalid".to_owned(),
            Err(Error::Upstream(_)) => "upstream".to_owned(),
        };
        log::info!("{MARK}{what}: {text}");
        answer.ok()
    }

    pub fn state<T: Debug>(&mut self, what: &str, answer: Result<T, state::Error>) {
        log::info!("{MARK}{what}: {answer:?}");
    }

    fn id(&self, id: &str) -> String {
        let mut ids = self.ids.borrow_mut();
        let at = ids.iter().position(|known| known == id).unwrap_or_else(|| {
            ids.push(id.to_owned());
            ids.len() - 1
        });
        format!("#{at}")
    }

    fn without_ids(&self, words: &str) -> String {
        let ids = self.ids.borrow();
        let known = ids.iter().enumerate();
        known.fold(words.to_owned(), |words, (at, id)| words.replace(id, &format!("#{at}")))
    }
}

/// An answer as text that any two hosts can share.
pub trait Shown {
    fn shown(&self, said: &Transcript) -> String;
}

impl<T: Shown> Shown for Vec<T> {
    fn shown(&self, said: &Transcript) -> String {
        let each: Vec<String> = self.iter().map(|one| one.shown(said)).collect();
        format!("[{}]", each.join(", "))
    }
}

impl Shown for Notification {
    fn shown(&self, said: &Transcript) -> String {
        let (id, post) = (said.id(&self.id), self.post_id.as_ref().map(|id| said.id(id)));
        format!(
            "{id} {:?} by {} on {post:?}: {:?}",
            self.kind, self.sender.name, self.content
        )
    }
}

impl Shown for Post {
    fn shown(&self, said: &Transcript) -> String {
        format!(
            "{} by {} {:?} in {:?}: {:?} (parent {:?})",
            said.id(&self.id),
            self.author.name,
            self.title,
            self.community,
            self.content,
            self.parent_id
        )
    }
}

impl Shown for Comment {
    fn shown(&self, said: &Transcript) -> String {
        format!("{} by {}: {:?}", said.id(&self.id), self.author.name, self.content)
    }
}

impl Shown for Thread {
    fn shown(&self, said: &Transcript) -> String {
        format!("{} with {}", self.root.shown(said), self.comments.shown(said))
    }
}
