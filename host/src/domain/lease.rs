//! How long a lease may be relied on by the host that holds it.

use std::time::Duration;

use super::time::BootTime;

/// A lease's length and the part of it that its holder leaves unused, for clock drift and for what it does last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTerms {
    /// How long the store keeps the lease after the renewal reached it.
    pub length: Duration,
    /// How much earlier the holder stops.
    pub margin: Duration,
}

impl LeaseTerms {
    /// Until when a holder may act whose renewal was *sent* at `sent`. The store's own end is later, by the time that the
    /// renewal was under way and by the margin.
    pub fn local_deadline(&self, sent: BootTime) -> BootTime {
        sent + self.length.saturating_sub(self.margin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_deadline_counts_from_sending() {
        let terms = LeaseTerms {
            length: Duration::from_secs(9),
            margin: Duration::from_secs(1),
        };
        assert_eq!(
            terms.local_deadline(BootTime(Duration::from_secs(100))),
            BootTime(Duration::from_secs(108))
        );
    }
}
