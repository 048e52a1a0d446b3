//! CPU time between two readings, by the names of threads.

use std::{collections::BTreeMap, time::Duration};

/// What threads have used from one reading to the next.
pub fn between(before: &BTreeMap<String, Duration>, after: BTreeMap<String, Duration>) -> BTreeMap<String, Duration> {
    let since = |(name, time): (String, Duration)| {
        let earlier = before.get(&name).copied().unwrap_or_default();
        (name, time.saturating_sub(earlier))
    };
    after.into_iter().map(since).collect()
}
