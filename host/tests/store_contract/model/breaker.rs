//! The reference of the breaker: the rules of DESIGN §7, one after another. Where chance decides, the caller is asked
//! which of the allowed times it was.

use std::ops::RangeInclusive;

use warren::domain::{
    breaker::{BreakerMode, BreakerPolicy, BreakerState},
    ending::Reason,
    time::UnixMillis,
};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Breaker {
    pub mode: BreakerMode,
    /// Counted failures since the last success.
    pub failures: u32,
    /// How often the time that it opens for has doubled.
    pub doublings: u32,
    /// Leases lost since an activation last reported its end.
    pub lost_in_a_row: u32,
    opened: Option<Opened>,
    /// Since when the doublings fall.
    calm_since: Option<UnixMillis>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Opened {
    until: UnixMillis,
    /// A probe has ended without telling anything: the breaker stays half-open until the next.
    probed: bool,
}

/// The times at which an opened breaker may become half-open.
pub type Times = RangeInclusive<UnixMillis>;

impl Breaker {
    pub fn state(&self, now: UnixMillis) -> BreakerState {
        match (self.mode, self.opened) {
            (BreakerMode::ForcedOpen, _) => BreakerState::ForcedOpen,
            (BreakerMode::Disabled, _) => BreakerState::Disabled,
            (BreakerMode::Automatic, None) => BreakerState::Closed,
            (BreakerMode::Automatic, Some(Opened { until, probed })) if until > now && !probed => {
                BreakerState::Open { until }
            }
            (BreakerMode::Automatic, Some(Opened { until, .. })) => BreakerState::HalfOpen { from: until },
        }
    }

    /// Until when nothing of the agent may run; nothing if it may run now, or only an operator can tell.
    pub fn shut_until(&self, now: UnixMillis) -> Option<UnixMillis> {
        match self.state(now) {
            BreakerState::Open { until } | BreakerState::HalfOpen { from: until } => Some(until).filter(|t| *t > now),
            _ => None,
        }
    }

    /// Since when, or from when on, a probe decides.
    pub fn half_open_from(&self) -> Option<UnixMillis> {
        self.opened.map(|opened| opened.until)
    }

    /// An activation has ended. Tells whether that opened it.
    pub fn ended(
        &mut self,
        now: UnixMillis,
        reason: Reason,
        policy: &BreakerPolicy,
        which: impl FnOnce(Times) -> UnixMillis,
    ) -> bool {
        if reason != Reason::LeaseLost {
            self.lost_in_a_row = 0;
        }
        if reason == Reason::Ok {
            self.succeeded(now);
            false
        } else if reason.counted() {
            let was_open = self.opened.is_some();
            self.failed(now, policy);
            (was_open || self.failures >= policy.threshold) && self.open(now, policy, which)
        } else {
            self.told_nothing(now, policy);
            false
        }
    }

    /// A claim's lease has run out. Tells whether that opened it.
    pub fn lease_lost(
        &mut self,
        now: UnixMillis,
        policy: &BreakerPolicy,
        which: impl FnOnce(Times) -> UnixMillis,
    ) -> bool {
        self.lost_in_a_row += 1;
        if self.lost_in_a_row == policy.lease_losses {
            self.lost_in_a_row = 0;
            self.failed(now, policy);
            return self.open(now, policy, which);
        }
        self.told_nothing(now, policy);
        false
    }

    /// Success closes it and zeroes the failures, but keeps the doublings, which fall from now on.
    fn succeeded(&mut self, now: UnixMillis) {
        self.failures = 0;
        if self.opened.take().is_some() && self.mode == BreakerMode::Automatic {
            self.calm_since = Some(now);
        }
        self.calm_since.get_or_insert(now);
    }

    /// One doubling is forgotten for each span without a counted failure; the next span begins here.
    fn failed(&mut self, now: UnixMillis, policy: &BreakerPolicy) {
        self.failures += 1;
        if let Some(since) = self.calm_since {
            let spans = now.since(since).as_millis() / policy.decay.as_millis();
            self.doublings -= self.doublings.min(spans as u32);
            self.calm_since = Some(now);
        }
    }

    /// A probe that ended uncounted frees its permit; the next may try a little later.
    fn told_nothing(&mut self, now: UnixMillis, policy: &BreakerPolicy) {
        if let Some(opened) = &mut self.opened
            && (opened.until <= now || opened.probed)
        {
            opened.until = opened.until.max(now + policy.probe_retry);
            opened.probed = true;
        }
    }

    /// Open for `base × 2^doublings`, longer or shorter by the jitter, never past the maximum.
    fn open(&mut self, now: UnixMillis, policy: &BreakerPolicy, which: impl FnOnce(Times) -> UnixMillis) -> bool {
        if self.mode != BreakerMode::Automatic {
            return false;
        }
        let max = policy.max.as_millis() as f64;
        let doubled = policy.base.as_millis() as f64 * f64::powi(2.0, self.doublings as i32);
        let span = doubled.min(max);
        let shortest = (span * (1.0 - policy.jitter)).floor();
        let longest = (span * (1.0 + policy.jitter)).min(max).ceil();
        let until = which(UnixMillis(now.0 + shortest as i64)..=UnixMillis(now.0 + longest as i64));
        self.opened = Some(Opened { until, probed: false });
        self.calm_since = None;
        // Once it has reached the maximum, more doublings would only take longer to forget.
        self.doublings += u32::from(doubled < max);
        true
    }

    pub fn reset(&mut self) {
        *self = Breaker::default();
    }

    pub fn disable(&mut self) {
        self.reset();
        self.mode = BreakerMode::Disabled;
    }

    pub fn force_open(&mut self) {
        self.mode = BreakerMode::ForcedOpen;
    }
}
