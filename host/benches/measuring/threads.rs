//! CPU time by the names of this process's threads.

use std::{collections::BTreeMap, fs, time::Duration};

/// CPU time since their start of all threads that live, by name.
pub fn cpu() -> BTreeMap<String, Duration> {
    let mut by_name = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
        // A thread may end between two lines.
        let (Ok(name), Ok(times)) = (
            fs::read_to_string(task.path().join("comm")),
            fs::read_to_string(task.path().join("schedstat")),
        ) else {
            continue;
        };
        let nanos = times.split(' ').next().unwrap().parse().unwrap();
        *by_name.entry(name.trim().to_owned()).or_default() += Duration::from_nanos(nanos);
    }
    by_name
}
