//! Everything that can go wrong, one thing after another, under load; and every promise judged over what happened.

use std::time::Duration;

use warren_tests::{
    checkers::{self, Rules},
    history::{StoreCall, What},
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
    // A run in which nothing happened would prove nothing.
    let count = |fits: fn(&What) -> bool| history.iter().filter(|record| fits(&record.what)).count();
    let ended = count(|what| matches!(what, What::Store(StoreCall::Complete { .. })));
    let won = count(|what| matches!(what, What::Store(StoreCall::Acquire { term: Some(_), .. })));
    let mentioned = count(|what| matches!(what, What::Mentioned { .. }));
    println!("{ended} activations ended, {mentioned} mentions, {won} leaderships");
    assert!(ended >= 50 && mentioned >= 20 && won >= 2, "too little happened");
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
