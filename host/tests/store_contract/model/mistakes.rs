//! The comparison can fail: a reference that believes something else is found out, in few steps.

use proptest::test_runner::Config;
use warren::ports::store::StorePolicy;

use super::{super::redis::RedisHarness, Mistake, NONE, any_steps, calls::Call, counterexample};

/// Cases in which a mistake must be found; most are found among the first ten.
const CASES: u32 = 2000;
/// The longest sequence that one may be left with.
const STEPS: usize = 20;

async fn is_found(mistake: Mistake) {
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        max_shrink_iters: 400,
        ..Config::default()
    };
    let found = counterexample::<RedisHarness>(config, any_steps, mistake)
        .await
        .expect("it is found");
    assert!(found.words.contains("(- reference, + store)"), "{}", found.words);
    assert!(found.steps <= STEPS, "{} steps:\n{}", found.steps, found.words);
}

const fn policy(policy: fn(&mut StorePolicy)) -> Mistake {
    Mistake { policy, ..NONE }
}

const fn call(call: fn(Call) -> Call) -> Mistake {
    Mistake { call, ..NONE }
}

macro_rules! mistakes {
    ($($name:ident: $mistake:expr;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                is_found($mistake).await;
            }
        )+
    };
}

mistakes! {
    queues_are_longer: policy(|policy| policy.max_queue += 1);
    lower_priorities_wait_longer: policy(|policy| policy.fairness += 1);
    the_breaker_is_more_patient: policy(|policy| policy.breaker.threshold += 1);
    the_breaker_opens_for_longer: policy(|policy| policy.breaker.base *= 2);
    lost_leases_are_nothing: policy(|policy| policy.breaker.lease_losses += 10);
    one_more_try: policy(|policy| policy.max_attempts += 1);
    cool_downs_do_not_double: policy(|policy| policy.cool_down.max = policy.cool_down.base);
    answers_are_forgotten_sooner: policy(|policy| policy.keep_done /= 2);
    expired_claims_are_left: call(|call| match call {
        Call::Sweep => Call::Requeue(Vec::new()),
        call => call,
    });
    avoided_agents_are_claimed: call(|call| match call {
        Call::Claim(mut request) => {
            request.avoid.clear();
            Call::Claim(request)
        }
        call => call,
    });
    a_shutdown_counts_as_a_death: call(|call| match call {
        Call::ReleaseHost(host, _) => Call::ReleaseHost(host, true),
        call => call,
    });
}
