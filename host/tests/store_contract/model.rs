//! Random sequences of every call, on the store and on a simple reference of it (`model/reference.rs`, which is meant to be
//! read as the specification). After each call both must have given the same answer and look the same, down to the last
//! item. A sequence that makes them differ is shrunk and printed, one line per call.
//!
//! `PROPTEST_CASES=5000` tries harder, `PROPTEST_RNG_SEED` repeats a run. A failing seed is kept below the target folder, so
//! that the next run here begins with it; it is worth nothing once the generators change, so it is not kept with the
//! sources: what it has found becomes a case of the contract.

mod breaker;
mod calls;
mod domain_breaker;
mod memory;
mod mistakes;
pub mod reference;
pub mod seen;
mod steps;

use std::{env, fmt::Write};

use proptest::{
    collection::vec,
    prelude::{BoxedStrategy, Strategy, TestCaseError},
    test_runner::{Config, FileFailurePersistence, TestError, TestRunner},
};
use tokio::runtime::Handle;
use warren::ports::store::StorePolicy;

use self::{
    calls::Call,
    memory::Memory,
    reference::Reference,
    seen::{Seen, difference},
    steps::{Step, breaker_steps, policies, step},
};
use super::harness::Harness;

/// Cases of one run, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 40;
/// The longest sequence.
const STEPS: usize = 60;

/// A deliberate mistake of the reference, to see that it is found.
#[derive(Clone, Copy)]
struct Mistake {
    policy: fn(&mut StorePolicy),
    call: fn(Call) -> Call,
}

const NONE: Mistake = Mistake {
    policy: |_| (),
    call: |call| call,
};

/// How much is tried, and where a failing seed of this property is kept.
fn config(property: &str) -> Config {
    let kept = format!("{}/{property}.proptest-regressions", env!("CARGO_TARGET_TMPDIR"));
    let config = Config {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(kept.leak()))),
        max_shrink_time: 60_000,
        ..Config::default()
    };
    match env::var_os("PROPTEST_CASES") {
        Some(_) => config,
        None => Config { cases: CASES, ..config },
    }
}

pub async fn behaves_like_the_reference<H: Harness>() {
    let found = counterexample::<H>(config("store-model"), any_steps, NONE).await;
    assert!(found.is_none(), "{}", found.unwrap_or_default().words);
}

pub async fn its_breaker_lives_like_the_reference<H: Harness>() {
    let found = counterexample::<H>(config("store-breaker"), || breaker_steps().boxed(), NONE).await;
    assert!(found.is_none(), "{}", found.unwrap_or_default().words);
}

fn any_steps() -> BoxedStrategy<Vec<Step>> {
    vec(step(), 1..STEPS).boxed()
}

#[derive(Default)]
struct Counterexample {
    words: String,
    steps: usize,
}

async fn counterexample<H: Harness>(
    config: Config,
    steps: impl FnOnce() -> BoxedStrategy<Vec<Step>> + Send + 'static,
    mistake: Mistake,
) -> Option<Counterexample> {
    let (handle, place) = (Handle::current(), H::place().await);
    let checking = tokio::task::spawn_blocking(move || {
        TestRunner::new(config).run(&(policies(), steps()), |(policy, steps)| {
            let run = handle.block_on(run::<H>(&place, &policy, &steps, mistake));
            run.map_err(TestCaseError::fail)
        })
    });
    match checking.await.unwrap() {
        Ok(()) => None,
        Err(TestError::Fail(words, (_, steps))) => Some(Counterexample {
            words: words.to_string(),
            steps: steps.len(),
        }),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

async fn run<H: Harness>(
    place: &H::Place,
    policy: &StorePolicy,
    steps: &[Step],
    mistake: Mistake,
) -> Result<(), String> {
    let harness = H::fresh_in(place, policy.clone()).await;
    let store = harness.store();
    let mut believed = policy.clone();
    (mistake.policy)(&mut believed);
    let mut reference = Reference::new(believed, store.queue.health().await.unwrap().now);
    let mut memory = Memory::default();
    let mut history = format!("{policy:?}\n");
    for step in steps {
        let Some(call) = memory.call(step, &reference) else {
            continue;
        };
        if let Call::Wait(span) = call {
            harness.advance(span);
        }
        let answer = call.of(&store).await;
        let seen = Seen::read(&store).await;
        reference.luck = seen.luck();
        let _ = writeln!(history, "{call}\n    {answer:?}");
        let expected = (mistake.call)(call).of_reference(&mut reference);
        let differ =
            |what: &str, difference: String| short(&format!("{history}{what} (- reference, + store):\n{difference}"));
        if answer != expected {
            return Err(differ("the answers differ", difference(&expected, &answer)));
        }
        let expected = Seen::expected(&reference);
        if seen != expected {
            return Err(differ("what is seen afterwards differs", difference(&expected, &seen)));
        }
        harness
            .shows(&seen)
            .await
            .map_err(|words| differ("what operators see differs", words))?;
        memory.keep(&answer);
    }
    Ok(())
}

/// Ids and times without what all of them have in common.
fn short(words: &str) -> String {
    words
        .replace("00000000-0000-0000-0000-00000000", "i")
        .replace("80000000-0000-0000-0000-00000000", "t")
        .replace("UnixMillis(17500", "UnixMillis(")
}
