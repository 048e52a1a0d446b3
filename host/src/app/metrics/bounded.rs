//! Labels whose values come from outside, kept from growing without end.

use std::{
    collections::HashSet,
    sync::{PoisonError, RwLock},
};

/// As many agents, or plugins, have series of their own; each costs a scrape a few kilobytes.
const VALUES: usize = 1000;
/// What stands for all values beyond the bound.
pub const OTHER: &str = "other";

/// Lets the first values through, and answers [`OTHER`] for those that come later.
pub struct BoundedLabel {
    known: RwLock<HashSet<String>>,
    bound: usize,
}

impl Default for BoundedLabel {
    fn default() -> BoundedLabel {
        BoundedLabel::new(VALUES)
    }
}

impl BoundedLabel {
    fn new(bound: usize) -> BoundedLabel {
        BoundedLabel {
            known: RwLock::default(),
            bound,
        }
    }

    pub fn bound<'v>(&self, value: &'v str) -> &'v str {
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if known.contains(value) {
                return value;
            }
            if known.len() >= self.bound {
                return OTHER;
            }
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < self.bound {
            known.insert(value.to_owned());
        }
        if known.contains(value) { value } else { OTHER }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_stay_themselves_and_the_rest_are_other() {
        let label = BoundedLabel::new(2);
        assert_eq!(
            ["a", "b", "c", "a", "d", "b"].map(|v| label.bound(v)),
            ["a", "b", OTHER, "a", OTHER, "b"]
        );
    }
}
