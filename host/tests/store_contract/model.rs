//! Random sequences of every call, on the store and on a simple reference of it (`model/reference.rs`, which is meant to be
//! read as the specification). After each call both must have given the same answer and look the same, down to the last
//! item. A sequence that makes them differ is shrunk and printed, one line per call.
//!
//! Without it so many cases are tried as take a minute on two cores; `PROPTEST_CASES=5000` tries harder, `PROPTEST_RNG_SEED` repeats a run. A failing seed is kept below the target folder, so
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
use warren::{
    domain::time::UnixMillis,
    ports::store::{Store, StorePolicy},
};

use self::{
    calls::{Answer, Call},
    memory::Memory,
    reference::Reference,
    seen::{Seen, difference},
    steps::{Step, breaker_steps, policies, step},
};
use super::harness::Harness;

/// Cases of one run, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 64;
/// The longest sequence.
const STEPS: usize = 60;

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
    let found = counterexample::<H>(config("store-model"), any_steps).await;
    assert!(found.is_none(), "{}", found.unwrap_or_default());
}

pub async fn its_breaker_lives_like_the_reference<H: Harness>() {
    let found = counterexample::<H>(config("store-breaker"), || breaker_steps().boxed()).await;
    assert!(found.is_none(), "{}", found.unwrap_or_default());
}

fn any_steps() -> BoxedStrategy<Vec<Step>> {
    vec(step(), 1..STEPS).boxed()
}

/// A sequence that makes store and reference differ, if there is one: in words.
async fn counterexample<H: Harness>(
    config: Config,
    steps: impl FnOnce() -> BoxedStrategy<Vec<Step>> + Send + 'static,
) -> Option<String> {
    let (handle, place) = (Handle::current(), H::place().await);
    let checking = tokio::task::spawn_blocking(move || {
        let checked = TestRunner::new(config).run(&(policies(), steps()), |(policy, steps)| {
            let run = async {
                let harness = H::fresh_in(&place, policy.clone()).await;
                let store = harness.store();
                compare(&mut OfHarness { harness, store }, &policy, &steps).await
            };
            handle.block_on(run).map_err(TestCaseError::fail)
        });
        match checked {
            Ok(()) => None,
            Err(TestError::Fail(words, _)) => Some(words.to_string()),
            Err(TestError::Abort(why)) => panic!("{why}"),
        }
    });
    checking.await.unwrap()
}

/// What is compared with the reference.
trait Subject {
    async fn answer(&mut self, call: &Call) -> Answer;

    async fn seen(&mut self) -> Seen;

    /// See [`Harness::shows`].
    async fn shows(&self, seen: &Seen) -> Result<(), String>;
}

struct OfHarness<H> {
    harness: H,
    store: Store,
}

impl<H: Harness> Subject for OfHarness<H> {
    async fn answer(&mut self, call: &Call) -> Answer {
        if let Call::Wait(span) = call {
            self.harness.advance(*span);
        }
        call.of(&self.store).await
    }

    async fn seen(&mut self) -> Seen {
        Seen::read(&self.store).await
    }

    async fn shows(&self, seen: &Seen) -> Result<(), String> {
        self.harness.shows(seen).await
    }
}

/// When every case begins.
pub const START: UnixMillis = UnixMillis(1_750_000_000_000);

async fn compare(subject: &mut impl Subject, policy: &StorePolicy, steps: &[Step]) -> Result<(), String> {
    let mut reference = Reference::new(policy.clone(), START);
    let mut memory = Memory::default();
    let mut history = format!("{policy:?}\n");
    for step in steps {
        let Some(call) = memory.call(step, &reference) else {
            continue;
        };
        let answer = subject.answer(&call).await;
        let seen = subject.seen().await;
        reference.luck = seen.luck();
        let _ = writeln!(history, "{call}\n    {answer:?}");
        let differ =
            |what: &str, difference: String| short(&format!("{history}{what} (- reference, + store):\n{difference}"));
        let expected = call.of_reference(&mut reference, &answer);
        if answer != expected {
            return Err(differ("the answers differ", difference(&expected, &answer)));
        }
        let expected = Seen::expected(&reference);
        if seen != expected {
            return Err(differ("what is seen afterwards differs", difference(&expected, &seen)));
        }
        subject
            .shows(&seen)
            .await
            .map_err(|words| differ("what operators of old see differs", words))?;
        memory.keep(&answer);
    }
    Ok(())
}

/// Ids and times without what all of them have in common; `+` is what is left of a time.
fn short(words: &str) -> String {
    words
        .replace("00000000-0000-0000-0000-00000000", "i")
        .replace("80000000-0000-0000-0000-00000000", "t")
        .replace("17500", "+")
}
