//! The report: a row per check, for people as Markdown, for programs as JSON.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use serde::Serialize;

use super::cluster::Cluster;
use crate::cli::output::{one_line, span};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    Pass,
    Fail,
    Skipped,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Verdict::Pass => "PASS",
            Verdict::Fail => "FAIL",
            Verdict::Skipped => "SKIPPED",
        }
    }
}

/// What was seen, and what that is worth.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    pub seen: String,
    pub verdict: Verdict,
    /// Seconds, and numbers that somebody may want to watch.
    pub measured: BTreeMap<&'static str, f64>,
}

impl Judged {
    /// Passed if there is no problem; the problems come first.
    pub fn by(problems: Vec<String>, seen: impl Into<String>) -> Judged {
        let seen = seen.into();
        if problems.is_empty() {
            return Judged {
                seen,
                verdict: Verdict::Pass,
                measured: BTreeMap::new(),
            };
        }
        // Each once, however many samples showed it.
        let mut words: Vec<String> = Vec::new();
        for problem in problems {
            if !words.contains(&problem) {
                words.push(problem);
            }
        }
        if !seen.is_empty() {
            words.push(seen);
        }
        Judged {
            seen: words.join("; "),
            verdict: Verdict::Fail,
            measured: BTreeMap::new(),
        }
    }

    pub fn failed(why: impl Into<String>) -> Judged {
        Judged::by(vec![why.into()], "")
    }

    pub fn skipped(why: impl Into<String>) -> Judged {
        Judged {
            seen: why.into(),
            verdict: Verdict::Skipped,
            measured: BTreeMap::new(),
        }
    }

    pub fn measuring(mut self, name: &'static str, value: Option<f64>) -> Judged {
        self.measured.extend(value.map(|value| (name, value)));
        self
    }
}

/// A check before it has been made.
pub struct Planned {
    pub check: &'static str,
    pub expected: String,
    pub by_hand: Vec<String>,
}

impl Planned {
    pub fn row(self, judged: Judged) -> Row {
        Row {
            check: self.check,
            expected: self.expected,
            seen: judged.seen,
            result: judged.verdict,
            measured: judged.measured,
            by_hand: self.by_hand,
        }
    }
}

#[derive(Debug, Serialize)]
pub struct Row {
    pub check: &'static str,
    pub expected: String,
    pub seen: String,
    pub result: Verdict,
    pub measured: BTreeMap<&'static str, f64>,
    /// Commands by which a person can see the same.
    pub by_hand: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether no check failed.
    pub holds: bool,
    pub at: String,
    pub disruptive: bool,
    pub took_seconds: f64,
    pub store: String,
    pub hosts: Vec<HostLine>,
    pub rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
pub struct HostLine {
    pub name: String,
    pub state: String,
    pub led_at_first: bool,
    pub version: String,
    pub roles: Vec<String>,
    pub address: String,
}

impl Report {
    pub fn of(cluster: &Cluster, rows: Vec<Row>, disruptive: bool, took: Duration) -> Report {
        let live = cluster.members.iter().map(|member| &member.view);
        let hosts = live.chain(&cluster.others).map(|host| HostLine {
            name: host.name.clone(),
            state: match host.state.as_str() {
                state @ ("gone" | "left") => format!("{state} {} ago", span(host.seconds_since_seen)),
                state => state.to_owned(),
            },
            led_at_first: host.leader,
            version: host.version.clone(),
            roles: host.roles.clone(),
            address: host.address.clone(),
        });
        Report {
            holds: rows.iter().all(|row| row.result != Verdict::Fail),
            at: format!("{:.0}", jiff::Timestamp::now()),
            disruptive,
            took_seconds: took.as_secs_f64(),
            store: cluster.store.clone(),
            hosts: hosts.collect(),
            rows,
        }
    }

