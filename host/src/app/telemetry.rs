//! Logging: what the process says goes to standard error, for people or as JSON, with levels by target.
//!
//! Guests' own lines come through the same way, as events with the target `guest` and the fields `agent`, `item` and
//! `host`; what a command prints goes to standard output and is never mixed with it.

use std::{
    env, fmt,
    io::{self, IsTerminal},
    panic,
};

use thiserror::Error;
use tracing::Subscriber;
use tracing_subscriber::{
    fmt::{MakeWriter, format::Writer, time::FormatTime},
    util::SubscriberInitExt,
};

use super::config::log::{LogConfig, LogFormat};

/// The target of guests' lines: `guest=warn` in `log.level` quietens them.
pub const GUEST_TARGET: &str = "guest";

/// Why there is no log.
#[derive(Debug, Error)]
pub enum TelemetryError {
    #[error("log.level: {0}")]
    Level(String),
    #[error("logging can't be started: {0}")]
    Started(#[from] tracing_subscriber::util::TryInitError),
}

/// Start logging for the whole process, panics included. Once per process.
pub fn start(config: &LogConfig) -> Result<(), TelemetryError> {
    subscriber(config, colors(&io::stderr()), io::stderr)?.try_init()?;
    log_panics();
    Ok(())
}

/// Whether colours are wanted on a stream: it is a terminal and nobody said no (<https://no-color.org>).
pub fn colors(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn subscriber<W>(
    config: &LogConfig,
    colors: bool,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = config.filter().map_err(TelemetryError::Level)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_timer(Utc)
        .with_ansi(colors)
        .with_writer(writer);
    Ok(match config.format {
        LogFormat::Console => Box::new(builder.compact().finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).with_span_list(false).finish()),
    })
}

/// A panic is an event like any other, so that it reaches whoever collects the log in one line.
fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let location = info
            .location()
            .map_or_else(|| "unknown".to_owned(), ToString::to_string);
        let message = info.payload_as_str().unwrap_or("no message");
        let backtrace = std::backtrace::Backtrace::capture();
        match backtrace.status() {
            std::backtrace::BacktraceStatus::Captured => {
                tracing::error!(location, %backtrace, "panic: {message}");
            }
            _ => tracing::error!(location, "panic: {message}"),
        }
    }));
}

/// Milliseconds are enough to follow one host; more would only suggest that hosts' clocks agree.
struct Utc;

impl FormatTime for Utc {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{:.3}", jiff::Timestamp::now())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, level: &str, events: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let config = LogConfig {
            format,
            level: level.to_owned(),
        };
        let subscriber = subscriber(&config, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, events);
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn guest_line() {
        tracing::info!(target: GUEST_TARGET, agent = "echo", item = "i1", host = "h1", "hello \x1b[31m\"you\"");
    }

    #[test]
    fn console_lines_show_time_level_target_and_fields() {
        let line = logged(LogFormat::Console, "info", guest_line);
        for part in ["Z ", "INFO", "guest: ", "hello", "agent=\"echo\"", "host=\"h1\""] {
            assert!(line.contains(part), "{part} not in {line}");
        }
        assert!(
            !line.contains('\x1b'),
            "a guest must not paint the operator's terminal: {line:?}"
        );
    }

    #[test]
    fn json_lines_have_the_fields_at_the_top() {
        let line = logged(LogFormat::Json, "info", guest_line);
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(json["agent"], "echo");
        assert_eq!((&json["level"], &json["target"]), (&"INFO".into(), &"guest".into()));
        assert!(
            json["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(),
            "{json}"
        );
    }

    #[test]
    fn levels_go_by_target() {
        assert_eq!(logged(LogFormat::Console, "info,guest=warn", guest_line), "");
        assert!(logged(LogFormat::Console, "off,guest=info", guest_line).contains("hello"));
        assert!(
            subscriber(
                &LogConfig {
                    format: LogFormat::Json,
                    level: "a=b=c".into()
                },
                false,
                io::sink
            )
            .is_err()
        );
    }
}
