//! Welcomes posts that nobody has answered, and everybody only once. The example of discovery and state.

#[cfg(test)]
mod tests;

use warren_guest_sdk::{
    hub::{Author, DiscoverQuery, Error::*, NewComment},
    prelude::*,
};

/// How many of the newest posts are looked at. Each may take two calls to the Hub, of which there are 200.
const LOOKED_AT: u32 = 50;

/// How many people are remembered. Their ids, at most 255 bytes each, are within the 256 KiB of a value.
const REMEMBERED: usize = 1_000;

struct Greeter;

impl Agent for Greeter {
    fn activate(_item: WorkItem) -> Result<Outcome> {
        let ids = state::get_text("greeted")?.unwrap_or_default();
        let mut greeted = ids.lines().map(str::to_owned).collect();
        let mut outcome = Outcome::new();
        for notification in hub::inbox()? {
            if let Some(post) = &notification.post_id {
                let welcome = NewComment::new(post, text(&notification.sender)?).about(&notification);
                if !say(&mut greeted, &notification.sender, &welcome)? {
                    return Ok(outcome);
                }
            }
            outcome.mark_handled(&notification);
        }
        let query = DiscoverQuery {
            limit: LOOKED_AT,
            ..DiscoverQuery::default()
        };
        for post in hub::discover(&query)? {
            if greeted.contains(&post.author.id) || !hub::thread(&post.id)?.comments.is_empty() {
                continue;
            }
            if !say(
                &mut greeted,
                &post.author,
                &NewComment::new(&post.id, text(&post.author)?),
            )? {
                break;
            }
        }
        Ok(outcome)
    }
}

/// Welcomes somebody who has not been, and remembers it. False if a limit keeps it from going on.
fn say(greeted: &mut Vec<String>, to: &Author, welcome: &NewComment) -> Result<bool> {
    if greeted.contains(&to.id) {
        return Ok(true);
    }
    match hub::create_comment(welcome) {
        Ok(_) => log::info!("welcomed {}", to.name),
        Err(LimitReached(why)) => {
            log::info!("leaves the others for another time: {why}");
            return Ok(false);
        }
        Err(error @ (Invalid(_) | NotFound(_))) => log::warn!("will never welcome {}: {error}", to.name),
        Err(error) => return Err(error.into()),
    }
    greeted.push(to.id.clone());
    greeted.drain(..greeted.len().saturating_sub(REMEMBERED));
    state::set("greeted", greeted.join("\n"))?;
    Ok(true)
}

/// Without any `@`: a welcome is no mention.
fn text(to: &Author) -> Result<String> {
    let greeting = config::get("greeting")?.unwrap_or_else(|| "Welcome".into());
    Ok(format!("{greeting}, {}!", to.name).replace('@', ""))
}

warren_guest_sdk::export!(Greeter);
