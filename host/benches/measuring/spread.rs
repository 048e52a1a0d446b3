//! How measured times are spread.

use std::time::Duration;

/// In microseconds, from the shortest to the longest; never empty.
pub struct Spread(Vec<f64>);

impl Spread {
    pub fn of(times: impl IntoIterator<Item = Duration>) -> Spread {
        let mut sorted: Vec<f64> = times.into_iter().map(|time| time.as_secs_f64() * 1e6).collect();
        assert!(!sorted.is_empty(), "nothing was measured");
        sorted.sort_by(f64::total_cmp);
        Spread(sorted)
    }

    pub fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }

    pub fn p99(&self) -> f64 {
        self.0[self.0.len() * 99 / 100]
    }
}
