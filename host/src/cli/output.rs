//! What commands print: plain text without colours, in columns that fit the terminal.

use std::io::{self, ErrorKind, IsTerminal, Write};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::exit::{Exit, Failure};

/// The width of a terminal that does not tell its own.
const WIDTH: u16 = 100;

/// Print to standard output. Whoever reads may stop reading.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out
        .write_all(text.trim_end().as_bytes())
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::new(
            Exit::Failed,
            format!("can't write to standard output: {error}"),
        )),
        _ => Ok(()),
    }
}

pub fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value)
        .map_err(|error| Failure::new(Exit::Failed, format!("can't print JSON: {error}")))
}

/// Columns without lines: easy on the eye, and on `awk`. On a terminal long cells wrap, elsewhere a row is a line.
pub fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    if io::stdout().is_terminal() {
        let width = rustix::termios::tcgetwinsize(io::stdout()).map_or(0, |size| size.ws_col);
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(if width == 0 { WIDTH } else { width });
    }
    // A cell is a line, whatever somebody put into it.
    table.add_rows(rows.into_iter().map(|row| row.map(|cell| one_line(&cell))));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    trimmed(&table.to_string())
}

/// Text from outside: no line breaks, and no control characters that would act on the terminal.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn trimmed(text: &str) -> String {
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// `2d 3h`, `4m 5s`: the two largest units.
pub fn span(seconds: f64) -> String {
    let total = seconds.max(0.0) as u64;
    let parts = [
        (total / 86_400, "d"),
        (total / 3600 % 24, "h"),
        (total / 60 % 60, "m"),
        (total % 60, "s"),
    ];
    let first = parts.iter().position(|(n, _)| *n > 0).unwrap_or(3);
    parts[first..]
        .iter()
        .take(2)
        .filter(|(n, _)| *n > 0 || total == 0)
        .map(|(n, unit)| format!("{n}{unit}"))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_plain_columns() {
        let rows = [
            ["a".to_owned(), "one\nline\u{1b}[31m".to_owned()],
            ["bbb".to_owned(), String::new()],
        ];
        assert_eq!(table(["NAME", "SAYS"], rows), "NAME  SAYS\na     one line [31m\nbbb");
    }

    #[test]
    fn spans_show_two_units() {
        assert_eq!(
            [0.4, 59.0, 60.0, 3661.0, 200_000.0].map(span),
            ["0s", "59s", "1m", "1h 1m", "2d 7h"]
        );
    }
}
