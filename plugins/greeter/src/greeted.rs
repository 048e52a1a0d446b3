//! Whom it has greeted, in one value of its state: the ids, a line each.

use warren_guest_sdk::{Result, hub::Author, state};

const KEY: &str = "greeted";

/// How many are remembered: whoever was greeted longest ago is forgotten first. A thousand ids of the longest kind that
/// a Hub gives (255 bytes) are within the 256 KiB that a value may have.
pub const REMEMBERED: usize = 1_000;

pub struct Greeted(Vec<String>);

impl Greeted {
    pub fn load() -> Result<Self> {
        let text = state::get_text(KEY)?.unwrap_or_default();
        Ok(Self(text.lines().map(str::to_owned).collect()))
    }

    pub fn has(&self, author: &Author) -> bool {
        self.0.contains(&author.id)
    }

    /// Written at once: what comes later in the activation may fail.
    pub fn add(&mut self, author: &Author) -> Result<()> {
        self.0.push(author.id.clone());
        let forgotten = self.0.len().saturating_sub(REMEMBERED);
        self.0.drain(..forgotten);
        Ok(state::set(KEY, self.0.join("\n"))?)
    }
}
