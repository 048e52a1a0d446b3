//! The circuit breaker of one agent: contains what keeps failing, lets it try again once in a while.
//!
//! A value and its rules: adapters keep the value in the store, where every transition happens in the same atomic step
//! as the claim or completion that causes it. There is no half-open *flag*: the breaker is half-open once its time has
//! come, and the permit for the one probe is the agent's one claim (I4, I8).

use std::{fmt, time::Duration};

use super::{ending::Reason, time::UnixMillis};

/// When a breaker opens and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerPolicy {
    /// Consecutive counted failures that open it.
    pub threshold: u32,
    /// How long it stays open the first time; doubles with every further opening.
    pub base: Duration,
    pub max: Duration,
    /// Each opening is longer or shorter by up to this share, never past `max`.
    pub jitter: f64,
    /// The doubling falls by one for every such span without a counted failure.
    pub decay: Duration,
    /// How long after a probe that ended uncounted the next may try.
    pub probe_retry: Duration,
    /// Lost leases in a row that open it, with the reason `host_killer`.
    pub lease_losses: u32,
}

impl Default for BreakerPolicy {
    fn default() -> BreakerPolicy {
        BreakerPolicy {
            threshold: 5,
            base: Duration::from_secs(60),
            max: Duration::from_secs(3600),
            jitter: 0.1,
            decay: Duration::from_secs(600),
            probe_retry: Duration::from_secs(5),
            lease_losses: 3,
        }
    }
}

/// What an operator has set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BreakerMode {
    #[default]
    Automatic,
    /// Open until an operator resets it.
    ForcedOpen,
    /// Never opens.
    Disabled,
}

impl BreakerMode {
    pub fn as_str(self) -> &'static str {
        match self {
            BreakerMode::Automatic => "automatic",
            BreakerMode::ForcedOpen => "forced_open",
            BreakerMode::Disabled => "disabled",
        }
    }
}

/// What the breaker says at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    Closed,
    Open {
        until: UnixMillis,
    },
    /// One probe may run, not before `from`.
    HalfOpen {
        from: UnixMillis,
    },
    ForcedOpen,
    Disabled,
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BreakerState::Closed => "closed",
            BreakerState::Open { .. } => "open",
            BreakerState::HalfOpen { .. } => "half_open",
            BreakerState::ForcedOpen => "forced_open",
            BreakerState::Disabled => "disabled",
        })
    }
}

/// A change worth an event and a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    Opened { until: UnixMillis, reason: Reason },
    Closed,
    Reset,
    ForcedOpen,
    Disabled,
}

impl Transition {
    /// The transition's event code.
    pub fn as_str(&self) -> &'static str {
        match self {
            Transition::Opened { .. } => "breaker_opened",
            Transition::Closed => "breaker_closed",
            Transition::Reset => "breaker_reset",
            Transition::ForcedOpen => "breaker_forced_open",
            Transition::Disabled => "breaker_disabled",
        }
    }
}

/// The stored value. `Default` is a closed breaker without a past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    pub mode: BreakerMode,
    /// Consecutive counted failures.
    pub failures: u32,
    /// How often the open time has doubled.
    pub exponent: u32,
    /// Since when the exponent decays.
    pub healthy_since: Option<UnixMillis>,
    /// Present while the breaker is not closed: when it becomes half-open, or when the next probe may run.
    pub open_until: Option<UnixMillis>,
    /// A probe was already tried since it opened: it shows as half-open even while the next probe is not due.
    pub probed: bool,
    /// Leases lost in a row.
    pub lease_losses: u32,
}

impl Breaker {
    pub fn state(&self, now: UnixMillis) -> BreakerState {
        match (self.mode, self.open_until) {
            (BreakerMode::ForcedOpen, _) => BreakerState::ForcedOpen,
            (BreakerMode::Disabled, _) => BreakerState::Disabled,
            (BreakerMode::Automatic, None) => BreakerState::Closed,
            (BreakerMode::Automatic, Some(until)) if now < until && !self.probed => BreakerState::Open { until },
            (BreakerMode::Automatic, Some(from)) => BreakerState::HalfOpen { from },
        }
    }

