//! `warren:agent/hub`: counts the calls, checks the grants, and translates.

use std::{future::Future, sync::Arc};

use wasmtime::Result;

use super::{
    bindings::warren::agent::hub::{self, Error, Host},
    guest::Guest,
};
use crate::{
    domain::{
        capability::Capability,
        hub::{
            Author, Comment, DiscoverQuery, NewComment, NewPost, Notification, NotificationKind, Post, SearchQuery,
            Thread,
        },
    },
    ports::guest::{GuestHost, Refusal},
};

impl Guest {
    async fn hub<T, F>(
        &mut self,
        needs: Capability,
        call: impl FnOnce(Arc<dyn GuestHost>) -> F,
    ) -> Result<Result<T, Error>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Refusal>> + Send + 'static,
    {
        if self.hub_calls >= self.limits.hub_calls {
            return Ok(Err(Error::LimitReached(format!(
                "the limit `hub_calls` of {} calls per activation is reached",
                self.limits.hub_calls
            ))));
        }
        self.hub_calls += 1;
        if !self.capabilities.contains(needs) {
            self.host.denied(needs);
            return Ok(Err(Error::Denied(format!(
                "the agent is not granted `{needs}`: its definition and its plugin's manifest must both name it"
            ))));
        }
        let question = call(Arc::clone(&self.host));
        Ok(self.ask(question).await?.map_err(Error::from))
    }
}

impl Host for Guest {
    async fn inbox(&mut self) -> Result<Result<Vec<hub::Notification>, Error>> {
        let found = self
            .hub(Capability::HubRead, |host| async move { host.inbox().await })
            .await?;
        Ok(found.map(|found| found.into_iter().map(Into::into).collect()))
    }

    async fn get_post(&mut self, id: String) -> Result<Result<hub::Post, Error>> {
        let post = self
            .hub(Capability::HubRead, |host| async move { host.post(id).await })
            .await?;
        Ok(post.map(Into::into))
    }

    async fn get_thread(&mut self, id: String) -> Result<Result<hub::Thread, Error>> {
        let thread = self
            .hub(Capability::HubRead, |host| async move { host.thread(id).await })
            .await?;
        Ok(thread.map(Into::into))
    }

    async fn search(&mut self, query: hub::SearchQuery) -> Result<Result<Vec<hub::Post>, Error>> {
        let query = SearchQuery {
            text: query.text,
            limit: query.limit,
            community: query.community,
            author: query.author,
        };
        let found = self
            .hub(Capability::HubRead, |host| async move { host.search(query).await })
            .await?;
        Ok(found.map(|found| found.into_iter().map(Into::into).collect()))
    }

    async fn discover(&mut self, query: hub::DiscoverQuery) -> Result<Result<Vec<hub::Post>, Error>> {
        let query = DiscoverQuery {
            communities: query.communities,
            keywords: query.keywords,
            exclude_responded: query.exclude_responded,
            limit: query.limit,
        };
        let found = self
            .hub(Capability::HubRead, |host| async move { host.discover(query).await })
            .await?;
        Ok(found.map(|found| found.into_iter().map(Into::into).collect()))
    }

    async fn create_post(&mut self, post: hub::NewPost) -> Result<Result<hub::Post, Error>> {
        let hub::NewPost {
            title,
            content,
            community,
            about,
        } = post;
        let post = NewPost {
            title,
            content,
            community,
        };
        let made = self
            .hub(Capability::HubWrite, |host| async move {
                host.create_post(post, about).await
            })
            .await?;
        Ok(made.map(Into::into))
    }

    async fn create_comment(&mut self, comment: hub::NewComment) -> Result<Result<hub::Comment, Error>> {
        let hub::NewComment {
            post_id,
            content,
            about,
        } = comment;
        let comment = NewComment { post_id, content };
        let made = self
            .hub(Capability::HubWrite, |host| async move {
                host.create_comment(comment, about).await
            })
            .await?;
        Ok(made.map(Into::into))
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        match refusal {
            Refusal::Denied(words) => Error::Denied(words),
            Refusal::NotFound(words) => Error::NotFound(words),
            Refusal::Invalid(words) => Error::Invalid(words),
            Refusal::LimitReached(words) => Error::LimitReached(words),
            // A lost claim ends the activation before this (`Guest::ask`).
            Refusal::Upstream(words) | Refusal::ClaimLost(words) => Error::Upstream(words),
        }
    }
}

impl From<Author> for hub::Author {
    fn from(author: Author) -> hub::Author {
        hub::Author {
            id: author.id,
            name: author.name,
        }
    }
}

impl From<NotificationKind> for hub::NotificationKind {
    fn from(kind: NotificationKind) -> hub::NotificationKind {
        match kind {
            NotificationKind::Mention => hub::NotificationKind::Mention,
            NotificationKind::Reply => hub::NotificationKind::Reply,
            NotificationKind::Follow => hub::NotificationKind::Follow,
            NotificationKind::Like => hub::NotificationKind::Like,
            NotificationKind::Dm => hub::NotificationKind::Dm,
        }
    }
}

impl From<Notification> for hub::Notification {
    fn from(notification: Notification) -> hub::Notification {
        hub::Notification {
            id: notification.id,
            kind: notification.kind.into(),
            post_id: notification.post_id,
            sender: notification.sender.into(),
            content: notification.content,
            created_at: notification.created_at,
        }
    }
}

impl From<Post> for hub::Post {
    fn from(post: Post) -> hub::Post {
        hub::Post {
            id: post.id,
            author: post.author.into(),
            title: post.title,
            content: post.content,
            community: post.community,
            parent_id: post.parent_id,
            created_at: post.created_at,
            updated_at: post.updated_at,
        }
    }
}

impl From<Comment> for hub::Comment {
    fn from(comment: Comment) -> hub::Comment {
        hub::Comment {
            id: comment.id,
            author: comment.author.into(),
            content: comment.content,
            parent_id: comment.parent_id,
            created_at: comment.created_at,
        }
    }
}

impl From<Thread> for hub::Thread {
    fn from(thread: Thread) -> hub::Thread {
        hub::Thread {
            root: thread.root.into(),
            comments: thread.comments.into_iter().map(Into::into).collect(),
        }
    }
}
