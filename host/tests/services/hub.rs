//! A Hub that does what a test tells it, and counts what it is asked.

use std::{
    collections::{HashMap, HashSet},
    future::pending,
    ops::ControlFlow,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};
use warren::{
    domain::{
        hub::{
            Author, BudgetHealth, Comment, Consumption, DiscoverQuery, NewComment, NewPost, Notification,
            NotificationKind, PolledAgent, Post, SearchQuery, Thread,
        },
        ids::AgentId,
    },
    ports::hub::{AgentSink, Hub, HubError, Polled},
};

#[derive(Clone, Debug)]
pub enum Answer {
    Fail(HubError),
    Hang,
    /// It happens, and nobody hears of it.
    DoneButSilent,
}

#[derive(Default)]
pub struct ScriptedHub {
    /// Agents with unread notifications.
    pub unread: Mutex<Vec<(String, u32)>>,
    pub stale: Mutex<Vec<String>>,
    /// An empty long poll is answered at once, as by a proxy that does not know of blocking.
    pub never_blocks: AtomicBool,
    pub honours: AtomicBool,
    pub answers: Mutex<HashMap<&'static str, Answer>>,
    /// Every call, with when it came.
    pub calls: Mutex<Vec<(&'static str, Instant)>>,
    pub read: Mutex<Vec<String>>,
    /// Comments by idempotency key.
    pub comments: Mutex<Vec<(String, String)>>,
    pub arrived: Notify,
}

impl ScriptedHub {
    pub fn set_unread(&self, agents: &[(&str, u32)]) {
        *self.unread.lock().unwrap() = agents.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
        self.arrived.notify_one();
    }

    pub fn answer(&self, call: &'static str, answer: Answer) {
        self.answers.lock().unwrap().insert(call, answer);
    }

    pub fn heal(&self) {
        self.answers.lock().unwrap().clear();
    }

    pub fn count(&self, call: &str) -> usize {
        self.calls
            .lock()
            .unwrap()
            .iter()
            .filter(|(name, _)| *name == call)
            .count()
    }

    /// The calls in order, without their times.
    pub fn sequence(&self) -> Vec<&'static str> {
        self.calls.lock().unwrap().iter().map(|(name, _)| *name).collect()
    }

    async fn called(&self, call: &'static str) -> Result<bool, HubError> {
        self.calls.lock().unwrap().push((call, Instant::now()));
        let answer = self.answers.lock().unwrap().get(call).cloned();
        match answer {
            None => Ok(false),
            Some(Answer::Fail(error)) => Err(error),
            Some(Answer::Hang) => pending().await,
            Some(Answer::DoneButSilent) => Ok(true),
        }
    }

    fn hand(&self, most: usize, sink: AgentSink<'_>) -> Polled {
        let unread = self.unread.lock().unwrap().clone();
        let mut agents = 0;
        for (name, count) in unread.into_iter().take(most) {
            agents += 1;
            if sink(polled(&name, count)) == ControlFlow::Break(()) {
                break;
            }
        }
        Polled { agents }
    }
}

fn polled(name: &str, notification_count: u32) -> PolledAgent {
    PolledAgent {
        id: AgentId::new(format!("id-{name}")).unwrap(),
        name: name.to_owned(),
        notification_count,
    }
}

fn author() -> Author {
    Author {
        id: "1".to_owned(),
        name: "somebody".to_owned(),
    }
}

pub fn notification(id: &str) -> Notification {
    Notification {
        id: id.to_owned(),
        kind: NotificationKind::Mention,
        post_id: Some("p".to_owned()),
        sender: author(),
        content: "hello".to_owned(),
        created_at: "2026-01-01T00:00:00Z".to_owned(),
    }
}

fn nothing<T>() -> Result<T, HubError> {
    Err(HubError::NotFound("not scripted".to_owned()))
}

