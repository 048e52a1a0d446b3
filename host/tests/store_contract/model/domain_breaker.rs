//! The breaker of the domain, without any store: on every history it is what the reference of it is.

use proptest::{
    collection::vec,
    prelude::{Just, Strategy, TestCaseError, prop_oneof},
    prop_assert, prop_assert_eq,
    sample::select,
    test_runner::TestRunner,
};
use warren::domain::{
    breaker::{Breaker, BreakerPolicy, BreakerState, Transition},
    ending::Reason,
    time::UnixMillis,
};

use super::{breaker::Breaker as Reference, config, steps::policies};

#[derive(Clone, Copy, Debug)]
enum Event {
    Ended(Reason, f64),
    LeaseLost(f64),
    Wait(u64),
    /// Until it is half-open.
    WaitUntilDue,
    Reset,
    ForceOpen,
    Disable,
}

fn event() -> impl Strategy<Value = Event> {
    let jitter = || 0.0..1.0;
    prop_oneof![
        6 => (select(&Reason::ALL[..]), jitter()).prop_map(|(reason, random)| Event::Ended(reason, random)),
        6 => jitter().prop_map(|random| Event::Ended(Reason::Trap, random)),
        3 => jitter().prop_map(|random| Event::Ended(Reason::Ok, random)),
        3 => jitter().prop_map(Event::LeaseLost),
        4 => (0..200_000u64).prop_map(Event::Wait),
        6 => Just(Event::WaitUntilDue),
        1 => select(&[Event::Reset, Event::ForceOpen, Event::Disable][..]),
    ]
}

fn lives_like_the_reference(policy: &BreakerPolicy, events: &[Event]) -> Result<(), TestCaseError> {
    let (mut breaker, mut reference) = (Breaker::default(), Reference::default());
    let mut now = UnixMillis(1_750_000_000_000);
    for event in events {
        let mut transition = None;
        match *event {
            Event::Ended(reason, random) => {
                transition = breaker.ended(now, reason, policy, random);
                let decided = breaker.open_until;
                let opened = reference.ended(now, reason, policy, |times| within(&times, decided));
                prop_assert_eq!(opened, matches!(transition, Some(Transition::Opened { .. })));
            }
            Event::LeaseLost(random) => {
                transition = breaker.lease_lost(now, policy, random);
                let decided = breaker.open_until;
                let opened = reference.lease_lost(now, policy, |times| within(&times, decided));
                prop_assert_eq!(opened, transition.is_some());
            }
            Event::Wait(millis) => now.0 += millis as i64,
            Event::WaitUntilDue => now = now.max(breaker.open_until.unwrap_or(now)),
            Event::Reset => {
                breaker.reset();
                reference.reset();
            }
            Event::ForceOpen => {
                breaker.force_open();
                reference.force_open();
            }
            Event::Disable => {
                breaker.disable();
                reference.disable();
            }
        }
        prop_assert_eq!(breaker.state(now), reference.state(now));
        prop_assert_eq!(breaker.failures, reference.failures);
        prop_assert_eq!(breaker.exponent, reference.doublings);
        prop_assert_eq!(breaker.lease_losses, reference.lost_in_a_row);
        if let Some(Transition::Opened { until, .. }) = transition {
            prop_assert!(until.since(now) <= policy.max);
            prop_assert_eq!(breaker.state(now), BreakerState::Open { until });
        }
    }
    Ok(())
}

fn within(times: &super::breaker::Times, decided: Option<UnixMillis>) -> UnixMillis {
    decided.map_or(*times.start(), |time| time.clamp(*times.start(), *times.end()))
}

#[test]
fn the_domains_breaker_lives_like_the_reference() {
    let mut config = config("domain-breaker");
    // No store is asked: a case takes microseconds.
    config.cases *= 100;
    let checked = TestRunner::new(config).run(&(policies(), vec(event(), 1..80)), |(policy, events)| {
        lives_like_the_reference(&policy.breaker, &events)
    });
    if let Err(failure) = checked {
        panic!("{failure}");
    }
}
