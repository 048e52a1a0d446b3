//! Writes more than anybody wants to read: logs, streams, metrics.

use std::fmt::Arguments;
use std::io::{self, Write};

use warren_guest_sdk::prelude::*;

const CONTEXT: &str = "hostile";

/// Many lines of one length through `wasi:logging`.
pub fn log(lines: u32, bytes: usize) -> Result<Outcome> {
    let line = "x".repeat(bytes);
    for _ in 0..lines {
        write_log(format_args!("{line}"));
    }
    Ok(Outcome::new().summary(format!("logged {lines} lines of {bytes} bytes")))
}

/// One message of any length, in one host call.
pub fn copy(bytes: usize) -> Result<Outcome> {
    log(1, bytes)
}

fn write_log(message: Arguments<'_>) {
    log::write(log::Level::Info, CONTEXT, message);
}

/// One unbroken stream of bytes.
pub fn stdout(bytes: usize) -> Result<Outcome> {
    stream(io::stdout().lock(), bytes)
}

/// One unbroken stream of bytes.
pub fn stderr(bytes: usize) -> Result<Outcome> {
    stream(io::stderr().lock(), bytes)
}

fn stream(mut to: impl Write, bytes: usize) -> Result<Outcome> {
    let chunk = [b'x'; 4096];
    let mut left = bytes;
    while left > 0 {
        let now = left.min(chunk.len());
        to.write_all(&chunk[..now])?;
        left -= now;
    }
    to.write_all(b"\n")?;
    to.flush()?;
    Ok(Outcome::new().summary(format!("wrote {bytes} bytes")))
}

/// As many series as asked for: one gauge, told apart by a label.
pub fn metrics(series: u32) -> Result<Outcome> {
    for n in 0..series {
        metrics::gauge("hostile_series", &[("n", &n.to_string())], 1.0);
    }
    Ok(Outcome::new().summary(format!("set {series} series")))
}

/// One series with as many labels as asked for.
pub fn labels(count: u32) -> Result<Outcome> {
    let names: Vec<String> = (0..count).map(|n| format!("label_{n}")).collect();
    let labels: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    metrics::counter("hostile_labels_total", &labels, 1.0);
    Ok(Outcome::new().summary(format!("counted once with {count} labels")))
}
