//! How long to wait before trying again: exponential growth, full jitter, a ceiling.

use std::time::Duration;

/// An exponential backoff. The n-th wait is uniform in `0..=min(base × 2^n, max)` ("full jitter"), which spreads the
/// retries of many callers best: <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    pub base: Duration,
    pub max: Duration,
}

impl Backoff {
    /// The longest that the wait after `failures` earlier failures (0 for the first wait) can be.
    pub fn ceiling(&self, failures: u32) -> Duration {
        self.base
            .checked_mul(1u32.checked_shl(failures).unwrap_or(u32::MAX))
            .unwrap_or(self.max)
            .min(self.max)
    }

    /// The wait after `failures` earlier failures, for a `random` number in `0.0..1.0`.
    pub fn wait(&self, failures: u32, random: f64) -> Duration {
        self.ceiling(failures).mul_f64(random.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        base: Duration::from_secs(5),
        max: Duration::from_secs(600),
    };

    #[test]
    fn doubles_up_to_the_maximum() {
        let seconds: Vec<u64> = (0..9).map(|n| BACKOFF.ceiling(n).as_secs()).collect();
        assert_eq!(seconds, [5, 10, 20, 40, 80, 160, 320, 600, 600]);
        assert_eq!(BACKOFF.ceiling(u32::MAX), BACKOFF.max);
    }

    #[test]
    fn jitter_is_full() {
        assert_eq!(BACKOFF.wait(2, 0.0), Duration::ZERO);
        assert_eq!(BACKOFF.wait(2, 0.5), Duration::from_secs(10));
        assert_eq!(BACKOFF.wait(2, 7.0), Duration::from_secs(20));
    }
}
