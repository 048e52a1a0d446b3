//! Tables of times.

use std::time::Duration;

/// Times of one kind, in milliseconds, from the shortest to the longest.
pub struct Column {
    name: String,
    sorted: Vec<f64>,
}

impl Column {
    pub fn of(name: &str, times: &[Duration]) -> Column {
        assert!(!times.is_empty(), "nothing was measured: {name}");
        let mut sorted: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
        sorted.sort_by(f64::total_cmp);
        Column {
            name: name.to_owned(),
            sorted,
        }
    }

    pub fn header(title: &str) {
        println!("{title:<64} {:>9} {:>9} {:>9} {:>9}", "shortest", "p50", "p99", "goal");
    }

    /// With so few, the p99 is the longest.
    pub fn print(&self, goal: Option<Duration>) {
        let at = |share: usize| self.sorted[(self.sorted.len() * share / 100).min(self.sorted.len() - 1)];
        let goal = goal.map(|goal| format!("< {}", goal.as_millis())).unwrap_or_default();
        println!(
            "{:<64} {:>9.1} {:>9.1} {:>9.1} {goal:>9}",
            self.name,
            at(0),
            at(50),
            at(99)
        );
    }
}
