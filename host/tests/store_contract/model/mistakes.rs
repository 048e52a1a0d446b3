//! The comparison can fail: a store that keeps to the reference but for one mistake is found out, in a few steps.

use proptest::{
    prelude::{BoxedStrategy, Strategy},
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};
use tokio::runtime::Builder;
use warren::{domain::ending::Reason, ports::store::StorePolicy};

use super::{
    START, Subject, any_steps,
    calls::{Answer, Call},
    compare,
    reference::Reference,
    seen::Seen,
    steps::{Step, breaker_steps, policies},
};

/// Cases in which a mistake must be found; most are found among the first ten.
const CASES: u32 = 5000;
/// The longest sequence that one may be left with.
const STEPS: usize = 40;
/// Tries to shorten a sequence.
const SHRINKS: u32 = 50_000;

/// A store that believes in another policy, or hears something else than it is told.
struct Mistaken {
    store: Reference,
    hears: fn(&Reference, Call) -> Call,
}

impl Subject for Mistaken {
    async fn answer(&mut self, call: &Call) -> Answer {
        (self.hears)(&self.store, call.clone()).of_reference(&mut self.store, &Answer::Nothing)
    }

    async fn seen(&mut self) -> Seen {
        Seen::expected(&self.store)
    }

    async fn shows(&self, _: &Seen) -> Result<(), String> {
        Ok(())
    }
}

/// The sequence that finds it out, in words and steps.
fn found_out(
    cases: u32,
    steps: BoxedStrategy<Vec<Step>>,
    believes: fn(&mut StorePolicy),
    hears: fn(&Reference, Call) -> Call,
) -> Option<(String, usize)> {
    let runtime = Builder::new_current_thread().build().unwrap();
    let config = Config {
        cases,
        failure_persistence: None,
        // By default it ends after a number of tries that leaves some sequences long.
        max_shrink_iters: SHRINKS,
        ..Config::default()
    };
    // Whether a mistake is found must not be luck: the same sequences each time.
    let dice = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let checked = TestRunner::new_with_rng(config, dice).run(&(policies(), steps), |(policy, steps)| {
        let mut believed = policy.clone();
        believes(&mut believed);
        let mut store = Mistaken {
            store: Reference::new(believed, START),
            hears,
        };
        let compared = runtime.block_on(compare(&mut store, &policy, &steps));
        compared.map_err(TestCaseError::fail)
    });
    match checked {
        Ok(()) => None,
        Err(TestError::Fail(words, (_, steps))) => Some((words.to_string(), steps.len())),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

fn believes(steps: BoxedStrategy<Vec<Step>>, mistake: fn(&mut StorePolicy)) {
    let (words, steps) = found_out(CASES, steps, mistake, |_, call| call).expect("it is found out");
    assert!(words.contains("(- reference, + store)"), "{words}");
    assert!(steps <= STEPS, "{steps} steps:\n{words}");
}

fn hears(mistake: fn(&Reference, Call) -> Call) {
    let (words, steps) = found_out(CASES, any_steps(), |_| (), mistake).expect("it is found out");
    assert!(words.contains("(- reference, + store)"), "{words}");
    assert!(steps <= STEPS, "{steps} steps:\n{words}");
}

#[test]
fn without_a_mistake_nothing_is_found() {
    assert_eq!(found_out(50, any_steps(), |_| (), |_, call| call), None);
}

#[test]
fn numbers_of_the_policy() {
    believes(any_steps(), |policy| policy.max_queue += 1);
    believes(any_steps(), |policy| policy.fairness += 1);
    believes(any_steps(), |policy| policy.max_attempts += 1);
    believes(any_steps(), |policy| policy.keep_done /= 2);
    believes(any_steps(), |policy| policy.cool_down.max = policy.cool_down.base);
}

#[test]
fn numbers_of_the_breaker() {
    believes(breaker_steps().boxed(), |policy| policy.breaker.threshold += 1);
    believes(breaker_steps().boxed(), |policy| policy.breaker.base *= 2);
    believes(breaker_steps().boxed(), |policy| policy.breaker.max *= 2);
    believes(breaker_steps().boxed(), |policy| policy.breaker.decay *= 2);
    believes(breaker_steps().boxed(), |policy| policy.breaker.probe_retry *= 2);
    believes(breaker_steps().boxed(), |policy| policy.breaker.lease_losses += 1);
}

#[test]
fn rules_of_the_queue() {
    // I3: an expired claim is not recovered.
    hears(|_, call| match call {
        Call::Sweep => Call::Requeue(Vec::new()),
        call => call,
    });
    // I4: a stale token ends the claim of another.
    hears(|store, call| match call {
        Call::Complete(mut completion) => {
            completion.token = store.token_of(completion.item).unwrap_or(completion.token);
            Call::Complete(completion)
        }
        call => call,
    });
    // I5: what was avoided is claimed.
    hears(|_, call| match call {
        Call::Claim(mut request) => {
            request.avoid.clear();
            Call::Claim(request)
        }
        call => call,
    });
    // I8: what is nobody's fault counts.
    hears(|_, call| match call {
        Call::Complete(mut completion) if completion.ending.reason == Reason::Upstream => {
            completion.ending.reason = Reason::Trap;
            Call::Complete(completion)
        }
        call => call,
    });
    // A longer lease than was asked for.
    hears(|_, call| match call {
        Call::Renew(renewals, lease) => Call::Renew(renewals, lease * 2),
        call => call,
    });
}