    pub fn markdown(&self) -> String {
        let mut text = String::from("# Verification of a Warren cluster\n\n");
        let _ = writeln!(text, "**{}**: {}.\n", self.word(), self.counts());
        let mode = if self.disruptive {
            "with `--disruptive`"
        } else {
            "only reading (`--disruptive` checks the rest)"
        };
        let _ = writeln!(
            text,
            "{}, {mode}, in {:.1} s. Store: {}.\n",
            self.at,
            self.took_seconds,
            cell(&self.store)
        );
        text.push_str("| Host | State | Roles | Version | Address |\n| --- | --- | --- | --- | --- |\n");
        for host in &self.hosts {
            let leads = if host.led_at_first { ", led at first" } else { "" };
            let _ = writeln!(
                text,
                "| {} | {}{leads} | {} | {} | {} |",
                cell(&host.name),
                cell(&host.state),
                cell(&host.roles.join(" + ")),
                cell(&host.version),
                cell(&host.address)
            );
        }
        text.push_str("\n| # | Check | Expected | Seen | Result |\n| --- | --- | --- | --- | --- |\n");
        for (number, row) in (1..).zip(&self.rows) {
            let _ = writeln!(
                text,
                "| {number} | {} | {} | {} | **{}** |",
                row.check,
                cell(&row.expected),
                cell(&row.seen),
                row.result.as_str()
            );
        }
        text.push_str("\n## The same by hand\n");
        for (number, row) in (1..).zip(&self.rows) {
            let _ = write!(text, "\n{number}. {}\n\n   ```sh\n", row.check);
            for command in &row.by_hand {
                let _ = writeln!(text, "   {}", one_line(command));
            }
            text.push_str("   ```\n");
        }
        text
    }

    fn word(&self) -> &'static str {
        if self.holds { "PASS" } else { "FAIL" }
    }

    fn counts(&self) -> String {
        let of = |verdict| self.rows.iter().filter(move |row| row.result == verdict);
        let failed: Vec<&str> = of(Verdict::Fail).map(|row| row.check).collect();
        let mut words = format!("{} of {} checks hold", of(Verdict::Pass).count(), self.rows.len());
        if !failed.is_empty() {
            let _ = write!(words, ", {} failed ({})", failed.len(), failed.join(", "));
        }
        match of(Verdict::Skipped).count() {
            0 => {}
            skipped => _ = write!(words, ", {skipped} skipped"),
        }
        words
    }
}

/// Text as a cell of a Markdown table.
fn cell(text: &str) -> String {
    one_line(text).replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verdicts: [Verdict; 2]) -> Report {
        let rows = verdicts.map(|result| Row {
            check: "something",
            expected: "a | b".to_owned(),
            seen: "two\nlines".to_owned(),
            result,
            measured: BTreeMap::new(),
            by_hand: vec!["redis-cli LLEN work:queue:high".to_owned()],
        });
        Report {
            holds: verdicts.iter().all(|verdict| *verdict != Verdict::Fail),
            at: "2026-01-01T00:00:00Z".to_owned(),
            disruptive: false,
            took_seconds: 1.0,
            store: "Redis".to_owned(),
            hosts: Vec::new(),
            rows: rows.into(),
        }
    }

    #[test]
    fn cells_stay_cells_and_every_row_has_its_commands() {
        let text = report([Verdict::Pass, Verdict::Skipped]).markdown();
        assert!(text.contains("**PASS**: 1 of 2 checks hold, 1 skipped."), "{text}");
        assert!(
            text.contains("| 2 | something | a \\| b | two lines | **SKIPPED** |"),
            "{text}"
        );
        assert_eq!(text.matches("   redis-cli LLEN work:queue:high\n").count(), 2);
    }

    #[test]
    fn a_failed_row_is_named_at_the_top() {
        let text = report([Verdict::Pass, Verdict::Fail]).markdown();
        assert!(
            text.contains("**FAIL**: 1 of 2 checks hold, 1 failed (something)."),
            "{text}"
        );
    }

    #[test]
    fn problems_come_before_what_was_seen() {
        let judged = Judged::by(
            ["two led", "nobody led", "two led"].map(str::to_owned).into(),
            "terms 3, 4",
        );
        assert_eq!(
            (judged.seen.as_str(), judged.verdict),
            ("two led; nobody led; terms 3, 4", Verdict::Fail)
        );
        assert_eq!(Judged::by(Vec::new(), "fine").verdict, Verdict::Pass);
    }
}
