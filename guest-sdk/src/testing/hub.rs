//! A Hub in memory, with the one agent that is tested: what the development Hub does, as far as an agent can tell.

use jiff::Timestamp;

use super::mentions::mentions;
use crate::hub::{
    Author, Comment, DiscoverQuery, Error, NewPost, Notification, NotificationKind, Post, SearchQuery, Thread,
};

/// The longest content in bytes, title and community in characters; the most results of a query.
const CONTENT: usize = 64 * 1024;
const TITLE: usize = 300;
const COMMUNITY: usize = 64;
const RESULTS: u32 = 100;

#[derive(Default)]
pub(super) struct Hub {
    posts: Vec<Post>,
    /// With the post that each is below.
    comments: Vec<(String, Comment)>,
    /// Unread ones; those that were read are gone.
    unread: Vec<Notification>,
    notified: usize,
}

impl Hub {
    pub(super) fn unread(&self) -> &[Notification] {
        &self.unread
    }

    pub(super) fn posts(&self) -> &[Post] {
        &self.posts
    }

    pub(super) fn mark_read(&mut self, id: &str) {
        self.unread.retain(|notification| notification.id != id);
    }

    pub(super) fn post(&self, id: &str) -> Result<Post, Error> {
        let found = self.posts.iter().find(|post| post.id == id);
        found
            .cloned()
            .ok_or_else(|| Error::NotFound(format!("there is no post with the id {id:?}")))
    }

    /// The comments of a post, oldest first.
    pub(super) fn comments(&self, post: &str) -> Vec<Comment> {
        let below = self.comments.iter().filter(|(below, _)| below == post);
        below.map(|(_, comment)| comment.clone()).collect()
    }

    pub(super) fn thread(&self, id: &str) -> Result<Thread, Error> {
        Ok(Thread {
            root: self.post(id)?,
            comments: self.comments(id),
        })
    }

    pub(super) fn search(&self, query: &SearchQuery) -> Result<Vec<Post>, Error> {
        let limit = limit(query.limit)?;
        let text = query.text.to_lowercase();
        let words: Vec<&str> = text.split_whitespace().collect();
        if words.is_empty() && query.community.is_none() && query.author.is_none() {
            return Err(Error::Invalid(
                "the search is empty; say what to search for, or name a community or author".into(),
            ));
        }
        let found = self.newest(|post| {
            let folded = folded(post);
            let by = |author: &String| *author == post.author.id || *author == post.author.name;
            words.iter().all(|word| folded.contains(word))
                && (query.community.is_none() || query.community == post.community)
                && query.author.as_ref().is_none_or(by)
        });
        Ok(found.take(limit).collect())
    }

    pub(super) fn discover(&self, agent: &str, query: &DiscoverQuery) -> Result<Vec<Post>, Error> {
        let limit = limit(query.limit)?;
        let communities = list(&query.communities);
        let keywords = list(&query.keywords);
        let found = self.newest(|post| {
            let folded = folded(post);
            let wanted = |name: &String| communities.contains(name);
            (communities.is_empty() || post.community.as_ref().is_some_and(wanted))
                && (keywords.is_empty() || keywords.iter().any(|word| folded.contains(&word.to_lowercase())))
                && post.author.id != agent
                && !(query.exclude_responded && self.comments(&post.id).iter().any(|c| c.author.id == agent))
        });
        Ok(found.take(limit).collect())
    }

    fn newest(&self, wanted: impl Fn(&Post) -> bool) -> impl Iterator<Item = Post> {
        // Sorting is stable: of the same time, what was written later comes first.
        let mut found: Vec<Post> = self.posts.iter().rev().filter(|post| wanted(post)).cloned().collect();
        found.sort_by(|a, b| b.created_at.cmp(&a.created_at));
        found.into_iter()
    }

    pub(super) fn write_post(
        &mut self,
        agent: &str,
        author: Author,
        new: &NewPost,
        now: Timestamp,
    ) -> Result<Post, Error> {
        check_content(&new.content)?;
        check_place(new)?;
        let title = new.title.as_deref().map(str::trim).filter(|title| !title.is_empty());
        let post = Post {
            id: format!("post-{}", self.posts.len() + 1),
            author,
            title: title.map(str::to_owned),
            content: new.content.clone(),
            community: new.community.clone(),
            parent_id: None,
            created_at: now.to_string(),
            updated_at: Some(now.to_string()),
        };
        self.posts.push(post.clone());
        let text = format!("{}\n{}", title.unwrap_or_default(), post.content);
        if post.author.id != agent && mentions(&text, agent) {
            self.notify(
                NotificationKind::Mention,
                Some(post.id.clone()),
                post.author.clone(),
                &post.content,
                now,
            );
        }
        Ok(post)
    }

    pub(super) fn write_comment(
        &mut self,
        agent: &str,
        author: Author,
        (post_id, content): (&str, &str),
        now: Timestamp,
    ) -> Result<Comment, Error> {
        check_content(content)?;
        let post = self.post(post_id)?;
        let comment = Comment {
            id: format!("comment-{}", self.comments.len() + 1),
            author,
            content: content.to_owned(),
            parent_id: None,
            created_at: now.to_string(),
        };
        self.comments.push((post.id.clone(), comment.clone()));
        if comment.author.id != agent {
            let kind = if mentions(content, agent) {
                Some(NotificationKind::Mention)
            } else {
                (post.author.id == agent).then_some(NotificationKind::Reply)
            };
            if let Some(kind) = kind {
                self.notify(kind, Some(post.id), comment.author.clone(), content, now);
            }
        }
        Ok(comment)
    }

    pub(super) fn notify(
        &mut self,
        kind: NotificationKind,
        post_id: Option<String>,
        sender: Author,
        content: &str,
        now: Timestamp,
    ) -> Notification {
        self.notified += 1;
        let notification = Notification {
            id: format!("notification-{}", self.notified),
            kind,
            post_id,
            sender,
            content: content.to_owned(),
            created_at: now.to_string(),
        };
        self.unread.push(notification.clone());
        notification
    }
}

/// Title and content in small letters, which searches look at.
fn folded(post: &Post) -> String {
    format!("{}\n{}", post.title.as_deref().unwrap_or_default(), post.content).to_lowercase()
}

/// On the way to the Hub a comma separates: `["a,b"]` asks for two.
fn list(parts: &[String]) -> Vec<String> {
    let parts = parts.iter().flat_map(|part| part.split(','));
    parts
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

fn limit(limit: u32) -> Result<usize, Error> {
    if (1..=RESULTS).contains(&limit) {
        return Ok(limit as usize);
    }
    Err(Error::Invalid(format!(
        "limit is {limit}; it must be between 1 and {RESULTS}"
    )))
}

fn check_content(content: &str) -> Result<(), Error> {
    if content.len() > CONTENT {
        let size = content.len();
        return Err(Error::Invalid(format!(
            "content has {size} bytes; the limit is {CONTENT} bytes; shorten it"
        )));
    }
    Ok(())
}

fn check_place(new: &NewPost) -> Result<(), Error> {
    let length = new.title.as_deref().map_or(0, |title| title.chars().count());
    if length > TITLE {
        let words = format!("title has {length} characters; the limit is {TITLE} characters; shorten it");
        return Err(Error::Invalid(words));
    }
    if let Some(community) = &new.community {
        let length = community.chars().count();
        if length == 0 || length > COMMUNITY || community.contains(|c: char| c.is_whitespace() || c == ',') {
            return Err(Error::Invalid(format!(
                "community is {community:?}; it must be 1 to {COMMUNITY} characters, no blanks or commas"
            )));
        }
    }
    Ok(())
}
