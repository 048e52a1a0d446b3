//! What is the agent's own: state within a small quota, configuration, log, numbers.

use warren_guest_sdk::prelude::*;

use crate::transcript::Transcript;

/// For an agent that may keep 100 bytes under 3 keys, 40 bytes in each.
pub fn state(said: &mut Transcript) {
    said.state("nothing yet", state::get("a"));
    said.state("keys", state::keys());
    said.state("set", state::set("a", "one"));
    said.state("get", state::get_text("a"));
    said.state("again", state::set("a", [0xff, 0x00]));
    said.state("as text", state::get_text("a"));
    said.state("exists", state::exists("a"));
    said.state("too long", state::set("b", "x".repeat(41)));
    said.state("b", state::set("b", "x".repeat(40)));
    said.state("c", state::set("c", "x".repeat(40)));
    said.state("a fourth", state::set("d", "x"));
    said.state("too much", state::set("a", "x".repeat(20)));
    said.state("keys", state::keys());
    said.state("delete", state::delete("b"));
    said.state("delete again", state::delete("b"));
    said.state("exists", state::exists("b"));
    said.state("room again", state::set("d", "x"));
    said.state("keys", state::keys());
}

pub fn config(said: &mut Transcript) {
    said.line("greeting", config::get("greeting"));
    said.line("absent", config::get("absent"));
    said.line("required", config::require("absent"));
    said.line("number", config::parse::<u32>("greeting"));
}

/// For an agent that may log five lines.
pub fn logs() {
    log::warn!("a warning");
    for n in 1..=6 {
        log::info!("line {n}");
    }
}

pub fn metrics() {
    metrics::counter("parts_total", &[("kind", "a")], 2.0);
    metrics::counter("parts_total", &[("kind", "a")], 1.5);
    metrics::counter("parts_total", &[("kind", "b")], -1.0);
    metrics::counter("no name", &[], 1.0);
    metrics::counter("parts_total", &[("agent_id", "x")], 1.0);
    metrics::gauge("level", &[], 7.0);
    metrics::gauge("level", &[], f64::NAN);
    metrics::gauge("level", &[("a", "1"), ("a", "2")], 3.0);
    metrics::histogram("took_seconds", &[], 0.5);
    metrics::histogram("took_seconds", &[], 2.0);
}
