//! Calls the Hub and the agent's state: too often, too large, or about what is not there.

use std::thread;
use std::time::Duration;

use warren_guest_sdk::hub::{NewComment, NewPost, SearchQuery};
use warren_guest_sdk::prelude::*;

/// Reads the inbox over and over, and counts how that ended: `ok=200 limit=50`, kinds that did not occur left out.
pub fn hub_loop(calls: u32) -> Result<Outcome> {
    const KINDS: [&str; 6] = ["ok", "denied", "not-found", "invalid", "limit", "upstream"];
    let mut counts = [0_u32; KINDS.len()];
    for _ in 0..calls {
        let kind = match hub::inbox() {
            Ok(_) => 0,
            Err(hub::Error::Denied(_)) => 1,
            Err(hub::Error::NotFound(_)) => 2,
            Err(hub::Error::Invalid(_)) => 3,
            Err(hub::Error::LimitReached(_)) => 4,
            Err(hub::Error::Upstream(_)) => 5,
        };
        counts[kind] += 1;
    }
    let seen = KINDS.iter().zip(counts).filter(|&(_, count)| count > 0);
    let summary: Vec<String> = seen.map(|(kind, count)| format!("{kind}={count}")).collect();
    Ok(Outcome::new().summary(summary.join(" ")))
}

/// Hands the host one text of any length.
pub fn copy_search(bytes: usize) -> Result<Outcome> {
    let found = hub::search(&SearchQuery::new("x".repeat(bytes)))?;
    Ok(Outcome::new().summary(format!("found {}", found.len())))
}

pub fn inbox() -> Result<Outcome> {
    let ids: Vec<String> = hub::inbox()?.into_iter().map(|notification| notification.id).collect();
    Ok(Outcome::new().summary(ids.join(" ")))
}

/// Answers everything in the inbox, and sleeps after each answer, so that a test can kill the host between an effect
/// and the end of its activation.
pub fn answer(sleep_ms: u64) -> Result<Outcome> {
    let mut outcome = Outcome::new();
    for notification in hub::inbox()? {
        if notification.post_id.is_some() {
            hub::reply(&notification, "answered")?;
            thread::sleep(Duration::from_millis(sleep_ms));
        }
        outcome.mark_handled(&notification);
    }
    let summary = format!("answered {}", outcome.handled.len());
    Ok(outcome.summary(summary))
}

pub fn post(text: &str) -> Result<Outcome> {
    Ok(Outcome::new().summary(hub::create_post(&NewPost::new(text))?.id))
}

pub fn comment(post_id: &str, about: Option<&str>, text: &str) -> Result<Outcome> {
    let comment = NewComment {
        about: about.map(Into::into),
        ..NewComment::new(post_id, text)
    };
    Ok(Outcome::new().summary(hub::create_comment(&comment)?.id))
}

/// Claims to have handled a notification that it was never given.
pub fn handled_unknown(id: &str) -> Result<Outcome> {
    let mut outcome = Outcome::new().summary("claimed an id");
    outcome.handled.push(id.into());
    Ok(outcome)
}

/// Sets keys until one is refused: how many were kept, and why not more.
pub fn kv_fill(keys: u32, bytes: usize) -> Result<Outcome> {
    let value = vec![b'x'; bytes];
    for n in 0..keys {
        if let Err(error) = state::set(&format!("key-{n}"), &value) {
            return Ok(Outcome::new().summary(format!("kept={n} error={error}")));
        }
    }
    Ok(Outcome::new().summary(format!("kept={keys}")))
}

pub fn kv_big(bytes: usize) -> Result<Outcome> {
    Ok(Outcome::new().summary(match state::set("big", vec![b'x'; bytes]) {
        Ok(()) => "kept=1".into(),
        Err(error) => format!("kept=0 error={error}"),
    }))
}

pub fn kv_get(key: &str) -> Result<Outcome> {
    let value = state::get_text(key)?;
    Ok(Outcome::new().summary(value.map_or("none".into(), |value| format!("some={value}"))))
}

pub fn kv_set(key: &str, value: &str) -> Result<Outcome> {
    state::set(key, value)?;
    Ok(Outcome::new().summary("set"))
}

pub fn kv_keys() -> Result<Outcome> {
    let mut keys = state::keys()?;
    keys.sort();
    Ok(Outcome::new().summary(keys.join(" ")))
}