    /// An activation ended. `random` in `0.0..1.0` places the jitter.
    pub fn ended(
        &mut self,
        now: UnixMillis,
        reason: Reason,
        policy: &BreakerPolicy,
        random: f64,
    ) -> Option<Transition> {
        if reason != Reason::LeaseLost {
            self.lease_losses = 0;
        }
        if reason == Reason::Ok {
            self.failures = 0;
            self.healthy_since.get_or_insert(now);
            let closes = self.open_until.take().is_some() && self.mode == BreakerMode::Automatic;
            self.probed = false;
            return closes.then(|| {
                self.healthy_since = Some(now);
                Transition::Closed
            });
        }
        if !reason.counted() {
            // An uncounted probe frees the permit; the next may try a little later.
            if let Some(until) = self.open_until.filter(|until| now >= *until || self.probed) {
                self.open_until = Some((now + policy.probe_retry).max(until));
                self.probed = true;
            }
            return None;
        }
        self.failures = self.failures.saturating_add(1);
        self.decay(now, policy);
        if self.open_until.is_some() || self.failures >= policy.threshold {
            return self.open(now, reason, policy, random);
        }
        None
    }

    /// A claim's lease ran out without its host ending it.
    pub fn lease_lost(&mut self, now: UnixMillis, policy: &BreakerPolicy, random: f64) -> Option<Transition> {
        self.lease_losses = self.lease_losses.saturating_add(1);
        if self.lease_losses < policy.lease_losses {
            return self.ended(now, Reason::LeaseLost, policy, random);
        }
        self.lease_losses = 0;
        self.failures = self.failures.saturating_add(1);
        self.decay(now, policy);
        self.open(now, Reason::HostKiller, policy, random)
    }

    fn open(&mut self, now: UnixMillis, reason: Reason, policy: &BreakerPolicy, random: f64) -> Option<Transition> {
        if self.mode != BreakerMode::Automatic {
            return None;
        }
        let doubled = policy
            .base
            .checked_mul(1u32.checked_shl(self.exponent).unwrap_or(u32::MAX));
        let spread = 1.0 + policy.jitter * (2.0 * random.clamp(0.0, 1.0) - 1.0);
        let until = now
            + doubled
                .unwrap_or(policy.max)
                .min(policy.max)
                .mul_f64(spread)
                .min(policy.max);
        self.open_until = Some(until);
        self.probed = false;
        self.healthy_since = None;
        // More doublings than reach the maximum would only take longer to decay.
        if policy
            .base
            .saturating_mul(1u32.checked_shl(self.exponent).unwrap_or(u32::MAX))
            < policy.max
        {
            self.exponent += 1;
        }
        Some(Transition::Opened { until, reason })
    }

    fn decay(&mut self, now: UnixMillis, policy: &BreakerPolicy) {
        let Some(since) = self.healthy_since else { return };
        let spans = now.since(since).as_millis() / policy.decay.as_millis().max(1);
        self.exponent = self.exponent.saturating_sub(u32::try_from(spans).unwrap_or(u32::MAX));
        self.healthy_since = Some(now);
    }

    /// An operator's reset: as if nothing had ever failed.
    pub fn reset(&mut self) -> Transition {
        *self = Breaker::default();
        Transition::Reset
    }

    pub fn force_open(&mut self) -> Transition {
        self.mode = BreakerMode::ForcedOpen;
        Transition::ForcedOpen
    }