#[async_trait]
impl Hub for ScriptedHub {
    fn address(&self) -> &str {
        "http://hub.test"
    }
    fn honours_keys(&self) -> bool {
        self.honours.load(SeqCst)
    }
    fn believe_honours_keys(&self) {
        self.honours.store(true, SeqCst);
    }
    async fn poll(&self, span: Duration, batch_size: u32, sink: AgentSink<'_>) -> Result<Polled, HubError> {
        self.called("poll").await?;
        if self.unread.lock().unwrap().is_empty() && !self.never_blocks.load(SeqCst) {
            let _ = timeout(span, self.arrived.notified()).await;
        }
        Ok(self.hand(batch_size as usize, sink))
    }
    async fn poll_plain(&self, sink: AgentSink<'_>) -> Result<Polled, HubError> {
        self.called("poll_plain").await?;
        Ok(self.hand(usize::MAX, sink))
    }
    async fn stale(&self, _: Duration, sink: AgentSink<'_>) -> Result<Polled, HubError> {
        self.called("stale").await?;
        let stale = self.stale.lock().unwrap().clone();
        for name in &stale {
            let _ = sink(polled(name, 0));
        }
        Ok(Polled { agents: stale.len() })
    }
    async fn activated(&self, _: &AgentId) -> Result<(), HubError> {
        self.called("activated").await.map(drop)
    }
    async fn notifications(&self, _: &AgentId) -> Result<Vec<Notification>, HubError> {
        self.called("notifications").await?;
        let read: HashSet<String> = self.read.lock().unwrap().iter().cloned().collect();
        Ok(["n1", "n2"]
            .into_iter()
            .filter(|id| !read.contains(*id))
            .map(notification)
            .collect())
    }
    async fn mark_read(&self, notifications: &[String]) -> Result<(), HubError> {
        self.called("mark_read").await?;
        self.read.lock().unwrap().extend_from_slice(notifications);
        Ok(())
    }
    async fn post(&self, _: &str) -> Result<Post, HubError> {
        nothing()
    }
    async fn thread(&self, _: &str) -> Result<Thread, HubError> {
        nothing()
    }
    async fn search(&self, _: &SearchQuery) -> Result<Vec<Post>, HubError> {
        nothing()
    }
    async fn discover(&self, _: &AgentId, _: &DiscoverQuery) -> Result<Vec<Post>, HubError> {
        nothing()
    }
    async fn create_post(&self, _: &AgentId, _: &NewPost, _: &str, _: bool) -> Result<Post, HubError> {
        nothing()
    }
    async fn create_comment(
        &self,
        _: &AgentId,
        comment: &NewComment,
        key: &str,
        unsure: bool,
    ) -> Result<Comment, HubError> {
        if unsure && !self.honours_keys() {
            return Err(HubError::Ambiguous("an earlier try may have happened".to_owned()));
        }
        let silent = self.called("create_comment").await?;
        let mut comments = self.comments.lock().unwrap();
        // A Hub that knows keys answers a repeat with the first result.
        if !(self.honours_keys() && comments.iter().any(|(known, _)| known == key)) {
            comments.push((key.to_owned(), comment.content.clone()));
        }
        if silent {
            return Err(HubError::Ambiguous("no answer".to_owned()));
        }
        Ok(Comment {
            id: format!("c{}", comments.len()),
            author: author(),
            content: comment.content.clone(),
            parent_id: None,
            created_at: "2026-01-01T00:00:00Z".to_owned(),
        })
    }
    async fn budget(&self, _: &AgentId) -> Result<BudgetHealth, HubError> {
        let refused = self.called("budget").await?;
        Ok(BudgetHealth {
            healthy: !refused,
            daily_limit: None,
            daily_used: None,
        })
    }
    async fn report_consumption(&self, _: &AgentId, _: &Consumption, _: &str, _: bool) -> Result<(), HubError> {
        self.called("consumption").await.map(drop)
    }
}
