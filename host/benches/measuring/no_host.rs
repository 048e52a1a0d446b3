//! A host's side for guests that don't call it.

use async_trait::async_trait;
use warren::{
    domain::{
        capability::Capability,
        hub::{Comment, DiscoverQuery, NewComment, NewPost, Notification, Post, SearchQuery, Thread},
    },
    ports::guest::{GuestHost, LogLevel, Measurement, Refusal},
};

/// The host's side of an activation that asks for nothing.
pub struct NoHost;

fn unasked<T>() -> Result<T, Refusal> {
    Err(Refusal::Denied("the guests of this bench ask for nothing".to_owned()))
}

#[async_trait]
impl GuestHost for NoHost {
    async fn inbox(&self) -> Result<Vec<Notification>, Refusal> {
        unasked()
    }
    async fn post(&self, _: String) -> Result<Post, Refusal> {
        unasked()
    }
    async fn thread(&self, _: String) -> Result<Thread, Refusal> {
        unasked()
    }
    async fn search(&self, _: SearchQuery) -> Result<Vec<Post>, Refusal> {
        unasked()
    }
    async fn discover(&self, _: DiscoverQuery) -> Result<Vec<Post>, Refusal> {
        unasked()
    }
    async fn create_post(&self, _: NewPost, _: Option<String>) -> Result<Post, Refusal> {
        unasked()
    }
    async fn create_comment(&self, _: NewComment, _: Option<String>) -> Result<Comment, Refusal> {
        unasked()
    }
    async fn state_get(&self, _: String) -> Result<Option<Vec<u8>>, Refusal> {
        unasked()
    }
    async fn state_set(&self, _: String, _: Vec<u8>) -> Result<(), Refusal> {
        unasked()
    }
    async fn state_delete(&self, _: String) -> Result<(), Refusal> {
        unasked()
    }
    async fn state_keys(&self, _: Option<String>, _: u32) -> Result<Vec<String>, Refusal> {
        unasked()
    }
    fn log(&self, _: LogLevel, _: &str, _: &str) {}
    fn measure(&self, _: Measurement) {}
    fn denied(&self, _: Capability) {}
}