    pub fn disable(&mut self) -> Transition {
        *self = Breaker {
            mode: BreakerMode::Disabled,
            ..Breaker::default()
        };
        Transition::Disabled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: BreakerPolicy = BreakerPolicy {
        threshold: 5,
        base: Duration::from_secs(60),
        max: Duration::from_secs(3600),
        jitter: 0.1,
        decay: Duration::from_secs(600),
        probe_retry: Duration::from_secs(5),
        lease_losses: 3,
    };
    /// The middle of the jitter: none.
    const MIDDLE: f64 = 0.5;

    fn at(seconds: i64) -> UnixMillis {
        UnixMillis(seconds * 1000)
    }

    fn opened(breaker: &mut Breaker, now: i64) -> i64 {
        for _ in 0..POLICY.threshold {
            if let Some(Transition::Opened { until, .. }) = breaker.ended(at(now), Reason::Trap, &POLICY, MIDDLE) {
                return until.0 / 1000 - now;
            }
        }
        panic!("did not open: {breaker:?}");
    }

    #[test]
    fn opens_after_five_failures_in_a_row() {
        let mut breaker = Breaker::default();
        for _ in 0..4 {
            assert_eq!(breaker.ended(at(0), Reason::Trap, &POLICY, MIDDLE), None);
        }
        breaker.ended(at(0), Reason::Ok, &POLICY, MIDDLE);
        for _ in 0..4 {
            assert_eq!(breaker.ended(at(1), Reason::GuestError, &POLICY, MIDDLE), None);
        }
        let transition = breaker.ended(at(1), Reason::CpuLimit, &POLICY, MIDDLE);
        assert_eq!(
            transition,
            Some(Transition::Opened {
                until: at(61),
                reason: Reason::CpuLimit
            })
        );
        assert_eq!(breaker.state(at(60)), BreakerState::Open { until: at(61) });
        assert_eq!(breaker.state(at(61)), BreakerState::HalfOpen { from: at(61) });
    }

    #[test]
    fn faults_of_others_never_open_it() {
        let mut breaker = Breaker::default();
        for reason in Reason::ALL.into_iter().filter(|r| !r.counted()) {
            for _ in 0..20 {
                assert_eq!(breaker.ended(at(0), reason, &POLICY, MIDDLE), None);
            }
        }
        assert_eq!(breaker.failures, 0);
    }

    #[test]
    fn a_failed_probe_doubles_and_a_good_one_closes_but_remembers() {
        let mut breaker = Breaker::default();
        assert_eq!(opened(&mut breaker, 0), 60);
        assert_eq!(opened(&mut breaker, 60), 120);
        assert_eq!(opened(&mut breaker, 180), 240);
        assert_eq!(
            breaker.ended(at(420), Reason::Ok, &POLICY, MIDDLE),
            Some(Transition::Closed)
        );
        assert_eq!((breaker.state(at(420)), breaker.failures), (BreakerState::Closed, 0));
        // 25 minutes later two doublings are forgotten.
        assert_eq!(opened(&mut breaker.clone(), 420 + 1500), 120);
        assert_eq!(opened(&mut breaker, 420 + 599), 480);
    }

    #[test]
    fn jitter_stays_within_ten_percent_and_the_maximum() {
        let fifth = Breaker {
            failures: 4,
            ..Breaker::default()
        };
        for (random, seconds) in [(0.0, 54), (1.0, 66)] {
            let mut breaker = fifth;
            breaker.ended(at(0), Reason::Trap, &POLICY, random);
            assert_eq!(breaker.open_until, Some(at(seconds)));
        }
        let mut worn = Breaker {
            failures: 4,
            exponent: 40,
            ..Breaker::default()
        };
        worn.ended(at(0), Reason::Trap, &POLICY, 1.0);
        assert_eq!(worn.open_until, Some(at(3600)));
    }

    #[test]
    fn an_uncounted_probe_frees_the_permit_after_five_seconds() {
        let mut breaker = Breaker::default();
        opened(&mut breaker, 0);
        assert_eq!(breaker.ended(at(70), Reason::Upstream, &POLICY, MIDDLE), None);
        assert_eq!(breaker.state(at(71)), BreakerState::HalfOpen { from: at(75) });
        assert_eq!(breaker.exponent, 1);
    }

    #[test]
    fn three_lost_leases_in_a_row_open_it_as_host_killer() {
        let mut breaker = Breaker::default();
        breaker.lease_lost(at(0), &POLICY, MIDDLE);
        breaker.lease_lost(at(0), &POLICY, MIDDLE);
        breaker.ended(at(1), Reason::Ok, &POLICY, MIDDLE);
        assert_eq!(breaker.lease_lost(at(2), &POLICY, MIDDLE), None);
        assert_eq!(breaker.lease_lost(at(3), &POLICY, MIDDLE), None);
        let third = breaker.lease_lost(at(4), &POLICY, MIDDLE);
        assert_eq!(
            third,
            Some(Transition::Opened {
                until: at(64),
                reason: Reason::HostKiller
            })
        );
    }

    #[test]
    fn operators_have_the_last_word() {
        let mut breaker = Breaker::default();
        breaker.disable();
        for _ in 0..20 {
            assert_eq!(breaker.ended(at(0), Reason::Trap, &POLICY, MIDDLE), None);
        }
        assert_eq!(breaker.state(at(0)), BreakerState::Disabled);
        breaker.force_open();
        breaker.ended(at(1), Reason::Ok, &POLICY, MIDDLE);
        assert_eq!(breaker.state(at(i64::from(u32::MAX))), BreakerState::ForcedOpen);
        breaker.reset();
        assert_eq!(breaker, Breaker::default());
    }
}
