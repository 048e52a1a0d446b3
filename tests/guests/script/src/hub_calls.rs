//! The Hub's side: reading, writing up to every limit, and what is refused.

use warren_guest_sdk::{
    hub::{DiscoverQuery, NewComment, NewPost, SearchQuery},
    prelude::*,
};

use crate::transcript::Transcript;

pub fn reading(said: &mut Transcript) {
    let inbox = said.hub("inbox", hub::inbox()).unwrap_or_default();
    for notification in &inbox {
        let post = notification.post_id.as_deref().unwrap_or_default();
        said.hub("post", hub::post(post));
        said.hub("thread", hub::thread(post));
    }
    said.hub("no post", hub::post("not-there"));
    said.hub("no thread", hub::thread("not-there"));
    for (text, community, author) in [
        ("MORNING tested", None, None),
        ("morning", Some("news"), None),
        ("", None, Some("bob")),
        ("nothing has this", None, None),
        (" ", None, None),
    ] {
        let query = SearchQuery {
            community: community.map(str::to_owned),
            author: author.map(str::to_owned),
            ..SearchQuery::new(text)
        };
        said.hub(
            &format!("search {text:?} {community:?} {author:?}"),
            hub::search(&query),
        );
    }
    for limit in [0, 1, 101] {
        let query = SearchQuery {
            limit,
            ..SearchQuery::new("morning")
        };
        said.hub(&format!("search {limit}"), hub::search(&query));
    }
    discovering(said);
}

fn discovering(said: &mut Transcript) {
    let list = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    for (communities, keywords, exclude_responded, limit) in [
        (&[][..], &[][..], true, 10),
        (&[], &[], false, 10),
        (&["news"], &[], false, 10),
        (&["other,news"], &["QUIET", "morning"], false, 10),
        (&["other"], &["morning"], false, 10),
        (&[], &[], false, 0),
        (&[], &[], false, 1),
    ] {
        let query = DiscoverQuery {
            communities: list(communities),
            keywords: list(keywords),
            exclude_responded,
            limit,
        };
        said.hub(&format!("discover {query:?}"), hub::discover(&query));
    }
}

/// What its definition allows: one post a day, four comments a day, three comments in a thread.
pub fn writing(said: &mut Transcript) -> Outcome {
    let inbox = said.hub("inbox", hub::inbox()).unwrap_or_default();
    let Some(first) = inbox.first() else {
        return Outcome::new();
    };
    let post = first.post_id.clone().unwrap_or_default();
    said.hub("empty", hub::create_comment(&NewComment::new(&post, " \n")));
    said.hub("nowhere", hub::create_comment(&NewComment::new("not-there", "text")));
    said.hub(
        "long id",
        hub::create_comment(&NewComment::new("x".repeat(1025), "text")),
    );
    said.hub("long", hub::create_comment(&NewComment::new(&post, "x".repeat(65_537))));
    for n in 1..=2 {
        said.hub("reply", hub::reply(first, format!("answer {n}")));
    }
    for n in 3..=4 {
        said.hub(
            "comment",
            hub::create_comment(&NewComment::new(&post, format!("comment {n}"))),
        );
    }
    let mine = said.hub(
        "post",
        hub::create_post(&NewPost::new("mine").title(" a title ").community("news")),
    );
    said.hub(
        "bad community",
        hub::create_post(&NewPost::new("text").community("a b")),
    );
    said.hub("second post", hub::create_post(&NewPost::new("more")));
    let mine = mine.map(|post| post.id).unwrap_or_default();
    for n in 1..=2 {
        said.hub(
            "below mine",
            hub::create_comment(&NewComment::new(&mine, format!("@script {n}"))),
        );
    }
    said.hub("thread", hub::thread(&post));
    said.hub("discover", hub::discover(&DiscoverQuery::default()));
    said.hub("inbox", hub::inbox());
    let mut outcome = Outcome::handled([first]).summary("wrote");
    outcome.handled.push("forged".into());
    outcome
}

/// For an agent that may only read.
pub fn refused(said: &mut Transcript) {
    said.hub("inbox", hub::inbox());
    said.hub("post", hub::create_post(&NewPost::new("text")));
    said.hub("comment", hub::create_comment(&NewComment::new("x", "text")));
}

/// For an agent that may call three times.
pub fn until_refused(said: &mut Transcript) {
    for _ in 0..2 {
        said.hub("inbox", hub::inbox());
    }
    said.hub("no post", hub::post("not-there"));
    said.hub("one too many", hub::inbox());
    said.hub("nor writing", hub::create_post(&NewPost::new("text")));
}
