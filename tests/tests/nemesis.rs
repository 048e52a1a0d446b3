//! Everything that can go wrong, one thing after another, under load; and every promise judged over what happened.

use std::time::Duration;

use warren_tests::{
    checkers::{self, Rules},
    nemesis::Run,
};

#[track_caller]
fn survives(seed: u64) {
    let run = Run {
        seed,
        hosts: 3,
        span: Duration::from_secs(30),
    };
    println!("{run:?}: again with `cargo xtask soak --seed {seed}`");
    let history = run.history();
    checkers::assert_kept(&history, &Rules::of_the_harness(), &format!("{run:?}"));
}

#[test]
fn the_promises_hold_in_a_known_run() {
    survives(20_261_122);
}

#[test]
fn the_promises_hold_in_a_run_that_nobody_has_seen() {
    survives(rand::random());
}
