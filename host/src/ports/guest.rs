//! What a running guest can ask of its host: the sandbox calls, the runner's side answers. Who asks, and with which claim,
//! is fixed when the value is made; a guest can't say it.

use async_trait::async_trait;
use thiserror::Error;

use crate::domain::{
    capability::Capability,
    hub::{Comment, DiscoverQuery, NewComment, NewPost, Notification, Post, SearchQuery, Thread},
};

/// Why the host did not do what the guest asked; the guest sees the kind and the words.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// Not granted.
    #[error("{0}")]
    Denied(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    LimitReached(String),
    /// The Hub, or the store, failed.
    #[error("{0}")]
    Upstream(String),
    /// The claim is lost: the activation is to end now, whatever the guest would do with an error.
    #[error("{0}")]
    ClaimLost(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Critical,
}

/// A guest's metric call; names and labels as the guest gave them, not yet checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    pub kind: MeasurementKind,
    pub name: String,
    pub labels: Vec<(String, String)>,
    pub value: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MeasurementKind {
    Counter,
    Gauge,
    Histogram,
}

/// The host's side of one activation. Methods that wait may be cancelled at any point by dropping the activation.
#[async_trait]
pub trait GuestHost: Send + Sync {
    async fn inbox(&self) -> Result<Vec<Notification>, Refusal>;
    async fn post(&self, id: String) -> Result<Post, Refusal>;
    async fn thread(&self, id: String) -> Result<Thread, Refusal>;
    async fn search(&self, query: SearchQuery) -> Result<Vec<Post>, Refusal>;
    async fn discover(&self, query: DiscoverQuery) -> Result<Vec<Post>, Refusal>;
    async fn create_post(&self, post: NewPost, about: Option<String>) -> Result<Post, Refusal>;
    async fn create_comment(&self, comment: NewComment, about: Option<String>) -> Result<Comment, Refusal>;

    async fn state_get(&self, key: String) -> Result<Option<Vec<u8>>, Refusal>;
    async fn state_set(&self, key: String, value: Vec<u8>) -> Result<(), Refusal>;
    async fn state_delete(&self, key: String) -> Result<(), Refusal>;
    async fn state_keys(&self, after: Option<String>, limit: u32) -> Result<Vec<String>, Refusal>;

    /// One line, already within the activation's limits on lines and bytes.
    fn log(&self, level: LogLevel, context: &str, message: &str);
    fn measure(&self, measurement: Measurement);

    /// The guest called what it was not granted; the sandbox has refused it already.
    fn denied(&self, capability: Capability);
}
