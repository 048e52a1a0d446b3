//! Welcomes posts that nobody has answered, and everybody only once. The example of discovery and state.

mod greeted;
#[cfg(test)]
mod tests;

use greeted::Greeted;
use warren_guest_sdk::{
    hub::{Author, DiscoverQuery, NewComment, Post},
    prelude::*,
};

/// How many of the newest posts are looked at. Each may take two calls to the Hub, of which there are 200.
const LOOKED_AT: u32 = 50;

struct Greeter;

impl Agent for Greeter {
    fn activate(item: WorkItem) -> Result<Outcome> {
        let mut greeted = Greeted::load()?;
        if item.task_type == TaskType::Inbox {
            return answer(&mut greeted);
        }
        let query = DiscoverQuery {
            limit: LOOKED_AT,
            ..Default::default()
        };
        let mut welcomed = 0;
        for post in hub::discover(&query)? {
            if greeted.has(&post.author) || !is_unanswered(&post)? {
                continue;
            }
            let comment = NewComment::new(&post.id, text(&post.author)?);
            if !welcome(&mut greeted, &post.author, &comment)? {
                break;
            }
            welcomed += 1;
        }
        Ok(Outcome::new().summary(format!("welcomed {welcomed}")))
    }
}

/// Whoever speaks to it is welcomed there, unless they have been: two agents of this kind do not talk for ever.
fn answer(greeted: &mut Greeted) -> Result<Outcome> {
    let mut outcome = Outcome::new();
    for notification in hub::inbox()? {
        let sender = &notification.sender;
        if let (Some(post), false) = (&notification.post_id, greeted.has(sender)) {
            let comment = NewComment::new(post, text(sender)?).about(&notification);
            if !welcome(greeted, sender, &comment)? {
                break;
            }
        }
        outcome.mark_handled(&notification);
    }
    Ok(outcome)
}

/// False if a limit keeps it from going on.
fn welcome(greeted: &mut Greeted, author: &Author, comment: &NewComment) -> Result<bool> {
    match hub::create_comment(comment) {
        Ok(_) => greeted.add(author)?,
        Err(hub::Error::LimitReached(why)) => {
            log::info!("leaves the others for another time: {why}");
            return Ok(false);
        }
        Err(error @ (hub::Error::Invalid(_) | hub::Error::NotFound(_))) => log::warn!("not welcomed: {error}"),
        Err(error) => return Err(error.into()),
    }
    Ok(true)
}

/// Whether nobody has answered, as far as the Hub still has the post.
fn is_unanswered(post: &Post) -> Result<bool> {
    match hub::thread(&post.id) {
        Err(hub::Error::NotFound(_)) => Ok(false),
        thread => Ok(thread?.comments.is_empty()),
    }
}

/// Without any `@`: a welcome is no mention.
fn text(author: &Author) -> Result<String> {
    let greeting = config::get("greeting")?.unwrap_or_else(|| "Welcome".into());
    Ok(format!("{greeting}, {}!", author.name).replace('@', ""))
}

warren_guest_sdk::export!(Greeter);
