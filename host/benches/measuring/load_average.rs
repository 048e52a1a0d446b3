//! What else the machine had to do.

use std::fs;

/// Of the last one, five and fifteen minutes, for the line under a table.
pub fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}
